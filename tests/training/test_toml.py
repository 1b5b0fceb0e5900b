import math
import tomllib
from datetime import date

import pytest

from zoo.training.toml import dump


@pytest.mark.parametrize("value", [
    0, -5, 10**18, 0.1, 1e-300, 1e300, -0.0, math.inf, True, False, "", "plain", "a\"b\\c\nd\te\x00\x1f\x7f",
    "größer 🦓", "]\n[x]", [], [1, 2.5, "x"], [[1], [2, 3]], {}, {"a": 1}, {"a b": {"ü": [True]}, "3": None}, (1, 2),
])  # fmt: skip
def test_tomllib_reads_it_back(value):
    text = dump({"table": {"key": value, "odd key.": 1}})
    expected = list(value) if isinstance(value, tuple) else value
    if isinstance(value, dict):
        expected = {key: inner for key, inner in value.items() if inner is not None}
    read = tomllib.loads(text)["table"]
    assert read == {"key": expected, "odd key.": 1}
    assert type(read["key"]) is type(expected)


def test_none_is_left_out():
    assert tomllib.loads(dump({"a": {"x": None, "y": 1}, "b": {}})) == {"a": {"y": 1}, "b": {}}


def test_what_toml_cannot_hold():
    with pytest.raises(TypeError, match="TOML has no form for"):
        dump({"a": {"x": date(2020, 1, 1)}})
