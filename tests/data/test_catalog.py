"""One door: registered names, folders, and helpful words for what is neither."""

from pathlib import Path

import pytest
from data_folders import simple

from zoo.data.catalog import open_dataset
from zoo.data.folder import FolderDataset
from zoo.data.shapes import Shapes
from zoo.errors import DataError, UnknownNameError
from zoo.registry import forget, register, registering_as, registry


def test_a_registered_name() -> None:
    dataset = open_dataset("shapes", "val", channels=1)
    assert isinstance(dataset, Shapes)
    assert dataset[0].image.shape[0] == 1
    assert {"camvid", "shapes", "voc2012"} <= {spec.name for spec in registry().find("dataset")}


def test_a_folder(tmp_path: Path) -> None:
    simple(tmp_path / "cells", 4)
    for data in (tmp_path / "cells", str(tmp_path / "cells"), f"{tmp_path}/cells/"):
        dataset = open_dataset(data, "train")
        assert isinstance(dataset, FolderDataset)
        assert dataset.name == "cells"


def test_a_registered_name_wins_over_a_folder_unless_it_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    simple(tmp_path / "shapes", 4)
    simple(tmp_path / "cells", 4)
    assert isinstance(open_dataset("shapes", "train"), Shapes)
    for data in ("./shapes", "shapes/", Path("shapes"), str(tmp_path / "shapes"), "cells"):
        assert isinstance(open_dataset(data, "train"), FolderDataset)


def test_names_with_a_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simple(tmp_path / "acme" / "folder", 4)
    with registering_as("acme"):
        register("dataset", "cells")(Shapes)
    try:
        assert isinstance(open_dataset("acme/cells", "train"), Shapes)
        assert isinstance(open_dataset("cells", "train"), Shapes)
        assert isinstance(open_dataset("acme/folder", "train"), FolderDataset)
        with pytest.raises(DataError, match="acme/other: no such folder"):
            open_dataset("acme/other", "train")
    finally:
        forget("acme")


def test_what_is_neither_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError) as error:
        open_dataset("shaps", "train")
    for part in ("'shaps'", "no folder", "Did you mean 'shapes'", "camvid"):
        assert part in str(error.value)
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("/nowhere/at/all", "train")
    with pytest.raises(DataError, match="data is empty"):
        open_dataset("", "train")


def test_root_is_for_registered_sets(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder already"):
        open_dataset(simple(tmp_path, 4), "train", root=tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data.zip").touch()
    with pytest.raises(DataError, match="is not a folder"):
        open_dataset(tmp_path / "data.zip", "train")


def test_a_plugin_that_makes_something_else_is_named() -> None:
    register("dataset", "odd")(_odd)
    try:
        with pytest.raises(DataError, match=r"data set 'odd' .* made a list"):
            open_dataset("odd", "train")
    finally:
        forget("local")


def _odd(split: str, *, channels=3, download=False, values=None, root=None) -> list[str]:
    return [split]
