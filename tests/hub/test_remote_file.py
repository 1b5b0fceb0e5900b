"""What a record may say about a file; an index may come from anybody."""

import hashlib
import random
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from zoo.hub.fetching.file import DownloadError, RemoteFile, is_path

GOOD = ["a", "a.b", "nets/fcn8s.voc.safetensors", "a/b/c/d", "model-00001-of-00002.safetensors", "ä b", "-x", "~a"]
BAD = [
    "", "/", "/etc/passwd", "//host/share", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "C:\\a",
    "C:a", "c:/a", "\\\\host\\a", "a\\b", "..\\a", "a\0b", "a\nb", "a\x7f", "\u202egnp.exe", ".hidden", "a/.git/b",
    "a.", "a ", "a./b", "con", "CON.txt", "a/Nul", "lpt1.bin", "a:b", "a?b", "a*", "a|b", "a<b", 'a"b', "x" * 300,
    "\ud800", None, 3, b"a", ("a",),
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names(name: str) -> None:
    assert RemoteFile(name, ()).name == name


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_refused(name: Any) -> None:
    with pytest.raises(DownloadError, match="is no file name"):
        RemoteFile(name, ())


def test_no_name_leads_out_of_its_folder(tmp_path: Path) -> None:
    """Whatever is made of the parts that matter: what is accepted lies inside, and lies there on Windows too."""
    draw = random.Random(0)
    accepted = 0
    for _ in range(5000):
        name = "".join(draw.choice(["/", "..", ".", "\\", ":", "a", "C", " ", "~", "\0"]) for _ in range(5))
        try:
            RemoteFile(name, ())
        except DownloadError:
            continue
        accepted += 1
        assert (tmp_path / name).resolve().is_relative_to(tmp_path.resolve())
        windows = PureWindowsPath("D:\\cache") / name
        assert windows.is_relative_to("D:\\cache")
        assert ".." not in windows.parts
    assert accepted > 50


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/a",
        "HTTP://host/a",
        "data:,x",
        "javascript:x",
        "http:",
        "http:///a",
        "https://",
        "hf:///a",
        "http://host:port/a",
        "http://[::1/a",
        "a\nb",
        "http://host/a\r\nX: y",
        "",
        "https://user:secret@host/a",
        "https://user@host/a",
        None,
        3,
    ],
)
def test_addresses_that_are_refused(url: Any) -> None:
    with pytest.raises(DownloadError) as caught:
        RemoteFile("a", (url,))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        *(("a/b", True), ("/a", True), ("C:\\a", True), ("c:/a", True), ("./a:b", True)),
        *(("hf://a/b/c", False), ("xy:z", False), ("file:///a", False), ("https://a/b", False), ("FTP://x", False)),
    ],
)
def test_paths_and_addresses(url: str, path: bool) -> None:
    assert is_path(url) is path


@pytest.mark.parametrize(
    "known",
    [
        {"bytes": -1},
        {"bytes": "5"},
        {"bytes": 1.5},
        {"bytes": True},
        {"sha256": "abc"},
        {"sha256": "x" * 64},
        {"sha256": "a" * 65},
        {"sha256": ""},
        {"sha256": 5},
        {"sha256": " " + "a" * 63},
        {"md5": "a" * 32},
        {"md5": ("a" * 31,)},
        {"md5": (5,)},
        {"sha1": ("a" * 32,)},
        {"sha1": ("a" * 8,)},
        {"urls": "http://host/a"},
    ],
)
def test_what_cannot_be_right_is_refused(known: dict[str, Any]) -> None:
    with pytest.raises(DownloadError):
        RemoteFile(**{"name": "a", "urls": (), **known})


def test_lists_of_a_record_become_tuples() -> None:
    file = RemoteFile("a", ["https://host/a"], 5, "A" * 64, ["B" * 32], ["C" * 40])  # type: ignore[arg-type]
    assert file == RemoteFile("a", ("https://host/a",), 5, "a" * 64, ("b" * 32,), ("c" * 40,))
    assert hash(file)
    assert file.recognisable
    assert file.known_by == f"5 bytes, sha256 {'a' * 64}, sha1 {'c' * 40}, md5 {'b' * 32}"
    assert not RemoteFile("a", (), 5).recognisable
    assert RemoteFile("a", ()).known_by == ""


def test_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = random.Random(1).randbytes(3_000_000)
    path.write_bytes(content)
    sha256, sha1, md5 = (getattr(hashlib, kind)(content).hexdigest() for kind in ("sha256", "sha1", "md5"))
    zero = "0" * 40

    def mistake(**known: Any) -> str | None:
        return RemoteFile("a", (), **known).mistake(path)

    assert mistake() is None
    assert mistake(bytes=3_000_000, sha256=sha256, sha1=(zero, sha1), md5=(md5, zero[:32])) is None
    assert mistake(sha256=sha256[:8]) is None
    assert mistake(bytes=2_999_999) == "has 3,000,000 bytes, expected 2,999,999"
    assert mistake(sha256=zero + "0" * 24) == f"has sha256 {sha256}, expected {zero}{'0' * 24}"
    assert mistake(sha256=zero[:9]) == f"has sha256 {sha256[:9]}, expected {zero[:9]}"
    assert mistake(sha1=(zero, "1" * 40)) == f"has sha1 {sha1}, expected {zero} or {'1' * 40}"
    assert mistake(sha256=sha256, md5=(zero[:32],)) == f"has md5 {md5}, expected {zero[:32]}"
    with pytest.raises(FileNotFoundError):
        RemoteFile("a", ()).mistake(tmp_path / "absent")
