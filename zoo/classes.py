"""Class tables of well-known data sets, by name; torch-free, so that manifests can name them."""

from collections.abc import Sequence

from zoo.errors import CheckpointError

VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""PASCAL VOC segmentation (Everingham et al. 2010): 20 classes and background."""

CAMVID = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
)  # fmt: skip
"""CamVid in the 11 classes of SegNet (Badrinarayanan et al. 2017, and its tutorial's data)."""

PASCAL_CONTEXT = (
    *VOC, "bag", "bed", "bench", "book", "building", "cabinet", "ceiling", "clothes", "computer", "cup", "door",
    "fence", "floor", "flower", "food", "grass", "ground", "keyboard", "light", "mountain", "mouse", "curtain",
    "platform", "sign", "plate", "road", "rock", "shelves", "sidewalk", "sky", "snow", "bedcloth", "track", "tree",
    "truck", "wall", "water", "window", "wood",
)  # fmt: skip
"""PASCAL-Context (Mottaghi et al. 2014): its 59 most frequent classes and background."""

NYUD = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books",
    "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip
"""NYUDv2 in the 40 classes of Gupta et al. (ECCV 2014)."""

SIFT_FLOW = (
    "awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk", "desert", "door",
    "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole", "river", "road", "rock", "sand", "sea",
    "sidewalk", "sign", "sky", "staircase", "streetlight", "sun", "tree", "window",
)  # fmt: skip
"""SIFT Flow (Liu, Yuen, Torralba 2011): its 33 semantic classes."""

KNOWN = {
    "camvid": CAMVID, "nyud": NYUD, "pascal_context": PASCAL_CONTEXT, "siftflow": SIFT_FLOW, "voc": VOC,
}  # fmt: skip
"""Name → classes in label order."""


def named_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """The classes that a record names: a table of `KNOWN`, or the names themselves.

    Raises:
        CheckpointError: There is no such table.
    """
    if not isinstance(classes, str):
        return tuple(map(str, classes))
    if classes not in KNOWN:
        raise CheckpointError(f"there is no table of classes {classes!r}; there are {', '.join(KNOWN)}")
    return KNOWN[classes]
