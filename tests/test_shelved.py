import json
import os
import time

import pytest

from zoo import shelved
from zoo.errors import PluginError
from zoo.manifest import read_manifest
from zoo.shelved import Shelf

TEXT = """
api = 1
namespace = "acme"
summary = "Acme's nets"
hub = "https://acme.example"

[[architecture]]
name = "net"
target = "zoo_acme.net:net"
summary = "The Ácme net"
encoder = "resnet18"
needs = { strides = [8, 16, 32], output_stride = [8] }
from = { acme = "zoo_acme.names:translate" }

[[weights]]
name = "net.voc"
summary = "Trained"
model = "net"
metrics = { miou = 0.5 }
files = [{ name = "n.safetensors", bytes = 5, sha256 = "0123456789" }]

[[family]]
kind = "encoder"
target = "a:b"
summary = "s"
table = "table.json"
from = { acme = "zoo_acme.names:translate" }
"""


@pytest.fixture
def manifest(tmp_path):
    """A manifest that was written long ago."""
    path = tmp_path / "acme" / "plugin.toml"
    path.parent.mkdir()
    (path.parent / "table.json").write_text('{"entries": {}}')
    return _write(path, TEXT)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """A file counts as old at once; its change time cannot be set."""
    monkeypatch.setattr(shelved, "_SETTLED", -1000.0)


@pytest.fixture
def parsed(monkeypatch):
    """The files that were parsed."""
    paths = []

    def read(path, *, bare_names=False):
        paths.append(path)
        return read_manifest(path, bare_names=bare_names)

    monkeypatch.setattr(shelved, "read_manifest", read)
    return paths


def _write(path, text, age=1000):
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def _read(path, **options):
    shelf = Shelf()
    found = shelf.read(path, **options)
    shelf.keep()
    return found


@pytest.mark.parametrize("bare_names", [False, True])
def test_the_second_time_nothing_is_parsed_and_all_is_equal(manifest, parsed, bare_names):
    first, second = _read(manifest, bare_names=bare_names), _read(manifest, bare_names=bare_names)
    assert first == second == read_manifest(manifest, bare_names=bare_names)
    assert repr(first) == repr(second)
    assert parsed == [manifest]


def test_bare_and_prefixed_names_are_kept_apart(manifest):
    assert _read(manifest, bare_names=True).specs[0].name == "net"
    assert _read(manifest).specs[0].name == "acme/net"
    assert _read(manifest, bare_names=True).specs[0].name == "net"


def test_a_change_is_seen_even_if_time_and_size_are_the_same(manifest):
    """Its change time differs, which nobody can set."""
    _read(manifest)
    before = manifest.stat()
    time.sleep(0.05)
    manifest.write_text(TEXT.replace("Acme's nets", "Acme's beds"))
    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert manifest.stat().st_size == before.st_size
    assert manifest.stat().st_mtime_ns == before.st_mtime_ns
    assert _read(manifest).summary == "Acme's beds"


def test_another_file_in_its_place_is_seen(manifest):
    _read(manifest)
    other = _write(manifest.with_name("new.toml"), TEXT.replace('"net"', '"ten"'))
    other.replace(manifest)
    assert _read(manifest).specs[0].name == "acme/ten"


def test_what_was_written_a_moment_ago_is_not_kept(manifest, monkeypatch, parsed):
    monkeypatch.setattr(shelved, "_SETTLED", 2.0)
    _read(manifest), _read(manifest)
    assert parsed == [manifest, manifest]


def test_a_broken_one_is_said_each_time_and_a_mended_one_is_read(manifest):
    _read(manifest)
    _write(manifest, "not = = toml", 500)
    for _ in range(2):
        with pytest.raises(PluginError, match="cannot be read"):
            _read(manifest)
    _write(manifest, TEXT, 400)
    assert _read(manifest).namespace == "acme"
    manifest.unlink()
    with pytest.raises(PluginError, match=r"no plugin\.toml"):
        _read(manifest)


def test_another_zoo_reads_anew(manifest, monkeypatch, parsed):
    _read(manifest)
    monkeypatch.setattr(shelved, "__version__", "99")
    _read(manifest)
    assert len(parsed) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"meaning": 1}', "\x00"])
def test_a_damaged_cache_is_no_cache(manifest, damage):
    expected = _read(manifest)
    place = shelved._place()
    kept = json.loads(place.read_text())
    place.write_text(damage)
    assert _read(manifest) == expected
    (key,) = kept["manifests"]
    for table in ({}, {"namespace": "acme"}, {**kept["manifests"][key][1], "specs": [["too", "few"]]}, 5):
        place.write_text(json.dumps({**kept, "manifests": {key: [kept["manifests"][key][0], table]}}))
        assert _read(manifest) == expected


def test_without_a_writable_cache_it_works_all_the_same(manifest, tmp_path, monkeypatch, parsed):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "inside"))
    assert _read(manifest) == _read(manifest)
    assert len(parsed) == 2


def test_the_manifests_of_another_environment_are_kept_too(manifest, tmp_path, parsed, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    (other / "table.json").write_text('{"entries": {}}')
    other = _write(other / "plugin.toml", TEXT)
    _read(manifest), _read(other), _read(manifest)
    assert parsed == [manifest, other]
    monkeypatch.setattr(shelved, "_MOST", 1)
    third = _write(manifest.with_name("third.toml"), TEXT)
    _read(third)
    assert len(json.loads(shelved._place().read_text())["manifests"]) == 1
