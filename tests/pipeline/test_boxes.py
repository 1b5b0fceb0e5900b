import json

import pytest
import torch
from pipeline_world import picture

from zoo.data.crops import windows
from zoo.data.objects import Box
from zoo.errors import DataError
from zoo.inference.naming import asking_about
from zoo.pipeline.boxes import boxes_of, listed_for, read_boxes
from zoo.pipeline.options import Proposals

BOXES = [[0, 0, 10, 20], [3.5, -2, 9, 7.25]]
READ = [Box(0, 0, 20, 10), Box(-2, 3, 8, 9)]


def test_json_and_csv_say_the_same(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps({"a.jpg": BOXES, "b.jpg": []}))
    rows = ["score,picture,x0,y0,x1,y1", *(f"0.5,a.jpg,{','.join(map(str, box))}" for box in BOXES)]
    (tmp_path / "b.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    assert read_boxes(tmp_path / "b.json") == {"a.jpg": READ, "b.jpg": []}
    assert read_boxes(tmp_path / "b.csv") == {"a.jpg": READ}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("b.json", "[1]", r'expected \{"photo.jpg"'),
        ("b.json", "{", "neither JSON"),
        ("b.json", '{"a": 3}', "expected a list of boxes"),
        ("b.json", '{"a": [[1, 2, 3]]}', "a, box 1: .*four numbers"),
        ("b.json", '{"a": [[1, 2, 3, true]]}', "four numbers"),
        ("b.json", '{"a": [[1, 2, NaN, 9]]}', "four numbers"),
        ("b.json", '{"a": [[0, 0, 2, 2], [5, 2, 3, 9]]}', "a, box 2: .*x1 lies to the right"),
        ("b.csv", "picture,x0,y0,x1\na,1,2,3", "no y1"),
        ("b.csv", "picture,x0,y0,x1,y1\na,1,2,3,4\na,1,2,x,4", "line 3: expected numbers"),
        ("b.csv", "picture,x0,y0,x1,y1\na,1,2", "line 2: expected numbers"),
    ],
)
def test_bad_files(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_boxes(tmp_path / name)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json: the boxes cannot be read: No such file"):
        read_boxes(tmp_path / "gone.json")


def test_listed_boxes_in_their_order():
    how = Proposals("file", "b.json", enlarge=1.5, least=12, most=2)
    listed = [Box(0, 0, 4, 90), Box(0, 0, 10, 8), Box(5, 5, 25, 25), Box(1, 1, 9, 9), Box(2, 2, 30, 30)]
    # Enlarged sides 6 × 136, 16 × 12, 30 × 30, 12 × 12, 42 × 42: the first is too low, the last two too many.
    assert boxes_of(picture((30, 40)), how, listed) == [Box(-3, -2, 13, 10), Box(0, 0, 30, 30)]


def test_a_box_beside_the_picture():
    how = Proposals("file", "b.json")
    with pytest.raises(DataError, match="40,0,60,20 lies beside its picture of 40×30"):
        boxes_of(picture((30, 40)), how, [Box(0, 40, 20, 60)])


def test_windows_cover_the_picture_and_come_in_all_sizes():
    image = picture((60, 80))
    chosen = boxes_of(image, Proposals(most=20, least=10, enlarge=1))
    assert len(chosen) == 20
    assert chosen[0] == Box(0, 0, 60, 80)
    assert set(chosen[1:]) <= set(windows(60, 80))
    areas = [(box.bottom - box.top) * (box.right - box.left) for box in chosen]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] < 800 < 3000 < areas[1]
    everything = boxes_of(image, Proposals(most=None, least=10, enlarge=1))
    assert len(everything) >= len(windows(60, 80))
    assert min(min(box.bottom - box.top, box.right - box.left) for box in everything) >= 10


def test_a_small_picture_is_seen_as_a_whole():
    assert boxes_of(picture((30, 40)), Proposals(least=112, enlarge=1.2)) == [Box(-3, -4, 33, 44)]


def test_a_picture_by_path_name_or_stem():
    for key in ("in/a.jpg", "a.jpg", "a"):
        with asking_about(["x.jpg", "in/a.jpg"], (30, 40)):
            assert listed_for({key: READ}, 1, (30, 40), "b.json") == READ


def test_which_picture_has_to_be_known():
    with pytest.raises(DataError, match="belong to pictures by name"):
        listed_for({"a": READ}, 0, (30, 40), "b.json")
    with asking_about([None], (30, 40)), pytest.raises(DataError, match="belong to pictures by name"):
        listed_for({"a": READ}, 0, (30, 40), "b.json")
    with asking_about(["b.jpg"], (30, 40)), pytest.raises(DataError, match=r"no boxes of b\.jpg.*'a\.jpg'"):
        listed_for({"a.jpg": READ}, 0, (30, 40), "b.json")
    with asking_about(["a.jpg"], (60, 80)), pytest.raises(DataError, match=r"a\.jpg is 80×60, 40×30 of it were asked"):
        listed_for({"a.jpg": READ}, 0, (30, 40), "b.json")


def test_selective_search_takes_any_picture(monkeypatch):
    from zoo.pipeline import boxes

    seen = []

    def search(image):
        seen.append(image)
        return [Box(0, 0, 20, 20), Box(2, 2, 30, 40)]

    monkeypatch.setattr(boxes, "selective_search", search)
    how = Proposals("selective_search", least=4, enlarge=1)
    found = boxes_of(picture((30, 40)).float() / 255, how)
    assert found == [Box(0, 0, 30, 40), Box(2, 2, 30, 40), Box(0, 0, 20, 20)]
    assert seen[0].dtype == torch.uint8
    assert torch.equal(seen[0], picture((30, 40)))
