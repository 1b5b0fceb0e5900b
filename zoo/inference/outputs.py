"""Which pictures of a list of files and folders become which files; decided before any work is done."""

import glob
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zoo.data.images import is_picture
from zoo.errors import ZooError


class Wanted(NamedTuple):
    """Which files a picture becomes, besides its label map."""

    overlay: bool = True
    probabilities: bool = False
    polygons: bool = False


class Job(NamedTuple):
    """One picture and what it becomes."""

    source: Path
    labels: Path
    wanted: Wanted = Wanted()

    @property
    def overlay(self) -> Path:
        """Where the overlay of the label map lies."""
        return overlay_path(self.labels)

    @property
    def probabilities(self) -> Path:
        """Where the probabilities lie: ``a.npz``."""
        return self.labels.with_suffix(".npz")

    @property
    def polygons(self) -> Path:
        """Where the polygons lie: ``a.geojson``."""
        return self.labels.with_suffix(".geojson")

    @property
    def areas(self) -> Path:
        """Where the table of areas lies, which comes with the polygons: ``a.csv``."""
        return self.labels.with_suffix(".csv")

    @property
    def files(self) -> dict[str, Path]:
        """Everything that is written: kind → path."""
        found = {"labels": self.labels}
        if self.wanted.overlay:
            found["overlay"] = self.overlay
        if self.wanted.probabilities:
            found["probabilities"] = self.probabilities
        if self.wanted.polygons:
            found |= {"polygons": self.polygons, "areas": self.areas}
        return found


class Plan(NamedTuple):
    """What there is to do, and which of the given paths are of no use: (path, why)."""

    jobs: list[Job]
    refused: list[tuple[Path, str]]


def overlay_path(labels: Path) -> Path:
    """Where the overlay of a label map lies: ``a.png`` → ``a_overlay.png``."""
    return labels.with_name(f"{labels.stem}_overlay.png")


_PLAIN = Wanted()


def plan(
    paths: Iterable[Path], out: Path, *, force: bool = False, wanted: Wanted = _PLAIN, page: Path | None = None
) -> Plan:
    """Decide what becomes what; nothing is read or written.

    A file ``a.jpg`` becomes ``out/a.png``. A folder is walked, and ``folder/x/a.jpg`` becomes ``out/x/a.png``; hidden
    files and folders and `out` itself are passed over. So it is with what a pattern finds, ``folder/**/*.jpg``, counted
    from its part without stars. A picture that is given twice is done once.

    Args:
        paths: Files, folders and patterns.
        out: The folder to write to.
        force: Whether files that are there already may be replaced. A source never may.
        wanted: Which files a picture becomes.
        page: A file that is made of all pictures.

    Raises:
        ZooError: Two pictures would become one file, a picture would be replaced by its own result, or, without
            `force`, a result is there already.
    """
    jobs: dict[Path, Job] = {}
    refused: list[tuple[Path, str]] = []
    for path in paths:
        found, trouble = _found(path, out)
        if trouble:
            refused.append((path, trouble))
        for source, relative in found:
            job = Job(source, out / relative.with_name(f"{relative.stem}.png"), wanted)
            jobs.setdefault(source.resolve(), job)
    _refuse_clashes(jobs, page)
    if not force:
        refuse_existing(jobs.values(), page)
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


def _found(path: Path, out: Path) -> tuple[list[tuple[Path, Path]], str]:
    """The pictures that a path means, with their paths relative to it; or why there are none."""
    if path.is_dir():
        inside = list(_pictures(path, out))
        return inside, "" if inside else "there are no pictures in this folder"
    if path.exists():
        return [(path, Path(path.name))], ""
    if not glob.has_magic(str(path)):
        return [], "no such file or folder"
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    own = out.resolve()
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    pictures = [
        match for match in matches if match.is_file() and is_picture(match) and own not in match.resolve().parents
    ]
    return [(match, match.relative_to(fixed)) for match in pictures], "" if pictures else "no picture matches"


def _pictures(folder: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (picture, its path relative to `folder`), sorted."""
    own = out.resolve()
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name).resolve() != own)
        for name in sorted(files):
            if is_picture(here / name):
                yield here / name, (here / name).relative_to(folder)


def _refuse_clashes(jobs: dict[Path, Job], page: Path | None) -> None:
    taken: dict[Path, Path] = {} if page is None else {page: Path("--sheet")}
    for job in jobs.values():
        for result in job.files.values():
            other = taken.setdefault(result, job.source)
            if other != job.source:
                raise ZooError(
                    f"{other} and {job.source} would both become {result}. Predict them into different folders, "
                    "or rename one."
                )
            if result.exists() and result.resolve() in jobs:
                raise ZooError(f"{result} is itself one of the pictures and would be replaced. Choose another --out.")


def refuse_existing(jobs: Iterable[Job], page: Path | None = None, *, going_on: bool = False) -> None:
    """Raise `ZooError` where a result is there already; when `going_on`, it was made otherwise."""
    results = [result for job in jobs for result in job.files.values()] + ([page] if page else [])
    there = [result for result in results if result.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        otherwise = " was made by another model, with other options or of another picture, and" if going_on else ""
        go_on = "" if going_on else "Go on with what is missing with --continue, "
        replace = "replace" if go_on else "Replace"
        raise ZooError(
            f"{there[0]}{more}{otherwise} would be replaced. {go_on}{replace} with --force, or choose another --out."
        )
