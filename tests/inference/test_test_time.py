import json

import pytest

from zoo.errors import OptionError
from zoo.inference.test_time import TestTime


@pytest.mark.parametrize(
    "asked",
    [
        TestTime(),
        TestTime((0.5, 1, 2), True),
        TestTime(window=(473, 320), overlap=100),
        TestTime(window=(64, 64), overlap=0.5, output_stride=8),
    ],
)
def test_json_both_ways(asked):
    record = json.loads(json.dumps(asked.to_json()))
    assert TestTime.from_json(record) == asked
    assert hash(TestTime.from_json(record)) == hash(asked)


def test_plain():
    assert TestTime().plain
    assert TestTime.from_json({}) == TestTime()
    assert TestTime(output_stride=8).plain
    assert not TestTime(mirror=True).plain
    assert not TestTime((1, 2)).plain
    assert not TestTime((2,)).plain
    assert not TestTime(window=(8, 8)).plain


def test_words():
    assert TestTime().describe() == "one scale; not mirrored"
    said = TestTime((0.5, 1), True, (473, 320), output_stride=8).describe()
    for word in ("0.5, 1", "mirrored too", "473×320", "33%", "output stride 8", "softmax probabilities averaged"):
        assert word in said


def test_pspnets_windows_move_by_two_thirds():
    assert TestTime(window=(473, 473)).steps(473) == 316  # ⌈473 · 2/3⌉
    assert TestTime(window=(9, 9), overlap=2).steps(9) == 7
    assert TestTime(window=(1, 1)).steps(1) == 1


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"scale": [1]}, "no test-time option 'scale'.*'scales'"),
        ({"scales": []}, "scales"),
        ({"scales": [0]}, "scales"),
        ({"scales": [1, 1.0]}, "different factors"),
        ({"scales": ["1"]}, "scales"),
        ({"scales": [float("nan")]}, "scales"),
        ({"scales": 1.5}, "scales=1.5"),
        ({"mirror": 1}, "mirror=1"),
        ({"window": [4]}, "window"),
        ({"window": [4, 0]}, "window"),
        ({"window": [4.0, 4.0]}, "window"),
        ({"window": [4, 8], "overlap": 4}, "less than the window's 4"),
        ({"overlap": 1.0}, "overlap"),
        ({"overlap": -1}, "overlap"),
        ({"output_stride": 0}, "output_stride"),
        ({"output_stride": True}, "output_stride"),
        ([], "table"),
    ],
)
def test_nonsense_is_refused(record, words):
    with pytest.raises(OptionError, match=words):
        TestTime.from_json(record)
