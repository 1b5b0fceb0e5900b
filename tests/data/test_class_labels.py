"""File values become labels, and a value that is none is named with its place."""

from pathlib import Path

import numpy as np
import pytest
from data_folders import save

from zoo.data.labels import ClassTable, Labelling, check_values, count_of
from zoo.errors import DataError


def test_without_a_mapping_values_are_labels_and_255_is_ignored() -> None:
    raw = np.array([[0, 1], [2, 255]], np.uint8)
    labels = Labelling(3).apply(raw, "m.png")
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, raw)


def test_mapping_and_ignored_values() -> None:
    labelling = Labelling(2, {0: 0, 7: 1, 9: 255}, ignore=[3])
    raw = np.array([[0, 7, 9, 3, 255]], np.uint16)
    assert labelling.apply(raw, "m").tolist() == [[0, 1, 255, 255, 255]]


def test_255_can_be_a_class() -> None:
    assert Labelling(2, {0: 0, 255: 1}).apply(np.array([[0, 255]], np.uint8), "m").tolist() == [[0, 1]]


def test_ignored_labels_below_the_class_count() -> None:
    assert Labelling(3, ignore=[1]).apply(np.array([[0, 1, 2]], np.uint8), "m").tolist() == [[0, 255, 2]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_a_value_out_of_range_is_named_with_its_place(dtype) -> None:
    raw = np.zeros((5, 6), dtype)
    raw[3, 4] = raw[4, 0] = 11
    with pytest.raises(DataError) as error:
        Labelling(11, ignore=[12]).apply(raw, "some/mask.png")
    for part in ("some/mask.png", "value 11", "row 3, column 4", "2 such pixels", "0…10", "12, 255 are ignored"):
        assert part in str(error.value)


@pytest.mark.parametrize("value", [-1, -32768, 65536, 2**31 - 1])
def test_values_beyond_16_bits(value: int) -> None:
    raw = np.zeros((2, 2), np.int32)
    raw[0, 1] = value
    with pytest.raises(DataError, match=f"value {value} at row 0, column 1"):
        Labelling(2).apply(raw, "m")


def test_a_mapping_is_complete() -> None:
    with pytest.raises(DataError, match=r"value 1 at row 0, column 0.*`values` lists 0, 128"):
        Labelling(2, {0: 0, 128: 1}).apply(np.ones((1, 1), np.uint8), "m")


def test_colours_become_labels_and_void_is_ignored(tmp_path: Path) -> None:
    table = ClassTable(("a", "b", "c"), ((1, 1, 1), (2, 0, 0), (0, 3, 0)), void=((0, 0, 0),))
    path = save(np.array([[[0, 3, 0], [0, 0, 0], [2, 0, 0]]], np.uint8), tmp_path / "m.png")
    assert Labelling(3, colors=table.colors()).read(path).tolist() == [[2, 255, 1]]
    merged = {0: 0, 1: 1, 2: 1}
    assert Labelling(2, merged, colors=table.colors(merged)).read(path).tolist() == [[1, 255, 1]]


def test_a_grey_mask_saved_as_rgb_is_mapped_by_its_values(tmp_path: Path) -> None:
    path = save(np.dstack([np.array([[0, 255]], np.uint8)] * 3), tmp_path / "m.png")
    assert Labelling(2, {0: 0, 255: 1}).read(path).tolist() == [[0, 1]]
    assert Labelling(2).read(path).tolist() == [[0, 255]]


def test_merging_joins_names_and_keeps_the_first_colour() -> None:
    table = ClassTable(("sky", "car", "bus", "tree"), ((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)), frozenset({9}))
    merged = table.merged({0: 0, 1: 1, 2: 1, 3: 255, 7: 3})
    assert merged.classes == ("sky", "car/bus", "class 2", "class 3")
    assert merged.palette[:2] == ((0, 0, 0), (1, 1, 1))
    assert merged.ignore == {9}
    assert table.merged(None) is table


def test_check_values_takes_toml_keys() -> None:
    assert check_values({"0": 0, "255": 1}, "x") == {0: 0, 255: 1}
    assert count_of({0: 0, 3: 4, 9: 255}) == 5


@pytest.mark.parametrize(
    "values",
    [
        {"a": 0},
        {-1: 0},
        {70000: 0},
        {0: 256},
        {0: -1},
        {0: "1"},
        {0: True},
        {True: 0},
        {0.5: 0},
        {0: 1.0},
        {},
        {0: 255},
    ],
)
def test_check_values_refuses_nonsense(values) -> None:
    with pytest.raises(DataError, match="here"):
        check_values(values, "here")
