"""Everything that can be wrong with a data set is reported at once, by kind and by file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from data_folders import mask, pairs, picture, save, simple
from PIL import Image

from zoo.data import open_dataset
from zoo.data.checking import check, require
from zoo.data.checking.describe import write_description
from zoo.data.checking.sheet import contact_sheet, write_sheet
from zoo.errors import DataError, UnknownNameError


def split_folder(root: Path, train: int = 4, val: int = 3) -> Path:
    """images/train … with different pictures everywhere."""
    for split, count, first in (("train", train, 0), ("val", val, 100)):
        for seed in range(first, first + count):
            save(picture(seed=seed), root / "images" / split / f"{seed}.png")
            save(mask(), root / "masks" / split / f"{seed}.png")
    return root


def kinds(report) -> list[str]:
    return [problem.kind for problem in report.problems]


def test_a_clean_folder(tmp_path: Path) -> None:
    report = check(split_folder(tmp_path / "data"))
    assert report.ok
    assert [one.split for one in report.splits] == ["train", "val"]
    train = report.splits[0]
    assert train.sizes == ((12, 16, 4),)
    # bands of 6, 6 and 4 columns, 12 rows, 4 pictures
    assert train.pixels == (288, 288, 192)
    assert train.occurrences == (4, 4, 4)
    assert "No problems." in report.to_text()
    assert report.to_json()["splits"]["val"]["pixels"] == {"class 0": 216, "class 1": 216, "class 2": 144}


def test_everything_at_once(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data", train=8)
    (root / "data.toml").write_text('classes = ["a", "b", "c"]\n')
    train = root / "images" / "train"
    (train / "0.png").write_bytes(b"no picture")
    shutil.copy(train / "1.png", root / "images" / "val" / "100.png")
    (root / "masks" / "train" / "2.png").unlink()
    save(mask((0, 9)), root / "masks" / "train" / "3.png")
    save(mask(height=13), root / "masks" / "train" / "4.png")
    save(picture(), root / "masks" / "train" / "5.png")
    save(mask(), root / "masks" / "train" / "lonely.png")
    (root / "masks" / "train" / "6.png").write_bytes((root / "masks" / "train" / "6.png").read_bytes()[:60])
    report = check(root)
    assert sorted(kinds(report)) == ["colours", "duplicates", "no mask", "sizes", "unreadable", "values"]
    by_kind = {problem.kind: problem for problem in report.problems}
    assert len(by_kind["unreadable"].items) == 2
    assert by_kind["no mask"].items == ("images/train/2.png: has no mask",)
    assert "label value 9 at row 0, column 8" in by_kind["values"].items[0]
    assert "16 × 12, its mask 16 × 13" in by_kind["sizes"].items[0]
    assert by_kind["duplicates"].items == ("images/train/1.png = images/val/100.png",)
    assert [note.items for note in report.notes if note.kind == "stray masks"] == [("masks/train/lonely.png",)]
    text = report.to_text()
    assert "6 problems" in text
    assert "images/train/2.png" in text


def test_duplicates_are_found_by_pixels_not_by_bytes(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    Image.open(root / "images" / "train" / "0.png").save(root / "images" / "val" / "100.bmp")
    (root / "images" / "val" / "100.png").unlink()
    assert kinds(check(root)) == ["duplicates"]
    assert check(root, ["val"]).ok


def test_a_picture_twice_in_one_split_is_a_note(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    shutil.copy(root / "images" / "train" / "0.png", root / "images" / "train" / "1.png")
    report = check(root)
    assert report.ok
    assert [note.kind for note in report.notes] == ["repeated"]


def test_masks_of_0_and_255(tmp_path: Path) -> None:
    root = simple(tmp_path / "cells", labels=(0, 255))
    report = check(root)
    assert kinds(report) == ["binary"]
    assert check(root, values={0: 0, 255: 1}).ok
    write_description(report)
    assert check(root).ok
    assert open_dataset(root, "train").num_classes == 2
    with pytest.raises(DataError, match="is there already"):
        write_description(report)


def test_masks_in_colours(tmp_path: Path) -> None:
    root = simple(tmp_path / "data")
    colors = np.array([[10, 20, 30], [0, 0, 0], [200, 0, 0]], dtype=np.uint8)
    for path in (root / "masks").iterdir():
        save(colors[mask((0, 0, 2, 1))], path)
    report = check(root)
    assert kinds(report) == ["colours"]
    assert report.colors[0] == (10, 20, 30)
    write_description(report)
    assert check(root).ok
    assert open_dataset(root, "train").palette == report.colors
    assert set(np.unique(open_dataset(root, "train")[0].mask)) == {0, 1, 2}


def test_photographs_for_masks(tmp_path: Path) -> None:
    root = simple(tmp_path / "data")
    for seed, path in enumerate((root / "masks").iterdir()):
        save(picture(40, 40, seed), path)
    report = check(root)
    assert "no mask but a photograph" in report.short()
    with pytest.raises(DataError, match="do not show which classes"):
        write_description(report)


def test_grey_values_for_labels(tmp_path: Path) -> None:
    root = simple(tmp_path / "data", labels=(0, 100, 200))
    report = check(root)
    assert kinds(report) == ["values"]
    assert report.problems[0].items[1].startswith("value 100: ")
    assert report.values == {0: 0, 100: 1, 200: 2}
    write_description(report)
    assert check(root).ok


def test_a_split_without_labels(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    for path in (root / "masks" / "val").iterdir():
        save(mask((255,)), path)
    assert kinds(check(root)) == ["empty"]


def test_classes_that_hardly_occur(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    (root / "data.toml").write_text('classes = ["a", "b", "c", "d", "e"]\n')
    save(mask((0, 1, 2, 4)), root / "masks" / "train" / "0.png")
    notes = check(root).notes
    assert [note.items for note in notes] == [("d",), ("e: 48 pixels in 1 image",)]


def test_blank_masks_are_a_note(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    save(mask((255,)), root / "masks" / "train" / "0.png")
    report = check(root)
    assert report.ok
    assert report.notes[0].message == "1 images of split train have no label at all"


def test_lists_that_overlap(tmp_path: Path) -> None:
    root = simple(tmp_path / "data")
    (root / "train.txt").write_text("p00\np01\np02\n")
    (root / "val.txt").write_text("p02\np03\n")
    assert kinds(check(root)) == ["duplicates"]
    (root / "train.txt").write_text("p00\np01\nmissing\n")
    assert kinds(check(root)) == ["no picture", "no mask"]


def test_unions_of_splits_are_left_out(tmp_path: Path) -> None:
    assert [one.split for one in check(simple(tmp_path / "data")).splits] == ["train", "val"]


def test_it_does_not_depend_on_workers_and_reports_progress(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    moves: list[tuple[int, int]] = []
    one = check(root, workers=1, progress=lambda done, total: moves.append((done, total)))
    assert one == check(root, workers=4)
    assert moves == [(done, 7) for done in range(1, 8)]


def test_a_registered_set_that_is_made(tmp_path: Path) -> None:
    report = check("shapes", ["test"])
    assert report.ok
    assert report.splits[0].images == 200
    assert sum(report.splits[0].pixels) == 200 * 128 * 128
    require("shapes", ["train", "val"])


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        check("nothing_of_that_name")
    with pytest.raises(DataError, match="has no split 'tset'"):
        check(simple(tmp_path / "data"), ["tset"])
    with pytest.raises(DataError, match="workers is 0"):
        check(tmp_path / "data", workers=0)
    with pytest.raises(DataError, match="not on this machine"):
        check("camvid")


def test_training_refuses_with_a_short_report(tmp_path: Path) -> None:
    root = split_folder(tmp_path / "data")
    (root / "masks" / "val" / "100.png").unlink()
    with pytest.raises(DataError) as caught:
        require(root, ["train", "val"])
    assert "1 sample without a mask" in str(caught.value)
    assert "data.check=false" in str(caught.value)
    require(root, ["train"])


def test_what_was_right_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = split_folder(tmp_path / "data")
    require(root, ["train", "val"])
    with monkeypatch.context() as patched:
        patched.setattr("zoo.data.checking.source.look_at_files", lambda *_: pytest.fail("was read again"))
        require(root, ["train", "val"])
    (root / "images" / "train" / "0.png").write_bytes(b"damaged since")
    with pytest.raises(DataError, match="cannot be read"):
        require(root, ["train", "val"])


def test_a_sheet_of_samples(tmp_path: Path) -> None:
    root = simple(tmp_path / "cells", labels=(0, 255))
    report = check(root)
    write_sheet(tmp_path / "sheet.png", report, root, samples=4)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
    with pytest.raises(DataError, match="cannot be written"):
        write_sheet(tmp_path / "no" / "sheet.png", report, root)


def test_a_sheet_shows_the_picture_and_its_labels(tmp_path: Path) -> None:
    """A black picture, one label in pure green: 40 % of black and 60 % of green, right of the picture."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.toml").write_text('classes = ["a", "b"]\npalette = [[255, 0, 0], [0, 255, 0]]\n')
    for number in range(2):
        save(np.zeros((180, 90, 3), np.uint8), tmp_path / "data" / "images" / f"{number}.png")
        save(np.ones((180, 90), np.uint8), tmp_path / "data" / "masks" / f"{number}.png")
    sheet = np.asarray(contact_sheet([open_dataset(tmp_path / "data", "all")], samples=1))
    black, green = (sheet == 0).all(-1), (sheet == (0, 153, 0)).all(-1)
    assert black.sum() == green.sum() == 180 * 90
    assert np.argwhere(green).min(0)[1] == np.argwhere(black).max(0)[1] + 1


def test_real_data(shared_data: Path) -> None:
    report = check(shared_data / "camvid", ["val"])
    assert report.ok
    assert report.splits[0].sizes == ((360, 480, 101),)
    assert report.classes[3] == "Road"


def test_one_split_alone(tmp_path: Path) -> None:
    pairs(tmp_path / "d" / "train", tmp_path / "d" / "trainannot", ["a", "b"])
    assert [one.split for one in check(tmp_path / "d").splits] == ["train"]
