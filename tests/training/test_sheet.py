import numpy as np
from color_world import COLORS, NAMES

from zoo.training.sheet import contact_sheet


def test_the_three_are_side_by_side_in_their_colours():
    photo = np.full((10, 20, 3), (9, 99, 199), dtype=np.uint8)
    truth = np.full((10, 20), 1)
    truth[:, 10:] = 255
    sheet = contact_sheet([(photo, truth, np.full((10, 20), 2))] * 3, NAMES, COLORS, columns=2, tile=50)
    pixels = np.asarray(sheet)
    assert (pixels == (9, 99, 199)).all(-1).sum() == 3 * 50 * 100
    legend = 14 * 14
    for color, area in ((COLORS[1], 3 * 50 * 50), (COLORS[2], 3 * 50 * 100), ((224, 224, 224), 3 * 50 * 50)):
        count = int((pixels == color).all(-1).sum())
        assert area <= count <= area + 2 * legend
    rows = np.flatnonzero((pixels == (9, 99, 199)).all(-1).any(1))
    assert rows[-1] - rows[0] > 100  # a second row of samples


def test_samples_of_other_sizes_and_none_at_all():
    triples = [
        (np.zeros((h, w, 3), np.uint8), np.zeros((h, w), int), np.zeros((h, w), int)) for h, w in ((5, 9), (30, 7))
    ]
    assert contact_sheet(triples, NAMES, COLORS, tile=20).width > 100
    assert contact_sheet([], NAMES, COLORS).height > 0
