"""Data sets, joint image and mask transforms, and inspection of a user's folder."""

from zoo.data.catalog import open_dataset
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.images import read_image, read_mask
from zoo.data.inspection import Inspection, inspect

__all__ = ["Inspection", "Sample", "SegmentationDataset", "inspect", "open_dataset", "read_image", "read_mask"]
