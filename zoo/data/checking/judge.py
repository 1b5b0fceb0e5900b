"""What the values of all masks together say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.config import IGNORE, Color
from zoo.data.checking.look import MOST_COLORS, Look
from zoo.data.checking.report import Finding, SplitReport, counted
from zoo.data.checking.source import Source
from zoo.data.labels import MAX_CLASSES, ClassTable
from zoo.data.scan import binary_offer, count_classes, is_binary
from zoo.errors import DataError

FEW_IMAGES = 3
FEW_PIXELS = 1e-4
"""A class in fewer training images, or with a smaller share of their pixels, can hardly be learned."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the masks mean.

    Attributes:
        table: The classes, where the masks show them and nobody named them.
        values: File value → label that would make sense of masks whose values are no labels.
        colors: Colours that nobody named, the most frequent first.
        problems: What is wrong with all masks together.
        ignore: File values that are no labels.
    """

    table: ClassTable | None = None
    values: dict[int, int] | None = None
    colors: tuple[Color, ...] = ()
    problems: tuple[Finding, ...] = ()
    ignore: frozenset[int] = field(default_factory=frozenset)

    def labels(self, look: Look) -> Mapping[int, int] | None:
        """Label → pixels of a sample, as far as anybody can tell."""
        if look.labels is not None or self.table is None or look.values is None:
            return look.labels
        labels: Counter[int] = Counter()
        for value, pixels in look.values.items():
            labels[IGNORE if value in self.ignore else value] += pixels
        return labels


def judge_masks(source: Source, looks: Sequence[Look]) -> Verdict:
    """Find the classes of masks that nobody described, and what stands in the way."""
    files: Counter[int] = Counter()
    colored: Counter[Color] = Counter()
    for look in looks:
        files.update(look.values or ())
        colored.update(look.colors or {})
    where = source.where or Path(source.name)
    colors = tuple(color for color, _ in colored.most_common(MAX_CLASSES)) if len(colored) <= MOST_COLORS else ()
    offer = None
    if is_binary(files) and not source.states_255:
        offer = Finding("binary", binary_offer(where))
    if source.table is not None:
        return Verdict(values={0: 0, 255: 1} if offer else None, colors=colors, problems=(offer,) if offer else ())
    if colored:
        return Verdict(colors=colors, problems=(_colored(colored, looks, where),))
    if offer:
        return Verdict(values={0: 0, 255: 1}, problems=(offer,))
    if not files:
        return Verdict()  # no mask could be read, which is said elsewhere
    try:
        count = count_classes(files.keys(), source.ignore, where)
    except DataError as error:
        ordered = sorted({*files} - source.ignore)
        rows = tuple(_value(value, files[value], looks) for value in ordered)
        usable = 2 <= len(ordered) <= MAX_CLASSES
        values = {value: label for label, value in enumerate(ordered)} if usable else None
        return Verdict(values=values, problems=(Finding("values", str(error), rows),))
    return Verdict(table=ClassTable.numbered(count), ignore=source.ignore | {IGNORE})


def rare(splits: Sequence[SplitReport], table: ClassTable | None) -> list[Finding]:
    """Notes on images without a label, and on classes that can hardly be learned or measured."""
    notes = [
        Finding("blank", f"{one.blank} images of split {one.split} have no label at all")
        for one in splits
        if one.blank and any(one.pixels)
    ]
    train = next((one for one in splits if one.split == "train"), None)
    if table is None or train is None:
        return notes
    total = sum(train.pixels)
    few, unseen = [], []
    for name, pixels, images in zip(table.classes, train.pixels, train.occurrences, strict=True):
        if not pixels:
            unseen.append(name)
        elif images < FEW_IMAGES or pixels < FEW_PIXELS * total:
            few.append(f"{name}: {pixels:,} pixels in {counted(images, 'image')}")
    if unseen and total:
        notes.append(Finding("rare", f"{len(unseen)} classes do not occur in split train", tuple(unseen)))
    if few:
        notes.append(Finding("rare", f"{len(few)} classes hardly occur in split train", tuple(few)))
    return notes


def _colored(colors: Counter[Color], looks: Sequence[Look], where: Path) -> Finding:
    names = [look.name for look in looks if look.colors]
    if len(colors) > MOST_COLORS:
        text = f"more than {MOST_COLORS} colours, which is no mask but a photograph, or a mask that was blurred"
    else:
        text = (
            "colours, and nothing says which colour is which class; list `classes` and `palette` in a data.toml in "
            f"{where} (zoo data check --write-data-toml begins one)"
        )
    rows = [f"{color}: {pixels:,} pixels" for color, pixels in colors.most_common(MOST_COLORS)]
    return Finding("colours", f"{len(names)} masks hold {text}", tuple(rows))


def _value(value: int, files: int, looks: Sequence[Look]) -> str:
    pixels = sum(look.values.get(value, 0) for look in looks if look.values)
    first = next(look.name for look in looks if look.values and value in look.values)
    return f"value {value}: {pixels:,} pixels in {counted(files, 'mask')}, first in that of {first}"
