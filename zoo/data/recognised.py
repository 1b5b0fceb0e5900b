"""Class tables of well-known data sets, and by what their folders are known."""

import re

from zoo import classes
from zoo.data.images import voc_palette
from zoo.data.labels import ClassTable
from zoo.data.layouts import Layout

CAMVID = ClassTable(
    classes=classes.CAMVID,
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    ignore=frozenset({11}),
    void=((0, 0, 0),),
)  # fmt: skip
"""CamVid in the 11 classes of SegNet (Badrinarayanan et al. 2017, and its tutorial's data)."""

VOC = ClassTable(
    classes=classes.VOC,
    palette=voc_palette(21),
    void=((224, 224, 192),),
)
"""PASCAL VOC segmentation (Everingham et al. 2010): 20 classes and background."""

_VOC_PICTURE = re.compile(r"20(07|08|09|10|11|12)_\d{6}")
_CAMVID_FRAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?\d+(_L)?")


def table_of(layout: Layout) -> ClassTable | None:
    """The table of a known data set: its tree, and in it nothing but names that it gives its pictures.

    The names matter: many a tool exports other classes in VOC's tree.
    """
    names = [pair.name for pairs in layout.splits.values() for pair in pairs]
    if layout.kind == "voc" and all(_VOC_PICTURE.fullmatch(name) for name in names):
        return VOC
    if layout.kind == "annot" and all(_CAMVID_FRAME.fullmatch(name) for name in names):
        return CAMVID
    return None
