import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from zoo.errors import DataError
from zoo.inference.picture import to_tensor

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
FIRST = torch.from_numpy(RGB).permute(2, 0, 1)


def test_all_forms_of_one_picture_are_the_same(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    forms = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(RGB),
        RGB,
        np.asfortranarray(RGB),
        np.concatenate([RGB, RGB[..., :1]], axis=2),
        RGB.astype(np.uint16) * 257,
        RGB.astype(">u2") * 257,
        FIRST,
        FIRST[None],
        tv_tensors.Image(FIRST),
        FIRST.to(torch.uint16) * 257,
    ]
    for form in forms:
        tensor = to_tensor(form, 3)
        assert tensor.dtype == torch.uint8
        assert torch.equal(tensor, FIRST)
    for form in (RGB / 255, (RGB / 255).astype(np.float32), FIRST / 255, (FIRST / 255)[None].double()):
        tensor = to_tensor(form, 3)
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor * 255, FIRST.float(), atol=1e-4)


def test_views_and_read_only_arrays():
    flipped = to_tensor(RGB[:, ::-1], 3)
    assert torch.equal(flipped, FIRST.flip(2))
    fixed = RGB.copy()
    fixed.flags.writeable = False
    assert torch.equal(to_tensor(fixed, 3), FIRST)


@pytest.mark.parametrize("grey", [RGB[..., 0], RGB[..., :1], FIRST[0], FIRST[:1], FIRST[None, :1]])
def test_grey_becomes_rgb(grey):
    assert torch.equal(to_tensor(grey, 3), FIRST[:1].expand(3, -1, -1))


def test_rgb_becomes_grey_as_pillow_does_it():
    pillow = torch.from_numpy(np.array(Image.fromarray(RGB).convert("L")))[None]
    for form in (RGB, FIRST, np.dstack([RGB, RGB[..., 0]])):
        assert (to_tensor(form, 1).int() - pillow.int()).abs().max() <= 1
    assert torch.equal(to_tensor(Image.fromarray(RGB), 1), pillow)
    assert torch.allclose(to_tensor(FIRST / 255, 1) * 255, pillow.float(), atol=1)


def test_alpha_is_added_opaque():
    assert torch.equal(to_tensor(RGB, 4)[:3], FIRST)
    assert (to_tensor(RGB, 4)[3] == 255).all()
    assert (to_tensor(FIRST / 255, 4)[3] == 1).all()
    assert torch.equal(to_tensor(Image.fromarray(RGB), 4), to_tensor(RGB, 4))


def test_any_number_of_channels_that_the_model_takes():
    assert to_tensor(np.zeros((5, 7, 6), np.uint8), 6).shape == (6, 5, 7)
    assert to_tensor(torch.zeros(2, 5, 7), 2).shape == (2, 5, 7)


def test_pil_images_of_every_kind_and_turned_ones():
    image = Image.fromarray(RGB)
    for mode in ("L", "RGBA", "CMYK", "P", "1", "LA", "YCbCr"):
        assert to_tensor(image.convert(mode), 3).shape == (3, 5, 7)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise makes it upright
    image.info["exif"] = exif.tobytes()
    turned = Image.fromarray(RGB)
    turned.getexif()[0x0112] = 6
    assert torch.equal(to_tensor(turned, 3), FIRST.rot90(-1, (1, 2)))


@pytest.mark.parametrize(
    ("given", "channels", "words"),
    [
        (FIRST.numpy(), 3, ["(3, 5, 7)", "channels come last", "transpose"]),
        (torch.from_numpy(RGB), 3, ["(5, 7, 3)", "channels come first", "permute"]),
        (torch.zeros(2, 3, 5, 7), 3, ["a batch (2, 3, 5, 7)"]),
        (np.zeros((5, 7, 2), np.uint8), 3, ["C = 1, 3 or 4", "(5, 7, 2)"]),
        (np.zeros(7), 3, ["(7,)"]),
        (torch.zeros(1, 1, 3, 5, 7), 3, ["(1, 1, 3, 5, 7)"]),
        (RGB.astype(np.int64), 3, ["int64", "uint8, uint16"]),
        (FIRST.long(), 3, ["torch.int64"]),
        (RGB > 3, 3, ["bool"]),
        (RGB.astype(np.float32), 3, ["0…1", "by 255"]),
        (FIRST.float() / 255 * 4 - 2, 3, ["0…1", "leave mean and standard deviation to the model"]),
        (np.full((5, 7), np.nan), 3, ["nan…nan"]),
        (np.zeros((0, 7, 3), np.uint8), 3, ["empty", "7×0"]),
        (torch.zeros(3, 5, 0), 3, ["empty", "0×5"]),
        (Image.new("RGB", (0, 5)), 3, ["empty", "0×5"]),
        (RGB, 5, ["takes 5 channels", "has 3"]),
        (Image.fromarray(RGB), 5, ["takes 5 channels"]),
        ("a.png", 2, ["a.png", "takes 2 channels", "give an array"]),
        ("nowhere.png", 3, ["nowhere.png", "no such file"]),
        ([[1, 2]], 3, ["got list"]),
        (None, 3, ["got NoneType"]),
    ],
)
def test_what_is_no_picture_is_refused(given, channels, words):
    with pytest.raises(DataError) as caught:
        to_tensor(given, channels)
    assert all(word in str(caught.value) for word in words), str(caught.value)
