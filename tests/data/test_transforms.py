"""Augmentation moves picture and mask together and makes no new label."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from zoo.data.dataset import Sample
from zoo.data.transforms import Jitter, RandomScaleCrop, train_transform
from zoo.errors import DataError

LABELS = (0, 3, 7, 10)


def synthetic(height: int, width: int, seed: int) -> Sample:
    """Random rectangles; the picture shows the label, 20 levels a label, so each can be read from the other."""
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.int64)
    for _ in range(8):
        y, x = random.integers(0, height), random.integers(0, width)
        labels[y : y + random.integers(8, 40), x : x + random.integers(8, 40)] = random.choice(LABELS)
    image = torch.from_numpy((labels * 20).astype(np.uint8)).expand(3, -1, -1).contiguous()
    return Sample(tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(labels)))


def inside(mask: torch.Tensor) -> torch.Tensor:
    """Pixels whose 5×5 surroundings have one label."""
    values = torch.nn.functional.pad(mask[None].float(), (2, 2, 2, 2), value=-1)
    return (torch.nn.functional.max_pool2d(values, 5, 1) == -torch.nn.functional.max_pool2d(-values, 5, 1))[0]


@pytest.mark.parametrize("crop", [(64, 48), (200, 200), None])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 2.0), (0.3, 0.7), (1.7, 3.0)])
def test_picture_and_mask_stay_together_and_no_label_appears(crop, scale) -> None:
    transform = train_transform(crop, scale, flip=0.5)
    torch.manual_seed(0)
    for seed in range(25):
        sample = synthetic(90, 120, seed)
        image, mask = transform(sample)
        assert isinstance(image, tv_tensors.Image)
        assert isinstance(mask, tv_tensors.Mask)
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
        assert image.shape[-2:] == mask.shape
        if crop is not None:
            assert mask.shape == crop
        assert set(mask.unique().tolist()) <= {*LABELS, 255}
        if crop is None:
            assert 255 not in mask
        if scale[0] < 0.5:
            continue  # the picture is averaged over more than the 5×5 surroundings
        clear = inside(mask) & (mask != 255)
        assert clear.any()
        assert torch.equal(image[0][clear].long(), mask[clear] * 20)
        padding = mask == 255
        assert (image[:, padding] == torch.tensor([124, 116, 104], dtype=torch.uint8)[:, None]).all()


@pytest.mark.parametrize(
    ("factor", "most"),
    [(0.4, 0.15), (0.77, 0.15), (1.3, 0.15), (1.618, 0.15), (2.0, 0.05), (3.0, 0.05), (0.5, 0.26)],
)
def test_no_shift_between_picture_and_mask_after_scaling(factor: float, most: float) -> None:
    """Plain nearest sampling is off by half a pixel; at 0.5 the nearest label is a quarter off at best."""
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    disk = ((y - 57.3) ** 2 + (x - 81.6) ** 2) < 40**2
    sample = Sample(
        tv_tensors.Image((disk * 200).to(torch.uint8).expand(3, -1, -1)), tv_tensors.Mask(disk.to(torch.int64))
    )
    image, mask = RandomScaleCrop(None, (factor, factor))(sample)

    def centre(weight: torch.Tensor) -> torch.Tensor:
        rows, columns = torch.meshgrid(*(torch.arange(float(n)) for n in weight.shape), indexing="ij")
        return torch.stack([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()

    assert (centre(image[0].float()) - centre(mask.float())).abs().max() < most


def test_windows_are_spread_over_the_whole_picture() -> None:
    rows = torch.arange(50).to(torch.uint8)[:, None].expand(50, 40)
    columns = torch.arange(40).to(torch.uint8)[None].expand(50, 40)
    sample = Sample(
        tv_tensors.Image(torch.stack([rows, columns, rows])), tv_tensors.Mask(torch.zeros(50, 40, dtype=torch.int64))
    )
    transform = train_transform((20, 10), flip=0)
    torch.manual_seed(0)
    corners = np.array([transform(sample).image[:2, 0, 0].tolist() for _ in range(3000)])
    assert set(corners[:, 0]) == set(range(31))
    assert set(corners[:, 1]) == set(range(31))
    counts = np.bincount(corners[:, 0], minlength=31)
    assert counts.min() > 50  # 97 expected
    assert counts.max() < 150


def test_padding_is_spread_too() -> None:
    sample = Sample(
        tv_tensors.Image(torch.zeros(3, 4, 4, dtype=torch.uint8)), tv_tensors.Mask(torch.ones(4, 4, dtype=torch.int64))
    )
    transform = train_transform((8, 8), flip=0)
    torch.manual_seed(0)
    first = {tuple(torch.nonzero(transform(sample).mask == 1)[0].tolist()) for _ in range(600)}
    assert first == {(row, column) for row in range(5) for column in range(5)}


def test_scale_is_even_in_its_logarithm() -> None:
    scaling = RandomScaleCrop(None, (0.5, 2.0))
    sample = synthetic(400, 400, 0)
    torch.manual_seed(0)
    sizes = np.array([scaling.make_params([sample.image])["target"][0] for _ in range(2000)])
    assert sizes.min() >= 200
    assert sizes.max() <= 800
    assert abs((sizes < 400).mean() - 0.5) < 0.05


def test_mirroring_mirrors_both() -> None:
    sample = synthetic(30, 40, 1)
    image, mask = train_transform(flip=1.0)(sample)
    assert torch.equal(image, sample.image.flip(-1))
    assert torch.equal(mask, sample.mask.flip(-1))
    torch.manual_seed(0)
    flipped = sum(torch.equal(train_transform(flip=0.25)(sample).mask, mask) for _ in range(400))
    assert 60 < flipped < 140


def test_jitter_changes_the_picture_and_never_the_mask() -> None:
    sample = synthetic(30, 40, 1)
    image, mask = train_transform(jitter=0.4, flip=0)(sample)
    assert not torch.equal(image, sample.image)
    assert torch.equal(mask, sample.mask)


@pytest.mark.parametrize(("kind", "place"), [("brightness", 0), ("contrast", 1), ("saturation", 2)])
def test_jitter_against_its_definition(kind: str, place: int) -> None:
    random = np.random.default_rng(0)
    image = tv_tensors.Image(torch.from_numpy(random.integers(60, 160, (3, 20, 20), dtype=np.uint8)))
    factors = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0} | {kind: 1.3}
    changed = Jitter(0.5).transform(image, factors).float()
    values = image.double()
    expected = {
        "brightness": values * 1.3,
        "contrast": (values - values.mean()) * 1.3 + values.mean(),
        "saturation": (values - values.mean(0)) * 1.3 + values.mean(0),
    }[kind]
    assert (changed - expected.clamp(0, 255)).abs().max() <= 0.51


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_jitter_of_all_three_against_its_definition(channels: int) -> None:
    random = np.random.default_rng(channels)
    values = random.integers(0, 256, (channels, 40, 30)).astype(np.uint8)
    expected = values.astype(np.float64)
    if channels >= 3:
        grey = expected[:3].mean(0)
        expected[:3] = (expected[:3] - grey) * 1.4 + grey
    expected = ((expected - expected.mean()) * 1.5 + expected.mean()) * 0.9
    factors = {"brightness": 0.9, "contrast": 1.5, "saturation": 1.4}
    changed = Jitter(0.5).transform(tv_tensors.Image(torch.from_numpy(values)), factors).numpy()
    assert changed.min() == 0
    assert changed.max() == 255
    assert np.abs(changed - expected.clip(0, 255)).max() <= 0.501


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels(channels: int) -> None:
    sample = Sample(
        tv_tensors.Image(torch.full((channels, 10, 10), 100, dtype=torch.uint8)),
        tv_tensors.Mask(torch.zeros(10, 10, dtype=torch.int64)),
    )
    image, mask = train_transform((16, 16), (0.5, 2), 0.5, 0.3)(sample)
    assert image.shape == (channels, 16, 16)
    assert mask.shape == (16, 16)


def test_nothing_to_do_leaves_the_sample() -> None:
    sample = synthetic(20, 30, 0)
    image, mask = train_transform(flip=0)(sample)
    assert torch.equal(image, sample.image)
    assert torch.equal(mask, sample.mask)


def test_a_picture_of_one_pixel() -> None:
    sample = Sample(
        tv_tensors.Image(torch.full((3, 1, 1), 9, dtype=torch.uint8)),
        tv_tensors.Mask(torch.ones(1, 1, dtype=torch.int64)),
    )
    for _ in range(20):
        image, mask = train_transform((5, 7), (0.1, 9))(sample)
        assert image.shape == (3, 5, 7)
        assert set(mask.unique().tolist()) <= {1, 255}
        assert 1 in mask


def test_they_compose_with_other_v2_transforms() -> None:
    sample = synthetic(40, 40, 0)
    both = v2.Compose([train_transform((32, 32)), v2.RandomVerticalFlip(1.0)])
    image, mask = both(sample)
    assert image.shape[-2:] == mask.shape == (32, 32)


@pytest.mark.parametrize(
    "options",
    [
        {"crop": (0, 5)},
        {"crop": (5,)},
        {"scale": (2, 1)},
        {"scale": (0, 1)},
        {"flip": 1.5},
        {"flip": -1},
        {"jitter": 1},
    ],
)
def test_nonsense_is_refused(options) -> None:
    with pytest.raises(DataError, match=f"{next(iter(options))} is "):
        train_transform(**options)
