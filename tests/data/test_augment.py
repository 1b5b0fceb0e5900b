"""Augmentations by name change picture and mask together, and make up no label."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from zoo.data import augment
from zoo.data.augment import AUGMENTATIONS, augment_transform, augmentation
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.loader import train_loader
from zoo.errors import OptionError

COLORS = torch.tensor([[20, 20, 20], [220, 30, 40], [30, 200, 60], [40, 60, 230]], dtype=torch.uint8)

GEOMETRIC = [
    {"name": "scale", "range": [0.5, 2.0]},
    {"name": "scale", "range": [0.5, 2.0], "step": 0.25},
    {"name": "resize", "size": [50, 90]},
    {"name": "resize", "short": [40, 100]},
    {"name": "crop", "size": [48, 56], "fill": [20, 20, 20]},
    {"name": "mirror", "p": 0.5, "vertical": 0.5},
    {"name": "rotate", "degrees": 45, "fill": [20, 20, 20]},
]


def sample(height: int = 64, width: int = 80, seed: int = 0) -> Sample:
    """Large rectangles of four classes; each class has one colour, so the picture tells the mask."""
    mask = torch.zeros(height, width, dtype=torch.int64)
    draw = np.random.default_rng(seed)
    for label in (1, 2, 3):
        top, left = draw.integers(0, height - 24), draw.integers(0, width - 24)
        mask[top : top + 24, left : left + 24] = label
    return Sample(tv_tensors.Image(COLORS[mask].permute(2, 0, 1)), tv_tensors.Mask(mask))


def seen(image: torch.Tensor) -> torch.Tensor:
    """The label whose colour a pixel is nearest to."""
    distance = (image.permute(1, 2, 0)[..., None, :].float() - COLORS.float()).square().sum(-1)
    return distance.argmin(-1)


@pytest.mark.parametrize("entry", GEOMETRIC, ids=lambda entry: "-".join(map(str, entry.values())))
def test_picture_and_mask_stay_aligned(entry):
    transform = augment_transform([entry])
    shifts = []
    for seed in range(20):
        torch.manual_seed(seed)
        image, mask = transform(sample(seed=seed))
        assert image.shape[-2:] == mask.shape
        assert image.dtype == torch.uint8
        assert mask.dtype == torch.int64
        assert set(mask.unique().tolist()) <= {0, 1, 2, 3, 255}
        inside = mask != 255
        wrong = (seen(image.as_subclass(torch.Tensor)) != mask.as_subclass(torch.Tensor)) & inside
        assert wrong.float().mean() < 0.04, f"seed {seed}"  # at edges two colours mix, and may come near to a third
        for label in (1, 2, 3):
            one, other = ((plane == label).nonzero().double() for plane in (seen(image), mask))
            if len(one) > 200 and len(other) > 200:
                shifts.append(one.mean(0) - other.mean(0))
    # The middle of what is seen is the middle of what is labelled, but for the rounding of single edges.
    assert torch.stack(shifts).abs().max() < 1
    assert torch.stack(shifts).mean(0).abs().max() < 0.15


@pytest.mark.parametrize("entry", [{"name": "colour", "hue": 0.5, "brightness": 1, "p": 1.0}, {"name": "blur", "p": 1}])
def test_colour_and_blur_leave_the_mask_alone(entry):
    before = sample()
    torch.manual_seed(0)
    image, mask = augment_transform([entry])(sample())
    assert torch.equal(mask, before.mask)
    assert image.shape == before.image.shape
    assert image.dtype == torch.uint8
    assert not torch.equal(image, before.image)


def test_crop_pads_the_picture_with_the_mean_and_the_mask_with_255():
    image, mask = augment_transform([{"name": "crop", "size": [100, 120]}])(sample())
    assert image.shape == (3, 100, 120)
    outside = mask == 255
    assert outside.sum() == 100 * 120 - 64 * 80
    assert image[:, outside].unique(dim=1).T.tolist() == [[124, 116, 104]]
    black, mask = augment_transform([{"name": "crop", "size": 100, "fill": 0}])(sample())
    assert (black[:, mask == 255] == 0).all()


def test_rotation_leaves_corners_without_a_label():
    torch.manual_seed(0)
    image, mask = augment_transform([{"name": "rotate", "degrees": 45}])(sample())
    assert mask.shape == (64, 80)
    assert mask[0, 0] == mask[-1, -1] == 255
    assert image[:, 0, 0].tolist() == [124, 116, 104]


def test_rotation_by_a_quarter_turn_is_exact(monkeypatch):
    monkeypatch.setattr(augment.Rotate, "make_params", lambda self, items: {"angle": 90.0})
    square = sample(64, 64)
    image, mask = augment_transform([{"name": "rotate"}])(square)
    assert torch.equal(mask, torch.rot90(square.mask.as_subclass(torch.Tensor)))
    assert torch.equal(image, torch.rot90(square.image.as_subclass(torch.Tensor), dims=(1, 2)))


def test_scale_in_steps_takes_only_these():
    transform = augment_transform([{"name": "scale", "range": [0.5, 2.0], "step": 0.25}])
    torch.manual_seed(0)
    heights = {transform(sample()).mask.shape[0] for _ in range(200)}
    assert heights == {32, 48, 64, 80, 96, 112, 128}


def test_even_and_logarithmic_factors():
    torch.manual_seed(0)
    for even, middle in ((True, 1.25), (False, 1.0)):
        transform = augment_transform([{"name": "scale", "range": [0.5, 2.0], "even": even}])
        heights = np.array([transform(sample()).mask.shape[0] for _ in range(400)]) / 64
        assert abs(np.median(heights) - middle) < 0.1


def test_short_side():
    torch.manual_seed(0)
    transform = augment_transform([{"name": "resize", "short": [30, 33]}])
    shapes = {tuple(transform(sample()).mask.shape) for _ in range(100)}
    assert {shape[0] for shape in shapes} == {30, 31, 32, 33}
    assert all(abs(shape[1] - shape[0] * 80 / 64) <= 0.5 for shape in shapes)


@pytest.mark.parametrize("short", [0.4, [0.3, 50], -3])
def test_a_short_side_has_a_pixel(short):
    with pytest.raises(OptionError, match="short is"):
        augment_transform([{"name": "resize", "short": short}])


def test_scale_then_crop_is_one_resampling():
    fused = augment_transform([{"name": "scale"}, {"name": "crop", "size": [32, 32]}])
    assert len(fused.transforms) == 1
    assert fused(sample()).mask.shape == (32, 32)
    apart = augment_transform([{"name": "crop", "size": [32, 32]}, {"name": "scale"}])
    assert len(apart.transforms) == 2


def test_the_size_of_the_crop_may_come_from_outside():
    for entries in ([{"name": "crop"}, {"name": "mirror"}], [{"name": "mirror"}]):
        assert augment_transform(entries, (20, 30))(sample()).mask.shape == (20, 30)
    with pytest.raises(OptionError, match="crop needs a size"):
        augment_transform([{"name": "crop"}])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_number_of_channels(channels):
    image = tv_tensors.Image(torch.randint(0, 256, (channels, 40, 40), dtype=torch.uint8))
    given = Sample(image, tv_tensors.Mask(torch.zeros(40, 40, dtype=torch.int64)))
    names = [{"name": name} for name in ("scale", "rotate", "crop", "mirror", "colour")]
    names += [{"name": "blur", "p": 1.0}, {"name": "colour", "hue": 0.2}]
    assert augment_transform(names, (50, 50))(given).image.shape == (channels, 50, 50)


def test_small_pictures_are_blurred_too():
    tiny = Sample(tv_tensors.Image(torch.zeros(3, 1, 2, dtype=torch.uint8)), tv_tensors.Mask(torch.zeros(1, 2)))
    assert augment_transform([{"name": "blur", "sigma": [5, 9], "p": 1}])(tiny).image.shape == (3, 1, 2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "mirorr"}, "Did you mean 'mirror'"),
        ({"name": "rotate", "degree": 3}, "Did you mean 'degrees'"),
        ({"name": "rotate", "degrees": 200}, "degrees is 200; 0…180"),
        ({"name": "scale", "range": [2.0, 0.5]}, "low ≤ high"),
        ({"name": "scale", "range": 0}, "0 < low"),
        ({"name": "scale", "step": -1}, "step is -1"),
        ({"name": "crop", "size": [0, 3]}, r"size is \[0, 3\]"),
        ({"name": "crop", "size": 3, "fill": "red"}, "fill is 'red'"),
        ({"name": "resize"}, "give size"),
        ({"name": "mirror", "p": 2}, "p is 2"),
        ({"name": "colour", "hue": 1}, "hue is 1"),
        ({"name": "blur", "sigma": [1, 2, 3]}, "sigma is"),
        ({"degrees": 3}, "name is missing"),
        ({"name": "no_such_package:Thing"}, "cannot be imported"),
        ({"name": "builtins:dict"}, "made a dict"),
    ],
)
def test_mistakes_are_named(entry, message):
    with pytest.raises(OptionError, match=message) as caught:
        augment_transform([{"name": "mirror"}, entry])
    assert "data.augment.1" in str(caught.value)


def test_one_of_your_own(monkeypatch):
    monkeypatch.setattr(augment, "AUGMENTATIONS", dict(AUGMENTATIONS))

    @augmentation("invert")
    def invert(p: float = 1.0) -> v2.Transform:
        return v2.RandomInvert(p)

    assert torch.equal(augment_transform([{"name": "invert"}])(sample()).image, 255 - sample().image)
    by_path = augment_transform([{"name": "torchvision.transforms.v2:RandomInvert", "p": 1.0}])
    assert torch.equal(by_path(sample()).image, 255 - sample().image)
    with pytest.raises(OptionError, match=r"'mirror' is zoo\.data\.augment\.mirror already"):
        augmentation("mirror")(invert)


class Several(SegmentationDataset):
    """Eight samples."""

    name, split, classes, palette = "several", "train", ("a", "b", "c", "d"), ((0, 0, 0),) * 4

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Sample:
        return sample(seed=index)


def test_batches_depend_on_seed_epoch_and_sample_only():
    entries = [{"name": name} for name in ("scale", "rotate", "crop", "mirror", "colour", "blur")]

    def batches(workers: int, start: int = 0, seed: int = 3):
        loader = train_loader(Several(), augment_transform(entries, (32, 40)), batch_size=2, seed=seed, workers=workers)
        return [batch.images for batch in loader.batches(start, 6)]

    torch.manual_seed(1)
    here = batches(0)
    torch.manual_seed(2)
    assert all(torch.equal(one, other) for one, other in zip(here, batches(2), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(here[4:], batches(0, start=4), strict=True))
    assert not torch.equal(here[0], batches(0, seed=4)[0])
    assert not torch.equal(here[0], here[4]), "the second epoch varies anew"
