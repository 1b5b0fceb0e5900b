from zoo.data.images import voc_palette
from zoo.labels import class_colors, class_names


def test_names_are_different_and_complete():
    assert class_names((), 2) == ("class 0", "class 1")
    assert class_names(("a", "b"), 2) == ("a", "b")
    assert class_names(("a", "b"), 3) == ("a", "b", "class 2")
    assert class_names(("screen", "screen", "screen (1)", "screen"), 4) == (
        "screen",
        "screen (1)",
        "screen (1) (2)",
        "screen (3)",
    )


def test_colors_are_completed_from_voc():
    assert class_colors((), 3) == voc_palette(3)
    assert class_colors(((9, 9, 9),), 3) == ((9, 9, 9), *voc_palette(3)[1:])
    assert class_colors(((9, 9, 9), (8, 8, 8)), 1) == ((9, 9, 9),)
