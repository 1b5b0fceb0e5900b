"""What a measurement did, in words: two numbers can be compared only if it was the same."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.evaluation.metrics import Metrics

MATRIX = "one confusion matrix over all labelled pixels, at the pictures' own size; one scale, not mirrored"
"""How the pixels are counted, in a phrase."""


def protocol(metrics: "Metrics", tolerance: float | None = None) -> dict[str, str]:
    """Say how numbers came about: topic → sentence.

    Args:
        metrics: The numbers.
        tolerance: That of the boundary score, where it was measured.
    """
    absent = metrics.absent
    here = f"here: {', '.join(absent)}" if absent else "here there is none"
    void, total = metrics.confusion.ignored, metrics.confusion.ignored + metrics.confusion.total
    share = f"{void:,} of {total:,} pixels" if total else "no pixel"
    told = {
        "counting": f"{MATRIX}; nothing is averaged per picture or per batch",
        "void": f"pixels without a label (255) are not counted, whatever is predicted there; here {share}",
        "absent": "a class that is neither in the labels nor predicted has no value and does not enter a mean "
        f"({here}); one that is only predicted has IoU, Dice and precision 0 and no accuracy",
        "background": "the class 0 counts like any other",
    }
    if tolerance is not None:
        told["boundary"] = (
            f"outlines meet within {tolerance:.2%} of the picture's diagonal; F per class and picture, averaged over "
            "the pictures where the class has an outline, then over the classes; void borders nothing"
        )
    return told
