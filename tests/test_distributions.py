import sys
from importlib.metadata import Distribution

import pytest

from zoo.distributions import announcements

ENTRIES = {
    "plain": "[zoo.plugins]\nacme = zoo_acme\n",
    "among others": "[console_scripts]\nx = y:z\n\n[zoo.plugins]\nacme=zoo_acme\nsecond = zoo.second\n[other]\na = b\n",
    "with an attribute and extras": "[zoo.plugins]\nacme = zoo_acme:thing [extra]\n",
    "with comments and spaces": "# note\n\n[zoo.plugins]\n# note\n  acme  =  zoo_acme  \n",
    "named in another group only": "[console_scripts]\nzoo.plugins = y:z\n",
}


@pytest.fixture
def lay_out(tmp_path, monkeypatch):
    def put(entries, metadata="Metadata-Version: 2.1\nName: Zoo.Acme\nVersion: 1.5\n\nText", name="a-1.dist-info"):
        info = tmp_path / name
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(entries)
        if metadata:
            (info / ("METADATA" if name.endswith("dist-info") else "PKG-INFO")).write_text(metadata)
        return info

    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return put


@pytest.mark.parametrize("entries", ENTRIES)
def test_it_reads_what_importlib_reads(lay_out, entries):
    theirs = Distribution.at(lay_out(ENTRIES[entries]))
    expected = [(entry.name, entry.module) for entry in theirs.entry_points if entry.group == "zoo.plugins"]
    found = list(announcements())
    assert [(one.name, one.package) for one in found] == expected
    assert {one.origin for one in found} <= {f"{theirs.metadata['Name']} {theirs.version}"}


def test_an_egg_has_its_name_elsewhere(lay_out):
    lay_out(ENTRIES["plain"], name="zoo_acme.egg-info")
    assert [one.origin for one in announcements()] == ["Zoo.Acme 1.5"]


@pytest.mark.parametrize("metadata", ["", "\n\nName: in-the-description\n", "Summary: no name\n"])
def test_without_metadata_the_folder_gives_the_name(lay_out, metadata):
    lay_out(ENTRIES["plain"], metadata, name="zoo_acme-1.0.dist-info")
    assert [one.origin for one in announcements()] == ["zoo_acme-1.0"]


def test_of_one_distribution_in_two_folders_the_first_counts(lay_out, tmp_path, monkeypatch):
    lay_out(ENTRIES["plain"], name="x/a.dist-info")
    lay_out(ENTRIES["plain"], "Name: zoo_acme\nVersion: 2\n", name="y/a.dist-info")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "x"), str(tmp_path / "y")])
    assert [one.origin for one in announcements()] == ["Zoo.Acme 1.5"]


def test_what_an_older_copy_announces_besides_does_not_count(lay_out, tmp_path, monkeypatch):
    lay_out(ENTRIES["plain"], name="x/a.dist-info")
    lay_out(ENTRIES["among others"], "Name: zoo_acme\nVersion: 1\n", name="y/a.dist-info")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "x"), str(tmp_path / "y")])
    assert [one.name for one in announcements()] == ["acme"]


def test_two_distributions_with_one_entry_point_are_two(lay_out):
    lay_out(ENTRIES["plain"])
    lay_out(ENTRIES["plain"], "Name: other\nVersion: 2\n", name="b-1.dist-info")
    assert [one.origin for one in announcements()] == ["Zoo.Acme 1.5", "other 2"]


@pytest.mark.parametrize("line", ["no equals sign", "= nothing", "a = ???", "a =", "a = b c"])
def test_a_line_that_is_none_is_named(lay_out, line):
    lay_out(f"[zoo.plugins]\n{line}\n")
    (found,) = announcements()
    assert "line 2" in found.fault
