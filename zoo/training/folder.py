"""The run folder: which files it holds, and who may write into it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import RunError
from zoo.files import atomic_path
from zoo.training import recipe as recipes
from zoo.training.recipe import FREE_ON_RESUME, Recipe


class RunFolder:
    """One run's files.

    Attributes:
        path: The folder.
        recipe: The resolved recipe.
        log: One JSON object per line.
        best: The weights with the highest mIoU on the validation split so far.
        last: The newest weights.
        state: Everything that `--resume` continues from.
        evaluation: More on the best weights.
        report: The page.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.toml"
        self.log = self.path / "metrics.jsonl"
        self.best = self.path / "best.safetensors"
        self.last = self.path / "last.safetensors"
        self.state = self.path / "state.pt"
        self.evaluation = self.path / "evaluation.json"
        self.report = self.path / "report.html"
        self._made: list[Path] = []

    @property
    def holds_run(self) -> bool:
        """Whether a run was begun here. An empty log is the trace of a process killed before it had begun."""
        begun = self.log.exists() and self.log.stat().st_size > 0
        return begun or any(path.exists() for path in (self.recipe, self.best, self.last, self.state))

    def prepare(self, *, resume: bool) -> None:
        """Make the folder, or find out now that it cannot be used.

        Raises:
            RunError: It holds a run already (and this is no resumption), it holds none (and this is one), it is
                not a folder, or nothing can be written there.
        """
        try:
            if resume:
                self.require_run()
            elif self.holds_run:
                raise RunError(
                    f"{self.path} already holds a run: continue it with --resume, or give another --out "
                    "(a run is never overwritten)"
                )
            self._make()
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            self.abandon()
            raise RunError(f"cannot write into {self.path}: {error.strerror or error}") from None

    def require_run(self) -> None:
        """Raise `RunError` where there is no run to resume."""
        if not self.recipe.is_file():
            raise RunError(f"nothing to resume in {self.path}: there is no {self.recipe.name}")

    def abandon(self) -> None:
        """Take back the folders that `prepare` made, as far as they are still empty."""
        while self._made:
            try:
                self._made.pop().rmdir()
            except OSError:
                break

    def reconcile(self, given: Recipe | None) -> Recipe:
        """The recipe that a resumed run follows: the stored one, with what `given` may change.

        ``"auto"`` in `given`, and input channels that it leaves open, stand for whatever the run resolved them to.

        Raises:
            RunError: `given` departs from the stored recipe in more than length, device and the like.
        """
        stored = recipes.load(self.recipe)
        if given is None:
            return stored
        wanted, before = given.to_json(), stored.to_json()
        for table, values in wanted.items():
            values.update(
                {key: before[table][key] for key, item in values.items() if item == "auto" and key in before[table]}
            )
        if "in_channels" in before["model"]:
            wanted["model"].setdefault("in_channels", before["model"]["in_channels"])
        wanted["data"]["name"] = before["data"]["name"] if same_data(stored, given) else wanted["data"]["name"]
        recipe = recipes.build(wanted)
        self.require_kept(departures(stored, recipe))
        return recipe

    def require_kept(self, changed: Sequence[str]) -> None:
        """Raise `RunError` where a resumed run would change these settings; see `departures`."""
        if changed:
            raise RunError(
                f"{self.path} was begun with other settings ({'; '.join(changed)}); a resumed run keeps them. "
                "Leave them out, or start a new run with another --out"
            )

    def tidy(self) -> None:
        """Remove the unfinished files of a process that was killed while it saved."""
        for path in (self.recipe, self.best, self.last, self.state, self.evaluation, self.report):
            for leftover in self.path.glob(f".{path.stem}.*{path.suffix}"):
                leftover.unlink(missing_ok=True)

    def write_recipe(self, recipe: Recipe) -> None:
        with atomic_path(self.recipe) as temporary:
            temporary.write_text(recipe.to_toml(), encoding="utf-8")

    def _make(self) -> None:
        missing = [self.path]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            if not path.exists():
                path.mkdir()
                self._made.append(path)
        if not self.path.is_dir():
            raise NotADirectoryError(None, "it is a file, not a folder")


def departures(stored: Recipe, wanted: Recipe) -> list[str]:
    """What a resumed run would change that it must keep, as `zoo.training.recipe.differences` puts it."""
    return [line for line in recipes.differences(stored, wanted) if line.partition(":")[0] not in FREE_ON_RESUME]


def same_data(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes mean the same data set: the same name, or two spellings of one folder."""
    if one.data.name == other.data.name:
        return True
    paths = [Path(recipe.data.name) for recipe in (one, other)]
    return all(path.is_dir() for path in paths) and os.path.samefile(*paths)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line: the disk is full, or the folder is gone."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write into {folder}: {error.strerror or error}; what was saved before is whole, and the run can "
            "be resumed from it"
        ) from None
