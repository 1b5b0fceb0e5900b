import pytest
import torch
import torch.nn.functional as F

from zoo.errors import IncompatibleError
from zoo.heads import PixelScoreHead
from zoo.interfaces import FeatureSpec
from zoo.ops import fit


@pytest.mark.parametrize(("top", "left"), [(0, 0), (2, 1)])
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (6, 7), (9, 4), (8, 12)])
def test_fit_cuts_and_repeats_the_border(size, top, left):
    x = torch.rand(2, 3, 6, 7)
    got = fit(x, size, top, left)
    for row in range(size[0]):
        for column in range(size[1]):
            wanted = x[..., min(top + row, 5), min(left + column, 6)]
            assert torch.equal(got[..., row, column], wanted)
    assert got.shape == (2, 3, *size)


def _identity(source: FeatureSpec) -> PixelScoreHead:
    head = PixelScoreHead(source, source.channels, "score_it")
    with torch.no_grad():
        head.score_it.weight.copy_(torch.eye(source.channels).view(source.channels, -1, 1, 1))
        head.score_it.bias.zero_()
    return head


def test_a_map_that_begins_outside_is_cut():
    x = torch.rand(1, 2, 20, 30)
    got = _identity(FeatureSpec("map", 2, 1, -5.0))(x, (11, 14))
    torch.testing.assert_close(got, x[..., 5:16, 5:19])


@pytest.mark.parametrize("size", [(39, 57), (40, 60)])
def test_cells_stay_where_they_are(size):
    """Stride 4 from one cell outside: at a quarter of a cell's distance around its centre the cell decides."""
    x = torch.rand(1, 2, 11, 16)
    got = _identity(FeatureSpec("map", 2, 4, 1.5 - 4))(x, size)
    wanted = F.interpolate(x, scale_factor=4, mode="bilinear")[..., 4 : 4 + size[0], 4 : 4 + size[1]]
    torch.testing.assert_close(got, wanted)
    # The cell at row 3, column 2 is centred at pixel 4 · 3 - 2.5 = 9.5: the mean of the four pixels around.
    x = torch.zeros(1, 1, 11, 16)
    x[0, 0, 3, 2] = 1
    heat = _identity(FeatureSpec("map", 1, 4, -2.5))(x, size)[0, 0]
    peak = heat == heat.max()
    assert peak.nonzero().tolist() == [[9, 5], [9, 6], [10, 5], [10, 6]]


@pytest.mark.parametrize("offset", [4.0, 0.25, 1.0])
def test_a_map_that_begins_inside_the_picture_is_refused(offset):
    with pytest.raises(IncompatibleError, match="begins inside"):
        PixelScoreHead(FeatureSpec("map", 2, 1, offset), 2)
