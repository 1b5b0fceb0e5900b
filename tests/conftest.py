"""What all tests share: offline, few threads, a home of their own."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tests run in parallel processes; more threads only get in each other's way
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest

if TYPE_CHECKING:
    from click.testing import Result

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so do its children

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of a test go into its own folder; settings of the developer's shell do not reach it."""
    for name in ("ZOO_PLUGINS", "ZOO_STRICT", "ZOO_DATA", "ZOO_HUB", "ZOO_CACHE", "ZOO_OFFLINE", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the checkout; tests that need them skip where they are absent."""
    folder = Path(os.environ.get("ZOO_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set ZOO_TEST_DATA)")
    return folder


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry is made anew in this test, and forgets afterwards what the test registered."""
    from zoo import registry

    monkeypatch.setattr(registry, "_registry", None)
    monkeypatch.setattr(registry, "_local", {})


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Lays out a distribution that announces a plugin, as pip would; returns the folder for `sys.path`.

    The package raises when it is imported, unless `code` says otherwise. What was imported from it is forgotten.
    """
    site = tmp_path / "site"

    def lay_out(
        package: str,
        manifest: str | bytes | None,
        *,
        code: str = "raise RuntimeError('the package was imported')",
        modules: Mapping[str, str] = {},
        entry_points: str | bytes | None = None,
        metadata: str | None = None,
    ) -> Path:
        folder = site.joinpath(*package.split("."))
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code)
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        if manifest is not None:
            data = manifest if isinstance(manifest, bytes) else manifest.encode()
            (folder / "plugin.toml").write_bytes(data)
        first = package.partition(".")[0]
        info = site / f"{first}-1.0.dist-info"
        info.mkdir()
        if metadata is None:
            metadata = f"Metadata-Version: 2.1\nName: {first.replace('_', '-')}\nVersion: 1.0\n"
        if metadata:
            (info / "METADATA").write_text(metadata)
        if entry_points is None:
            entry_points = f"[zoo.plugins]\n{first} = {package}\n"
        (info / "entry_points.txt").write_bytes(
            entry_points if isinstance(entry_points, bytes) else entry_points.encode()
        )
        return site

    yield lay_out
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(site)):
            del sys.modules[name]


@pytest.fixture
def zoo_command(tmp_path: Path, root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``python -m zoo ARGS`` in a process of its own, away from the checkout.

    Fails where a traceback is seen, and where the exit code is not `code`.
    """

    def run(
        *args: object,
        path: Sequence[Path] = (),
        env: Mapping[str, str] = {},
        flags: Sequence[str] = (),
        code: int = 0,
    ) -> subprocess.CompletedProcess[str]:
        python_path = os.pathsep.join(map(str, (*path, root)))
        done = subprocess.run(
            [sys.executable, *flags, "-m", "zoo", *map(str, args)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": python_path, **env},
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture
def zoo_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., "Result"]:
    """Runs the command line in this process: as `zoo_command`, without the seconds that importing torch takes."""
    from click.testing import CliRunner

    from zoo.cli import cli

    monkeypatch.chdir(tmp_path)

    def run(*args: object, code: int = 0) -> "Result":
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture
def narrow_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGGs of few channels: the published nets' geometry at a thousandth of their cost."""
    from zoo.encoders import vgg

    monkeypatch.setattr(vgg, "_CHANNELS", (4, 6, 8, 10, 12))
    monkeypatch.setattr(vgg, "_CLASSIFIER_CHANNELS", 16)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, laid out and called as torch.hub leaves GitHub's archive of it."""
    folder = tmp_path_factory.mktemp("home") / "hub" / "owner_zoo_main"
    folder.mkdir(parents=True)
    for name in ("zoo", "plugins", "tools", "tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("hubconf.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `sys.path` with every installed library, but without Zoo, however it was installed."""
    folder = tmp_path_factory.mktemp("libraries")
    for installed in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(installed).iterdir():
            if "zoo" not in entry.name and entry.suffix != ".pth" and entry.name != "__pycache__":
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def environment(tmp_path: Path, libraries: Path) -> tuple[Path, Path]:
    """A fresh virtual environment with all libraries but Zoo: its folder, and that of its packages."""
    from fresh_environment import create

    return create(tmp_path / "venv", libraries)
