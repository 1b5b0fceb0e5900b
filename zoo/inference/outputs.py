"""Which pictures of a list of files and folders become which files; decided before any work is done."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zoo.data.images import is_picture
from zoo.errors import ZooError


class Job(NamedTuple):
    """One picture and the label map that it becomes."""

    source: Path
    labels: Path

    @property
    def overlay(self) -> Path:
        """Where the overlay of the label map lies."""
        return overlay_path(self.labels)


class Plan(NamedTuple):
    """What there is to do, and which of the given paths are of no use: (path, why)."""

    jobs: list[Job]
    refused: list[tuple[Path, str]]


def overlay_path(labels: Path) -> Path:
    """Where the overlay of a label map lies: ``a.png`` → ``a_overlay.png``."""
    return labels.with_name(f"{labels.stem}_overlay.png")


def plan(paths: Iterable[Path], out: Path, *, force: bool = False) -> Plan:
    """Decide what becomes what; nothing is read or written.

    A file ``a.jpg`` becomes ``out/a.png``. A folder is walked, and ``folder/x/a.jpg`` becomes ``out/x/a.png``; hidden
    files and folders and `out` itself are passed over. A picture that is given twice is done once.

    Args:
        paths: Files and folders.
        out: The folder to write to.
        force: Whether files that are there already may be replaced. A source never may.

    Raises:
        ZooError: Two pictures would become one file, a picture would be replaced by its own result, or, without
            `force`, a result is there already.
    """
    jobs: dict[Path, Job] = {}
    refused: list[tuple[Path, str]] = []
    for path in paths:
        found = list(_pictures(path, out)) if path.is_dir() else [(path, Path(path.name))]
        if not found:
            refused.append((path, "there are no pictures in this folder"))
        elif not path.exists():
            refused.append((path, "no such file or folder"))
        else:
            for source, relative in found:
                job = Job(source, out / relative.with_name(f"{relative.stem}.png"))
                jobs.setdefault(source.resolve(), job)
    _refuse_clashes(jobs)
    if not force:
        _refuse_existing(jobs.values())
    return Plan(list(jobs.values()), refused)


def prepare(out: Path) -> None:
    """Make the folder and prove that it can be written to; raises `ZooError`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        taken = next((part for part in (out, *out.parents) if part.is_file()), None)
        reason = f"{taken} is a file" if taken else error.strerror or str(error)
        raise ZooError(f"cannot write to the folder {out}: {reason}. Choose another with --out.") from None


def _pictures(folder: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (picture, its path relative to `folder`), sorted."""
    own = out.resolve()
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name).resolve() != own)
        for name in sorted(files):
            if is_picture(here / name):
                yield here / name, (here / name).relative_to(folder)


def _refuse_clashes(jobs: dict[Path, Job]) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs.values():
        for result in (job.labels, job.overlay):
            other = taken.setdefault(result, job.source)
            if other != job.source:
                raise ZooError(
                    f"{other} and {job.source} would both become {result}. Predict them into different folders, "
                    "or rename one."
                )
            if result.exists() and result.resolve() in jobs:
                raise ZooError(f"{result} is itself one of the pictures and would be replaced. Choose another --out.")


def _refuse_existing(jobs: Iterable[Job]) -> None:
    there = [result for job in jobs for result in (job.labels, job.overlay) if result.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ZooError(f"{there[0]}{more} would be replaced. Choose another --out, or replace with --force.")
