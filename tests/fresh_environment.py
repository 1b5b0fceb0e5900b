"""Environments that hold nothing but what a test installs into them, and wheels made for that."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from zoo.hub.fetching.lock import locked

Environment = tuple[Path, Path]
"""Its folder, and that of its packages."""


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, once for all processes of a test run; nobody else may write to it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with locked(folder):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what somebody has left who failed
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def run(*command: object, cwd: Path, **env: str) -> str:
    """What a command prints; fails where it fails."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, env={**clean, **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def create(folder: Path, libraries: Path) -> Environment:
    """A virtual environment that sees the packages in `libraries`."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    return folder, packages


def install(environment: Environment, *what: object, cwd: Path) -> None:
    """Install wheels or folders, from here and without what they depend on."""
    folder, _ = environment
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--disable-pip-version-check"]
    run(*pip, "install", "--no-deps", "--no-index", "--no-build-isolation", *what, cwd=cwd)


def install_into(site: Path, *wheels: Path) -> None:
    """Install wheels into a folder for `sys.path`, over what is there."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade"]
    run(*pip, "--no-deps", "--no-index", "--no-compile", "--target", site, *wheels, cwd=site.parent)


def wheel(folder: Path, package: str, files: Mapping[str, str], *, version: str = "1.0", entry: str = "") -> Path:
    """Write the wheel of a plugin.

    Args:
        folder: Where to.
        package: The package, ``"zoo_acme"``; the distribution is ``zoo-acme``.
        files: Path within the package → text.
        version: Of the distribution.
        entry: The line of its entry point; by default ``"acme = zoo_acme"``.
    """
    path = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    name = package.replace("_", "-")
    default = f"{package.removeprefix('zoo_')} = {package}"
    everything = {f"{package}/{file}": text for file, text in files.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[zoo.plugins]\n{entry or default}\n",
    }
    record = "".join(f"{file},,\n" for file in [*everything, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in [*everything.items(), (f"{info}/RECORD", record)]:
            archive.writestr(file, text)
    return path
