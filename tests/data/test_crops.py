"""Crops of objects and of windows, as DeconvNet is trained on."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from data_folders import save
from torchvision import tv_tensors

from zoo.data import crops, open_dataset
from zoo.data.augment import augment_transform
from zoo.data.crops import Crop, ObjectCrops, ProposalCrops, balanced, cut, overlaps, windows
from zoo.data.dataset import Sample, SegmentationDataset
from zoo.data.loader import train_loader
from zoo.data.objects import Box, components, find_objects
from zoo.data.selective import selective_search
from zoo.errors import DataError


class Fixed(SegmentationDataset):
    """Given label maps; the picture shows 10 times the label, and the row in green."""

    name, split, classes, palette = "fixed", "train", ("ground", "a", "b", "c"), ((0, 0, 0),) * 4

    def __init__(self, *maps: np.ndarray) -> None:
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> Sample:
        labels = torch.from_numpy(self.maps[index].astype(np.int64))
        rows = torch.arange(labels.shape[0])[:, None].expand_as(labels)
        image = torch.stack([labels * 10 % 256, rows, labels]).to(torch.uint8)
        return Sample(tv_tensors.Image(image), tv_tensors.Mask(labels))


def two_objects() -> np.ndarray:
    labels = np.zeros((40, 60), dtype=np.uint8)
    labels[5:15, 10:30] = 1
    labels[12:32, 25:35] = 2  # over a corner of the first
    labels[0, 59] = 255
    return labels


def flood(labels: np.ndarray) -> list[set[tuple[int, int]]]:
    """Connected areas by walking from pixel to pixel."""
    left = {(r, c) for r in range(labels.shape[0]) for c in range(labels.shape[1])}
    areas = []
    while left:
        area, edge = set(), [left.pop()]
        while edge:
            at = edge.pop()
            area.add(at)
            for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                near = at[0] + step[0], at[1] + step[1]
                if near in left and labels[near] == labels[at]:
                    left.remove(near)
                    edge.append(near)
        areas.append(area)
    return areas


@pytest.mark.parametrize("seed", range(12))
def test_components_against_a_walk(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2 + seed % 3, (draw.integers(1, 24), draw.integers(1, 24)))
    numbers = components(labels)
    areas = flood(labels)
    assert len(np.unique(numbers)) == len(areas)
    for area in areas:
        assert len({int(numbers[at]) for at in area}) == 1


def test_a_snake_is_one_component() -> None:
    labels = np.zeros((41, 41), dtype=np.uint8)
    labels[::2] = 1
    labels[1::4, -1] = labels[3::4, 0] = 1
    assert len(np.unique(components(labels)[labels == 1])) == 1


def test_objects_and_their_boxes() -> None:
    things, numbers = find_objects(two_objects())
    assert [(thing.label, thing.box) for thing in things] == [(1, (5, 10, 15, 30)), (2, (12, 25, 32, 35))]
    assert (numbers == things[1].number).sum() == 200
    assert numbers[0, 59] == numbers[0, 0] == -1
    assert find_objects(two_objects(), least=199)[0][0].label == 2
    assert len(find_objects(np.zeros((3, 3), np.uint8))[0]) == 0


def test_instances_tell_touching_objects_apart() -> None:
    labels = np.ones((10, 20), dtype=np.uint8)
    instances = np.where(np.arange(20) < 8, 1, 2)[None].repeat(10, 0).astype(np.uint8)
    instances[:, 8] = 255
    boxes = [thing.box for thing in find_objects(labels, instances)[0]]
    assert boxes == [(0, 0, 10, 8), (0, 9, 10, 20)]


def test_a_box_enlarged() -> None:
    assert Box(10, 20, 20, 40).enlarged(1.2) == Box(9, 18, 21, 42)
    assert Box(0, 0, 3, 3).enlarged(1.2) == Box(-1, -1, 4, 4)


def test_an_object_alone_keeps_its_label() -> None:
    dataset = ObjectCrops(Fixed(two_objects()))
    assert len(dataset) == 2
    assert dataset.label(0) == "train/00000 [4:16, 8:32]"
    image, mask = dataset[0]
    assert mask.shape == (12, 24)
    assert image.shape == (3, 12, 24)
    assert set(mask.unique().tolist()) == {0, 1}
    assert (mask == 1).sum() == 20 * 10 - 3 * 5, "the second object hides a corner, and is background here"
    assert torch.equal(image[1], torch.arange(4, 16, dtype=torch.uint8)[:, None].expand(12, 24))


def test_beyond_the_picture_there_is_no_label() -> None:
    labels = np.zeros((20, 20), dtype=np.uint8)
    labels[:10, :10] = 3
    image, mask = ObjectCrops(Fixed(labels))[0]
    assert mask.shape == (12, 12)
    assert (mask[0] == 255).all()
    assert (mask[:, 0] == 255).all()
    assert (mask == 3).sum() == 100
    assert (image[:, 0] == 0).all()


def test_no_object_at_all() -> None:
    with pytest.raises(DataError, match="'train' holds no object of at least 100 pixels"):
        ObjectCrops(Fixed(np.zeros((9, 9), np.uint8)))
    small = np.zeros((200, 200), np.uint8)
    small[:2, :150] = 1
    with pytest.raises(DataError, match=r"that a window covers by 0\.5"):
        ProposalCrops(Fixed(small))


def test_windows_lie_within_and_cover_everything() -> None:
    for height, width in ((40, 60), (375, 500), (7, 3)):
        boxes = windows(height, width)
        assert len(set(boxes)) == len(boxes)
        covered = np.zeros((height, width), dtype=bool)
        for top, left, bottom, right in boxes:
            assert 0 <= top < bottom <= height
            assert 0 <= left < right <= width
            covered[top:bottom, left:right] = True
        assert covered.all()


def test_overlaps_against_counting_pixels() -> None:
    draw = np.random.default_rng(0)

    def some(count: int) -> list[Box]:
        corners = draw.integers(0, 12, (count, 2, 2))
        return [Box(*(c.min(0)).tolist(), *(c.max(0) + 1).tolist()) for c in corners]

    one, other = some(8), some(6)

    def drawn(box: Box) -> np.ndarray:
        plane = np.zeros((14, 14), dtype=bool)
        plane[box.top : box.bottom, box.left : box.right] = True
        return plane

    expected = [[(drawn(a) & drawn(b)).sum() / (drawn(a) | drawn(b)).sum() for b in other] for a in one]
    np.testing.assert_allclose(overlaps(one, other), expected)


def test_proposals_cover_an_object_and_keep_all_labels() -> None:
    dataset = ProposalCrops(Fixed(two_objects()))
    boxes = {1: Box(5, 10, 15, 30), 2: Box(12, 25, 32, 35)}
    assert {crop.label for crop in dataset.crops} == {1, 2}
    window = {box.enlarged(crops.ENLARGED): box for box in windows(40, 60)}
    for crop in dataset.crops:
        assert overlaps([window[crop.box]], [boxes[crop.label]])[0, 0] >= 0.5
    assert any(set(mask.unique().tolist()) >= {0, 1, 2} for _, mask in (dataset[i] for i in range(len(dataset))))


def fake_opencv(monkeypatch: pytest.MonkeyPatch, found: list[list[int]]) -> list[np.ndarray]:
    """An OpenCV whose search answers `found` (left, top, width, height); returns the pictures that it is shown."""
    shown: list[np.ndarray] = []
    search = SimpleNamespace(
        setBaseImage=shown.append, switchToSelectiveSearchFast=lambda: None, process=lambda: np.array(found)
    )
    module = ModuleType("cv2.ximgproc")
    module.segmentation = SimpleNamespace(createSelectiveSearchSegmentation=lambda: search)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))
    monkeypatch.setitem(sys.modules, "cv2.ximgproc", module)
    return shown


def test_selective_search_is_asked_in_its_own_colours_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fake_opencv(monkeypatch, [[20, 10, 30, 40], [0, 0, 250, 125], [20, 10, 30, 40]])
    image = torch.zeros(3, 200, 400, dtype=torch.uint8)
    image[0] = 200  # red
    boxes = selective_search(image)
    assert boxes == [Box(0, 0, 200, 400), Box(16, 32, 80, 80)]
    assert shown[0].shape == (125, 250, 3)
    assert shown[0][60, 100].tolist() == [0, 0, 200]


def test_proposals_may_come_from_selective_search(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_opencv(monkeypatch, [[9, 4, 22, 12], [40, 0, 10, 10]])  # the first covers object 1, the second nothing
    dataset = ProposalCrops(Fixed(two_objects()), source="selective_search")
    assert [(crop.label, crop.box) for crop in dataset.crops] == [(1, Box(4, 9, 16, 31).enlarged(1.2))]


def test_selective_search_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(sys.modules, "cv2.ximgproc", None)
    with pytest.raises(DataError, match=r"pip install 'zoo-segmentation\[proposals\]'"):
        ProposalCrops(Fixed(two_objects()), source="selective_search")


def test_selective_search_itself_finds_a_bright_square() -> None:
    pytest.importorskip("cv2.ximgproc")
    image = torch.full((3, 100, 120), 30, dtype=torch.uint8)
    image[:, 30:70, 40:90] = 220
    assert overlaps(selective_search(image), [Box(30, 40, 70, 90)]).max() > 0.8


def test_rare_classes_are_repeated() -> None:
    box = Box(0, 0, 1, 1)
    many = [Crop(i, box, 1, 0) for i in range(12)] + [Crop(i, box, 2, 0) for i in range(4)] + [Crop(0, box, 3, 0)]
    labels = [crop.label for crop in balanced(many)]
    assert [labels.count(label) for label in (1, 2, 3)] == [12, 12, 12]


def test_cut_against_padding() -> None:
    given = Fixed(two_objects())[0]
    part = cut(given, Box(-3, 50, 10, 70))
    padded = np.pad(given.mask.numpy(), 30, constant_values=255)
    assert (part.mask.numpy() == padded[27:40, 80:100]).all()
    assert (part.image.numpy() == np.pad(given.image.numpy(), ((0, 0), (30, 30), (30, 30)))[:, 27:40, 80:100]).all()


def test_voc_tells_objects_apart(tmp_path: Path) -> None:
    tree = tmp_path / "VOC2012"
    labels = np.zeros((30, 40), dtype=np.uint8)
    labels[5:25, 5:35] = 15
    instances = labels.copy()
    instances[5:25, 5:20], instances[5:25, 20:35] = 1, 2
    save(np.zeros((30, 40, 3), np.uint8), tree / "JPEGImages" / "2007_000001.jpg")
    save(labels, tree / "SegmentationClass" / "2007_000001.png")
    lists = tree / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000001\n")
    whole = ObjectCrops(open_dataset(tmp_path, "train"))
    assert len(whole) == 1
    save(instances, tree / "SegmentationObject" / "2007_000001.png")
    dataset = ObjectCrops(open_dataset(tmp_path, "train"))
    assert len(dataset) == 2
    assert (dataset[0].mask == 15).sum() == 300


def test_crops_go_through_the_loader_as_published() -> None:
    entries = [{"name": "resize", "size": [250, 250]}, {"name": "crop", "size": [224, 224]}, {"name": "mirror"}]
    loader = train_loader(ObjectCrops(Fixed(two_objects())), augment_transform(entries), batch_size=2, workers=1)
    batch = next(iter(loader.batches(0, 1)))
    assert batch.images.shape == (2, 3, 224, 224)
    assert set(batch.masks.unique().tolist()) <= {0, 1, 2, 255}
