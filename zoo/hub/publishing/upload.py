"""Publishing to a repository on Hugging Face, in one commit."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.hub.fetching.address import hugging_face
from zoo.hub.fetching.cache import offline_switch
from zoo.hub.index import FILE
from zoo.hub.publishing.markup import GENERATOR
from zoo.hub.publishing.overview import readme
from zoo.hub.publishing.placing import PAGE, Placed, Prepared, place, taken
from zoo.hub.publishing.prepare import Wanted, prepare
from zoo.hub.record import Record

if TYPE_CHECKING:
    from huggingface_hub import HfApi

README = "README.md"
_ADDRESS = re.compile(r"hf://(?P<repo>[\w.\-]+/[\w.\-]+)(?:@(?P<revision>[^@\s]+))?/?")
_ATTEMPTS = 5
_MOVED = 412  # the answer where the branch is no longer where it was


class UploadError(ZooError):
    """A repository that cannot be written to, and why."""


class _MovedError(Exception):
    """Somebody else has committed meanwhile."""


def upload(wanted: Wanted, to: str, *, force: bool = False) -> Record:
    """Make a record's files and commit them, with an index that has the repository's other records too.

    The repository is made if there is none. Where somebody else commits meanwhile, the index is merged anew. The
    token is that of ``HF_TOKEN``, or of ``hf auth login``.

    Args:
        wanted: What is to be published.
        to: ``hf://org/repo[@branch]``.
        force: Replace a record of that name.

    Raises:
        UploadError: It is no such address, there is no connection, or no permission.
        RecordError: There is such a record already, or the repository's index is damaged.
    """
    found = _ADDRESS.fullmatch(to)
    if found is None:
        raise UploadError(f"{to}: expected hf://ORGANISATION/REPOSITORY[@BRANCH]")
    switch = offline_switch()
    if switch is not None:
        raise UploadError(f"{to} cannot be published to: {switch} forbids connections")
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hugging_face(), token=os.environ.get("HF_TOKEN") or None, library_name="zoo")
    repository, branch = found["repo"], found["revision"] or "main"
    with tempfile.TemporaryDirectory(prefix="zoo-") as temporary:
        here = Path(temporary)
        with _asking(to):
            api.create_repo(repository, exist_ok=True)
            head, names = _state(api, repository, branch)
            _mirror(api, repository, head, names, here / "before")
        taken(here / "before", wanted.name, force=force)
        (here / "stage").mkdir()
        prepared = prepare(wanted, here / "stage")
        for attempt in range(_ATTEMPTS):
            with _asking(to):
                head, names = _state(api, repository, branch)
                hub = here / f"hub{attempt}"
                _mirror(api, repository, head, names, hub)
            placed = place(_copied(prepared, here / f"stage{attempt}"), hub, force=force, address=to)
            try:
                with _asking(to):
                    _commit(api, repository, branch, head, names, hub, _with_readme(placed, hub, to))
            except _MovedError:
                continue
            return Record(placed.record.name, placed.record.table, to, to)
    raise UploadError(f"{to}: others commit to it all the time; try again later")


def _state(api: "HfApi", repository: str, branch: str) -> tuple[str | None, set[str]]:
    """The commit that the branch is at, and the files that it has."""
    info = api.model_info(repository, revision=branch)
    return info.sha, {entry.rfilename for entry in info.siblings or []}


def _mirror(api: "HfApi", repository: str, head: str | None, names: set[str], folder: Path) -> None:
    """What the repository has of a hub's own files, in a folder."""
    folder.mkdir()
    for name in (FILE, PAGE, README):
        if name in names:
            api.hf_hub_download(repository, name, revision=head, local_dir=folder)


def _copied(prepared: Prepared, folder: Path) -> Prepared:
    """The same files under names of their own, which can be moved away."""
    folder.mkdir()
    copies = []
    for path in (*prepared.weights, prepared.golden):
        copy = folder / path.name
        try:
            copy.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, copy)
        copies.append(copy)
    return replace(prepared, weights=copies[:-1], golden=copies[-1])


def _with_readme(placed: Placed, hub: Path, address: str) -> Placed:
    """Write the first page of the repository, unless somebody wrote one of their own."""
    path = hub / README
    if path.exists() and GENERATOR not in path.read_text(encoding="utf-8", errors="replace"):
        return placed
    path.write_text(readme(placed.records, address), encoding="utf-8")
    return replace(placed, written=[*placed.written, README])


def _commit(
    api: "HfApi", repository: str, branch: str, head: str | None, names: set[str], hub: Path, placed: Placed
) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.errors import HfHubHTTPError

    additions = [CommitOperationAdd(name, hub / name) for name in placed.written]
    deletions = [CommitOperationDelete(name) for name in placed.stale if name in names]
    try:
        api.create_commit(
            repository,
            [*additions, *deletions],
            commit_message=f"Publish {placed.record.name}",
            revision=branch,
            parent_commit=head,
        )
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code == _MOVED:
            raise _MovedError from None
        raise


@contextmanager
def _asking(to: str) -> Iterator[None]:
    """Turn whatever the library raises into one line; its errors come from several other libraries."""
    try:
        yield
    except (ZooError, _MovedError):
        raise
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        advice = "; set HF_TOKEN to a token that may write there" if status in (401, 403, 404) else ""
        raise UploadError(f"{to} cannot be published to: {reason.rstrip('.')}{advice}") from error
