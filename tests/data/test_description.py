"""data.toml says what pictures cannot, and mistakes in it are named."""

from pathlib import Path

import pytest

from zoo.data.description import read_description
from zoo.data.images import voc_palette
from zoo.errors import DataError


def described(folder: Path, text: str):
    (folder / "data.toml").write_text(text, encoding="utf-8")
    return read_description(folder)


def test_nothing_said(tmp_path: Path) -> None:
    description = read_description(tmp_path)
    assert description.table.classes == ()
    assert description.values is None


def test_everything_said(tmp_path: Path) -> None:
    description = described(
        tmp_path,
        'name = "cells"\nclasses = ["ground", "cell"]\npalette = [[0, 0, 0], [255, 255, 255]]\n'
        "ignore = [7, 255, [1, 2, 3]]\nvalues = {0 = 0, 100 = 1}\n",
    )
    assert description.name == "cells"
    assert description.table.classes == ("ground", "cell")
    assert description.table.palette == ((0, 0, 0), (255, 255, 255))
    assert description.table.ignore == {7, 255}
    assert description.table.void == ((1, 2, 3),)
    assert description.values == {0: 0, 100: 1}
    assert description.states_255


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("classes = 3", ("class 0", "class 1", "class 2")),
        ("values = {0 = 0, 255 = 1}", ("class 0", "class 1")),
        ("palette = [[0, 0, 0], [1, 1, 1]]", ("class 0", "class 1")),
        ("ignore = 4", ()),
    ],
)
def test_the_number_of_classes_follows_from_what_is_there(tmp_path: Path, text: str, classes: tuple[str, ...]) -> None:
    table = described(tmp_path, text).table
    assert table.classes == classes
    if "palette" not in text:
        assert table.palette == voc_palette(len(classes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = [", "cannot be read"),
        ('clases = ["a"]', "no key 'clases'. Did you mean 'classes'"),
        ("name = 3", "name is 3"),
        ("classes = []", "classes are 0"),
        ("classes = 256", "classes are 256"),
        ("classes = true", "classes is True"),
        ('classes = ["a", 3]', "a list of names, or their number"),
        ('classes = ["a", "a"]', "classes repeats 'a'"),
        ("palette = [[0, 0]]", r"list of \[red, green, blue\]"),
        ("palette = [[0, 0, 256]]", r"list of \[red, green, blue\]"),
        ("classes = 3\npalette = [[0, 0, 0]]", "1 colours for 3 classes"),
        ("values = 3", "a table is expected"),
        ("values = {a = 3}", "values maps 'a'"),
        ("classes = 1\nvalues = {0 = 0, 1 = 1}", "label 1, but there are 1 classes"),
        ('ignore = "x"', "ignore is 'x'"),
        ("ignore = -1", "ignore is -1"),
        ("ignore = [true]", "ignore is"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"data\.toml: .*{message}"):
        described(tmp_path, text)


def test_another_encoding_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_bytes('name = "größe"'.encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read"):
        read_description(tmp_path)
