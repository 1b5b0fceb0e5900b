"""Reading a whole data set once and judging it."""

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from zoo.config import IGNORE
from zoo.data.checking import remembered
from zoo.data.checking.judge import Verdict, judge_masks, rare
from zoo.data.checking.look import Look
from zoo.data.checking.report import Finding, Report, SplitReport, counted
from zoo.data.checking.source import UNIONS, Source, open_source
from zoo.data.description import FILE
from zoo.data.labels import ClassTable
from zoo.data.scan import parallel
from zoo.errors import DataError

_FAULTS = {
    "no picture": "{} listed without a picture",
    "no mask": "{} without a mask; every picture needs one of its name",
    "unreadable": "{} that cannot be read",
    "sizes": "{} whose picture and mask differ in size",
    "values": "{} whose mask holds values that are no labels",
    "colours": "{} whose mask holds colours that are no class",
}


def check(
    data: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    *,
    channels: int = 3,
    values: Mapping[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read every picture and every mask of a data set, and report all that is wrong.

    Args:
        data: A registered data set or a folder, as `zoo.data.open_dataset` takes it.
        splits: Those to look at; by default all, except for such as are others put together.
        channels: How pictures are to be read.
        values: File value → label.
        root: Where a registered data set lies.
        download: Fetch a registered data set that is not there.
        workers: Threads; by default as the machine has cores.
        progress: Called with (samples read, samples in all).

    Raises:
        UnknownNameError: Neither a registered data set nor a folder.
        DataError: There is nothing that could be looked at: no such split, no layout that is recognised, a data.toml
            that is wrong. What is wrong with the files themselves is reported, not raised.
    """
    if workers is not None and workers < 1:
        raise DataError(f"workers is {workers}; at least 1 is expected")
    source = open_source(data, splits, channels=channels, values=values, root=root, download=download)
    return _check(source, workers, progress)


def _check(source: Source, workers: int | None = None, progress: Callable[[int, int], None] | None = None) -> Report:
    keys = list(dict.fromkeys(key for keys in source.splits.values() for key in keys))
    looks: dict[Hashable, Look] = {}
    for key, look in zip(keys, parallel(source.look, keys, workers), strict=True):
        looks[key] = look
        if progress is not None:
            progress(len(looks), len(keys))
    seen = {split: [looks[key] for key in keys] for split, keys in source.splits.items()}
    return _judge(source, seen, list(looks.values()))


def require(
    data: str | os.PathLike[str],
    splits: Sequence[str],
    *,
    channels: int = 3,
    values: Mapping[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> None:
    """Refuse files with problems, with a short report; what was found right before is not read again.

    Data that are made rather than read are not looked at here.

    Raises:
        DataError: There are problems; and as `check` raises it.
        UnknownNameError: Neither a registered data set nor a folder.
    """
    source = open_source(data, splits, channels=channels, values=values, root=root, download=download)
    if source.where is None:
        return
    key = None
    if source.layout is not None:
        pairs = [pair for split in source.splits for pair in source.layout.samples(split)]
        asked = (source.name, sorted(source.splits), channels, sorted((values or {}).items()), source.table)
        key = remembered.key_of(pairs, source.where / FILE, asked)
    if key is not None and remembered.passed(key):
        return
    report = _check(source)
    if not report.ok:
        raise DataError(
            f"{report.short()}\nAll of it: zoo data check {shlex.quote(os.fspath(data))}. "
            "To train all the same: -o data.check=false"
        )
    if key is not None:
        remembered.remember(key)


def _judge(source: Source, seen: Mapping[str, list[Look]], looks: list[Look]) -> Report:
    problems = [Finding("empty", f"split {split} is empty") for split, found in seen.items() if not found]
    verdict = judge_masks(source, looks)
    items: dict[str, list[str]] = defaultdict(list)
    for look in looks:
        for kind, message in look.faults:
            items[kind].append(message)
    problems += [
        Finding(kind, text.format(counted(len(items[kind]), "sample")), tuple(items[kind]))
        for kind, text in _FAULTS.items()
        if items[kind]
    ]
    problems += verdict.problems
    table = source.table or verdict.table
    splits = tuple(_split(split, found, verdict, table) for split, found in seen.items())
    if table is not None:
        problems += [
            Finding("empty", f"split {one.split} has no labelled pixel: every one is ignored")
            for one in splits
            if one.images and one.ignored and not any(one.pixels)
        ]
    twins, repeated = _duplicates(seen, source.asked)
    problems += twins
    notes = [*repeated]
    strays = [] if source.layout is None else source.layout.strays()
    if strays and source.layout is not None:
        names = tuple(path.relative_to(source.layout.root).as_posix() for path in strays)
        notes.append(Finding("stray masks", f"{len(names)} masks belong to no picture; they are not used", names))
    notes += rare(splits, table)
    return Report(
        name=source.name,
        where="" if source.where is None else str(source.where),
        layout="" if source.layout is None else source.layout.kind,
        classes=() if table is None else table.classes,
        palette=() if table is None else table.palette,
        described=source.named,
        splits=splits,
        problems=tuple(problems),
        notes=tuple(notes),
        values=verdict.values,
        colors=verdict.colors,
        ignore=tuple(sorted(({*source.ignore} if table is None else {*source.ignore, *table.ignore}) - {IGNORE})),
    )


def _split(split: str, looks: Sequence[Look], verdict: Verdict, table: ClassTable | None) -> SplitReport:
    sizes = Counter(look.size for look in looks if look.size is not None)
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    count = 0 if table is None else len(table.classes)
    maps = [labels for look in looks if (labels := verdict.labels(look)) is not None]
    counts = np.array([[labels.get(label, 0) for label in range(count)] for labels in maps], dtype=np.int64)
    counts = counts.reshape(len(maps), count)
    return SplitReport(
        split=split,
        images=len(looks),
        sizes=tuple((height, width, number) for (height, width), number in ordered),
        pixels=tuple(counts.sum(axis=0).tolist()),
        occurrences=tuple((counts > 0).sum(axis=0).tolist()),
        ignored=sum(labels.get(IGNORE, 0) for labels in maps),
        blank=int((~(counts > 0).any(axis=1)).sum()),
    )


def _duplicates(seen: Mapping[str, list[Look]], asked: bool) -> tuple[list[Finding], list[Finding]]:
    """Pictures that two splits share, and such as one split holds twice; by their decoded pixels."""
    digests = {split: _by_digest(looks) for split, looks in seen.items()}
    shared = []
    for one, other in combinations(digests, 2):
        if {one, other} & UNIONS or not (asked or {one, other} <= {"train", "val", "test"}):
            continue  # lists of other names may overlap, unless somebody wants to use just these
        common = digests[one].keys() & digests[other].keys()
        items = sorted(f"{digests[one][key][0]} = {digests[other][key][0]}" for key in common)
        if items:
            some = counted(len(items), "picture")
            text = (
                f"{some} of split {other} also in {one}, pixel by pixel: what is measured on {other} would be too good"
            )
            shared.append(Finding("duplicates", text, tuple(items)))
    repeated = []
    for split, names in digests.items():
        items = sorted(" = ".join(same) for same in names.values() if len(same) > 1)
        if items:
            text = f"{counted(len(items), 'picture')} more than once in split {split}"
            repeated.append(Finding("repeated", text, tuple(items)))
    return shared, repeated


def _by_digest(looks: Iterable[Look]) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = defaultdict(list)
    for look in looks:
        if look.digest is not None:
            found[look.digest].append(look.name)
    return found
