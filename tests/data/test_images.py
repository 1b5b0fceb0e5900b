"""Pictures of every kind are read as shown, masks as stored."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import picture, save
from PIL import Image

from zoo.data.images import image_size, read_image, read_mask, voc_palette, write_labels
from zoo.errors import DataError

RGB = picture(9, 14)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def written(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_is_exact_and_channels_come_first(tmp_path: Path) -> None:
    image = read_image(save(RGB, tmp_path / "a.png"))
    assert image.dtype == torch.uint8
    assert image.shape == (3, 9, 14)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), RGB)
    assert image.is_contiguous()


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    image = read_image(save(RGB[..., 0], tmp_path / "a.png"))
    assert torch.equal(image, torch.from_numpy(RGB[..., 0]).expand(3, -1, -1))


def test_two_levels_become_black_and_white(tmp_path: Path) -> None:
    bits = RGB[..., 0] > 127
    image = read_image(written(tmp_path / "a.png", Image.fromarray(bits)))
    assert np.array_equal(image[1].numpy(), bits * np.uint8(255))


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    assert np.array_equal(read_image(save(rgba, tmp_path / "a.png")).permute(1, 2, 0).numpy(), RGB)


def test_grey_with_alpha(tmp_path: Path) -> None:
    image = Image.merge("LA", [Image.fromarray(RGB[..., 0]), Image.fromarray(RGB[..., 1])])
    assert np.array_equal(read_image(written(tmp_path / "a.png", image), 1)[0].numpy(), RGB[..., 0])


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_pictures_give_colours(tmp_path: Path, transparent: bool) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    options = {"transparency": bytes([0, 128, 255])} if transparent else {}
    read = read_image(written(tmp_path / "a.png", image, **options))
    assert read[:, 0, 1].tolist() == [40, 50, 60]
    assert read[:, 1, 0].tolist() == [70, 80, 90]


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 40)).convert("CMYK")
    read = read_image(written(tmp_path / "a.jpg", red, quality=95)).float().mean(dim=(1, 2))
    assert torch.allclose(read, torch.tensor([220.0, 30, 40]), atol=12)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 256, 257, 514], [32896, 65278, 65534, 65535]], np.uint16)
    read = read_image(save(values, tmp_path / f"a.{suffix}"), 1)
    assert read[0].tolist() == [[0, 0, 1, 2], [128, 254, 254, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    shown = np.zeros((8, 24, 3), np.uint8)
    shown[:, 16:] = 255  # bright on the right
    shown[:4, :8] = 128  # grey at the top left
    undo = {  # how a camera held in that way stores it
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(np.ascontiguousarray(undo[orientation](shown)), tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(path).permute(1, 2, 0).numpy(), shown)
    assert image_size(path) == (8, 24)


def test_channels(tmp_path: Path) -> None:
    path = save(RGB, tmp_path / "a.png")
    grey = read_image(path, 1)
    assert grey.shape == (1, 9, 14)
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[0].numpy() - luma).max() <= 1
    four = read_image(path, 4)
    assert four.shape == (4, 9, 14)
    assert (four[3] == 255).all()
    with pytest.raises(DataError, match=r"1 .grey., 3 .RGB. or 4"):
        read_image(path, 2)


def test_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.tif")[:, 0, 0].tolist() == [255, 0, 0]


def test_32_bit_values_are_refused_with_advice(tmp_path: Path) -> None:
    path = save(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: its 32-bit values have no fixed range; save it with 8 or 16"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_mask, image_size])
def test_what_is_no_picture_is_named(tmp_path: Path, read) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name, message in {
        "text.png": "is not a picture",
        "empty.png": "is an empty file",
        "folder.png": "is a folder",
        "none.png": "no such file",
    }.items():
        with pytest.raises(DataError, match=f"{name}: {message}"):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = save(picture(64, 64), tmp_path / f"a.{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"a\.{suffix}: "):
        read_image(path)


def test_damaged_at_any_byte_gives_a_picture_or_a_data_error(tmp_path: Path) -> None:
    path = save(picture(20, 20), tmp_path / "a.png")
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(whole)
        broken[random.integers(len(whole))] ^= int(random.integers(1, 256))
        path.write_bytes(broken)
        for read in (read_image, read_mask):
            with contextlib.suppress(DataError):  # anything else is a traceback for the user
                read(path)


def test_huge_pictures_name_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(RGB, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match="MAX_IMAGE_PIXELS"):
        read_image(path)


def test_masks_keep_raw_values(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(read_mask(save(labels, tmp_path / "l.png")), labels)
    palette = Image.fromarray(labels)
    palette.putpalette([7] * 768)  # every index has the same colour: only the index can be right
    assert np.array_equal(read_mask(written(tmp_path / "p.png", palette)), labels)
    wide = labels.astype(np.uint16) * 200
    assert np.array_equal(read_mask(save(wide, tmp_path / "w.png")), wide)
    assert np.array_equal(read_mask(save(wide, tmp_path / "w.tif")), wide)
    integers = wide.astype(np.int32) * 3
    assert np.array_equal(read_mask(save(integers, tmp_path / "i.tif")), integers)
    bits = labels > 100
    assert np.array_equal(read_mask(written(tmp_path / "b.png", Image.fromarray(bits))), bits.astype(np.uint8))
    assert np.array_equal(read_mask(save(np.dstack([labels] * 3), tmp_path / "g.png")), labels)
    assert np.array_equal(read_mask(save(labels.astype(np.float32), tmp_path / "f.tif")), labels)


def test_small_palette_masks_keep_indices(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 3]], np.uint8)
    image = Image.fromarray(labels)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    assert np.array_equal(read_mask(written(tmp_path / "p.png", image, bits=2)), labels)


def test_fractions_and_jpeg_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"f\.tif: holds fractions"):
        read_mask(save(np.full((4, 4), 0.5, np.float32), tmp_path / "f.tif"))
    with pytest.raises(DataError, match=r"m\.jpg: JPEG blurs the labels"):
        read_mask(save(np.zeros((8, 8), np.uint8), tmp_path / "m.jpg"))


def test_masks_in_colours_need_a_palette(tmp_path: Path) -> None:
    colors = np.zeros((4, 5, 3), np.uint8)
    colors[1, 2] = (128, 64, 128)
    path = save(colors, tmp_path / "c.png")
    with pytest.raises(DataError, match=r"c\.png: is a mask in colours \(\(0, 0, 0\), \(128, 64, 128\)\).*data\.toml"):
        read_mask(path)
    labels = read_mask(path, [(1, 1, 1), (128, 64, 128), (0, 0, 0)])
    assert labels.tolist() == [[2] * 5, [2, 2, 1, 2, 2], [2] * 5, [2] * 5]
    with pytest.raises(DataError, match=r"c\.png: has colour \(128, 64, 128\) at row 1, column 2"):
        read_mask(path, [(0, 0, 0), (1, 1, 1)])


def test_write_labels_round_trip(tmp_path: Path) -> None:
    labels = np.arange(256).reshape(16, 16)
    write_labels(tmp_path / "a.png", labels, [(1, 2, 3), (4, 5, 6)])
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:9] == [1, 2, 3, 4, 5, 6, 0, 128, 0]
    assert np.array_equal(read_mask(tmp_path / "a.png"), labels)
    write_labels(tmp_path / "b.png", torch.from_numpy(labels + 400))
    assert np.array_equal(read_mask(tmp_path / "b.png"), labels + 400)


@pytest.mark.parametrize(
    "labels",
    [np.full((2, 2), -1), np.full((2, 2), 70000), np.zeros((1, 2, 2), int), np.zeros((2, 2)), np.zeros((0, 2), int)],
)
def test_write_labels_refuses_what_is_no_label_map(tmp_path: Path, labels) -> None:
    with pytest.raises(DataError):
        write_labels(tmp_path / "a.png", labels)
    assert not list(tmp_path.iterdir())


def test_write_labels_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/a\.png: cannot be written"):
        write_labels(tmp_path / "none" / "a.png", np.zeros((2, 2), int))


def test_voc_palette_is_the_published_one() -> None:
    colors = voc_palette(256)
    published = {1: (128, 0, 0), 7: (128, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 16: (0, 64, 0)}
    published |= {20: (0, 64, 128), 255: (224, 224, 192)}
    assert {label: colors[label] for label in published} == published
    assert len(set(colors)) == 256
    assert voc_palette(3) == colors[:3]
