import os
import stat
import threading

import pytest

from zoo.files import atomic_path


def _left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_succeeds(tmp_path):
    target = tmp_path / "a.png"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert _left(tmp_path) == ["a.png"]


def test_an_old_file_is_replaced_or_untouched(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text(str("half" * (1 // 0)))
    assert target.read_text() == "old"
    assert _left(tmp_path) == ["a.txt"]
    with atomic_path(str(target)) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert _left(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_nothing_is_left_after_an_interruption(tmp_path, error):
    with pytest.raises(error), atomic_path(tmp_path / "a"):
        raise error
    assert _left(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_are_those_of_any_new_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "absent" / "a"):
        pass


def test_a_folder_in_the_way_is_an_os_error_and_stays(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a"), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert _left(tmp_path) == ["a"]
    assert (tmp_path / "a").is_dir()


def test_readers_never_see_half_a_file(tmp_path):
    target = tmp_path / "a"
    target.write_text("0" * 50_000)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(len(set(target.read_text())))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 30):
            with atomic_path(target) as temporary:
                temporary.write_text(str(number % 10) * 50_000)
    finally:
        done.set()
        reader.join()
    assert seen == {1}
    assert target.stat().st_size == 50_000
