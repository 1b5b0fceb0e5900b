"""What a measurement did, in words: two numbers can be compared only if it was the same."""

from typing import TYPE_CHECKING

from zoo.inference.test_time import TestTime

if TYPE_CHECKING:
    from zoo.evaluation.metrics import Metrics

_PLAIN = TestTime()


def counting(test_time: TestTime = _PLAIN, *, amp: bool = False, pipeline: str | None = None) -> str:
    """How the pixels are counted and the model is asked, in a phrase.

    Args:
        test_time: How it is asked.
        amp: Whether it computes in bfloat16.
        pipeline: Where it is a pipeline, how that asks its models; `test_time` comes on top.
    """
    ways = [] if pipeline is None else [pipeline]
    ways += [test_time.describe()] if pipeline is None or test_time != _PLAIN else []
    precision = "; computed in bfloat16" if amp else ""
    return f"one confusion matrix over all labelled pixels, at the pictures' own size; {'; '.join(ways)}{precision}"


MATRIX = counting()
"""The phrase for the plain way: one scale, not mirrored."""


def protocol(
    metrics: "Metrics",
    tolerance: float | None = None,
    test_time: TestTime = _PLAIN,
    *,
    amp: bool = False,
    pipeline: str | None = None,
) -> dict[str, str]:
    """Say how numbers came about: topic → sentence.

    Args:
        metrics: The numbers.
        tolerance: That of the boundary score, where it was measured.
        test_time: How the model was asked.
        amp: Whether it computed in bfloat16.
        pipeline: How a pipeline asked its models, in words.
    """
    absent = metrics.absent
    here = f"here: {', '.join(absent)}" if absent else "here there is none"
    void, total = metrics.confusion.ignored, metrics.confusion.ignored + metrics.confusion.total
    share = f"{void:,} of {total:,} pixels" if total else "no pixel"
    told = {
        "counting": f"{counting(test_time, amp=amp, pipeline=pipeline)}; no score is averaged per picture or per batch",
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
