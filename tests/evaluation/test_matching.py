import pytest

from zoo.config import ModelConfig
from zoo.errors import IncompatibleError
from zoo.evaluation.matching import match_classes


def config(classes, count=None):
    return ModelConfig("m", "m", None, count or len(classes), classes=tuple(classes))


def test_same_classes():
    assert match_classes(config(["sky", "road"]), ["sky", "road"]) == ((0, 1), "")


def test_another_order_is_matched_by_name():
    assert match_classes(config(["sky", "road", "car"]), ["car", "sky", "road"]) == ((2, 0, 1), "")


def test_some_of_the_classes_are_matched_by_name_with_a_note():
    match = match_classes(config(["sky", "road", "car"]), ["car", "sky"], "streets/val")
    assert match.order == (2, 0)
    assert match.note.startswith("streets/val lacks 1 of the model's classes (road)")


def test_other_names_are_matched_by_number_with_a_note():
    match = match_classes(config(["background", "nucleus"]), ["background", "cell"])
    assert match.order == (0, 1)
    assert "'cell' as 'nucleus'" in match.note


def test_a_model_without_names_is_matched_by_number():
    assert match_classes(config([], 2), ["a", "b"]) == ((0, 1), "")


def test_names_that_are_there_twice_are_matched_by_number():
    assert match_classes(config(["screen", "screen"]), ["screen", "screen"]) == ((0, 1), "")


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (config(["a", "b"]), ["a", "b", "c"], ["streets has 3 classes (a, b, c)", "only 2 (a, b)"]),
        (config(["a", "b", "c"]), ["x", "y"], ["has 2 classes (x, y)", "the model 3", "Name the data's classes"]),
        (config([], 21), ["x", "y"], ["names unknown"]),
    ],
)
def test_what_cannot_be_matched_is_refused(model, data, words):
    with pytest.raises(IncompatibleError) as caught:
        match_classes(model, data, "streets")
    assert all(word in str(caught.value) for word in words)
