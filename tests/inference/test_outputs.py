from pathlib import Path

import pytest

from zoo.errors import ZooError
from zoo.inference.outputs import plan, prepare


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path()


def test_files_and_folders(home):
    touch(home / "a.jpg", home / "d/b.PNG", home / "d/sub/b.tif", home / "d/notes.txt", home / "d/.hidden.png")
    touch(home / "d/.git/c.png", home / "d/x.y.webp")
    jobs, refused = plan([Path("a.jpg"), Path("d")], Path("out"))
    assert [(str(job.source), str(job.labels)) for job in jobs] == [
        ("a.jpg", "out/a.png"),
        ("d/b.PNG", "out/b.png"),
        ("d/x.y.webp", "out/x.y.png"),
        ("d/sub/b.tif", "out/sub/b.png"),
    ]
    assert str(jobs[2].overlay) == "out/x.y_overlay.png"
    assert refused == []


def test_a_file_that_is_named_is_taken_whatever_its_name(home):
    touch(home / "picture", home / ".hidden.png")
    assert len(plan([Path("picture"), Path(".hidden.png")], Path("out")).jobs) == 2


def test_a_picture_that_is_given_twice_is_done_once(home):
    touch(home / "d/a.jpg", home / "d/sub/b.jpg")
    jobs, _ = plan([Path("d"), Path("d/a.jpg"), Path("./d/sub/../a.jpg"), Path("d/sub")], Path("out"))
    assert [str(job.labels) for job in jobs] == ["out/a.png", "out/sub/b.png"]


def test_results_inside_the_folder_are_not_pictures(home):
    touch(home / "d/a.jpg", home / "d/out/a.png", home / "d/out/a_overlay.png")
    assert [str(job.source) for job in plan([Path("d")], Path("d/out"), force=True).jobs] == ["d/a.jpg"]


def test_what_is_of_no_use_is_listed_and_the_rest_done(home):
    touch(home / "a.jpg", home / "empty/readme.txt")
    jobs, refused = plan([Path("gone.jpg"), Path("empty"), Path("a.jpg")], Path("out"))
    assert len(jobs) == 1
    assert refused == [
        (Path("gone.jpg"), "no such file or folder"),
        (Path("empty"), "there are no pictures in this folder"),
    ]


@pytest.mark.parametrize(
    ("first", "second"), [("a.jpg", "a.png"), ("d/a.jpg", "e/a.jpg"), ("a.jpg", "e/a_overlay.jpg")]
)
def test_two_pictures_never_become_one_file(home, first, second):
    touch(home / first, home / second)
    with pytest.raises(ZooError, match="would both become out/a") as caught:
        plan([Path(first), Path(second)], Path("out"), force=True)
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_a_picture_is_never_replaced(home):
    touch(home / "d/a.png", home / "d/b.jpg")
    with pytest.raises(ZooError, match=r"d/a\.png is itself one of the pictures"):
        plan([Path("d")], Path("d"), force=True)
    assert plan([Path("d/b.jpg")], Path("d")).jobs[0].labels == Path("d/b.png")


def test_results_are_replaced_only_by_force(home):
    touch(home / "a.jpg", home / "b.jpg", home / "out/a.png", home / "out/b_overlay.png")
    with pytest.raises(ZooError, match=r"out/a\.png and 1 more would be replaced.*--force"):
        plan([Path("a.jpg"), Path("b.jpg")], Path("out"))
    assert len(plan([Path("a.jpg"), Path("b.jpg")], Path("out"), force=True).jobs) == 2


def test_the_folder_is_made(home):
    prepare(Path("new/deep"))
    prepare(Path("new/deep"))
    assert list(Path("new/deep").iterdir()) == []


@pytest.mark.parametrize("out", ["taken", "taken/deep"])
def test_a_file_is_no_folder(home, out):
    touch(home / "taken")
    with pytest.raises(ZooError, match=f"cannot write to the folder {out}: taken is a file"):
        prepare(Path(out))


def test_a_folder_that_cannot_be_written_to():
    with pytest.raises(ZooError, match="cannot write to the folder"):
        prepare(Path("/proc/zoo"))
