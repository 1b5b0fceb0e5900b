"""Proving that published weights are what their record says, and still answer as they did."""

from pathlib import Path
from typing import NamedTuple

from zoo.errors import ZooError
from zoo.hub.pull import here, obtain, pull
from zoo.hub.record import Record


class Outcome(NamedTuple):
    """What became of a record.

    Attributes:
        name: The record's.
        status: ``"ok"``, ``"wrong"`` or ``"not here"``.
        message: What was done, or what is wrong.
    """

    name: str
    status: str
    message: str


def verify(record: Record, *, fetch: bool = False) -> Outcome:
    """Hash the files of a record, load the model, and replay its golden pair where it has one.

    Args:
        record: Which.
        fetch: Fetch what is not on this machine; otherwise that is ``"not here"``.
    """
    try:
        record.check()
        path = pull(record) if fetch or _beside_its_index(record) else here(record)
        if path is None:
            return Outcome(record.name, "not here", "")
        return Outcome(record.name, "ok", ", ".join(_replay(record, path)))
    except ZooError as error:
        return Outcome(record.name, "wrong", str(error))


def _beside_its_index(record: Record) -> bool:
    """Whether its files should be in a folder of this machine: then a missing one is wrong."""
    return bool(record.files) and bool(record.base) and "://" not in record.base


def _replay(record: Record, path: Path) -> list[str]:
    """Load and compare; returns what was done."""
    from zoo.hub.checkpoint import load
    from zoo.hub.golden import replay

    done = ["digests"]
    if record.of_encoder:
        return done
    model = load(path)
    done.append("loaded")
    if record.golden is not None:
        file, tolerance = record.golden
        mistake = replay(model, obtain([file])[0], tolerance)
        if mistake is not None:
            raise ZooError(f"{record.name}: {mistake}")
        done.append("golden pair replayed")
    return done
