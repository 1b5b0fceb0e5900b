"""Pictures that hold a class come as often as was asked."""

import logging

import pytest
import torch
from torchvision import tv_tensors

from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.repeated import Repeated


class Marked(SegmentationDataset):
    """Five pictures; the masks hold {0}, {1}, {2}, {1, 2} and nothing."""

    name, split, classes, palette = "marked", "train", ("sky", "chair", "sofa"), ((0, 0, 0), (1, 1, 1), (2, 2, 2))
    held = ((0, 0), (1, 0), (2, 2), (1, 2), (255, 255))

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, index: int) -> Sample:
        mask = torch.tensor([self.held[index]])
        return Sample(tv_tensors.Image(torch.full((3, 1, 2), index, dtype=torch.uint8)), tv_tensors.Mask(mask))


def test_the_most_frequent_class_of_a_picture_decides() -> None:
    repeated = Repeated(Marked(), {"chair": 2, "sofa": 3})
    assert repeated.indices == [0, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert [int(repeated[index].image[0, 0, 0]) for index in range(len(repeated))] == repeated.indices
    assert repeated.label(9) == "train/00004"
    assert repeated.size(9) == (1, 2)
    assert repeated.labels(8).tolist() == [[1, 2]]
    assert (repeated.classes, repeated.split) == (Marked.classes, "train")


def test_a_name_that_is_no_class_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "zoo"):
        repeated = Repeated(Marked(), {"chairs": 2, "bicycle": 5})
    assert repeated.indices == [0, 1, 2, 3, 4]
    assert "Did you mean 'chair'?" in caplog.text
    assert "bicycle" in caplog.text
