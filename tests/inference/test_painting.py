import numpy as np
import pytest
import torch

from zoo.inference.painting import outlines, paint, photograph

PALETTE = ((0, 0, 0), (128, 0, 0), (10, 200, 90))


def test_inside_a_region_colour_and_photo_are_mixed():
    photo = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    for alpha in (0.0, 0.25, 0.5, 1.0):
        painted = paint(photo, np.full((9, 9), 2), PALETTE, alpha)
        expected = photo * (1 - alpha) + np.array(PALETTE[2]) * alpha
        assert np.abs(painted - expected).max() <= 1


def test_black_is_no_paint_and_regions_are_outlined():
    photo = np.full((10, 10, 3), 100, dtype=np.uint8)
    labels = np.zeros((10, 10), dtype=np.uint8)
    labels[3:7, 3:7] = 1
    painted = paint(photo, labels, PALETTE)
    assert (painted[labels == 0] == 100).all()
    assert (painted[3, 3:7] == (255, 0, 0)).all()
    assert np.abs(painted[4:6, 4:6].astype(int) - (114, 50, 50)).max() <= 1
    assert (paint(photo, labels, PALETTE, alpha=0) == photo).all()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_outlines_are_where_another_label_is_near(width):
    labels = np.random.default_rng(width).integers(0, 2, (12, 15)).repeat(3, 0).repeat(3, 1)
    height, length = labels.shape
    expected = np.zeros(labels.shape, dtype=bool)
    for row in range(height):
        for column in range(length):
            cross = [labels[row, max(0, column - width) : column + width + 1]]
            cross.append(labels[max(0, row - width) : row + width + 1, column])
            expected[row, column] = any((line != labels[row, column]).any() for line in cross)
    assert np.array_equal(outlines(labels, width), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_tiny_pictures(size):
    assert not outlines(np.zeros(size, np.uint8), 5).any()
    assert paint(np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8), PALETTE).shape == (*size, 3)


def test_photographs_of_any_channels():
    color = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8)
    assert np.array_equal(photograph(color), color.permute(1, 2, 0).numpy())
    assert np.array_equal(photograph(color / 255), color.permute(1, 2, 0).numpy())
    assert np.array_equal(photograph(color[:1]), color[:1].expand(3, -1, -1).permute(1, 2, 0).numpy())
    assert photograph(torch.rand(7, 4, 5)).shape == (4, 5, 3)
    assert photograph(torch.rand(2, 4, 5)).shape == (4, 5, 3)
