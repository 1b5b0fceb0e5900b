"""The table of a recipe that says what is made small. Nothing here imports torch."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from zoo.errors import UnknownNameError
from zoo.registry import registry
from zoo.training.tables import Fraction, NotNegative, Positive, Share, Table


def _registered(name: str) -> str:
    try:
        registry().get("loss", name)
    except UnknownNameError as error:
        raise ValueError(str(error).rstrip(".")) from None
    return name


LossName = Annotated[str, AfterValidator(_registered)]


class TermTable(Table):
    """One loss of a sum.

    Attributes:
        options: Its own, as ``{ gamma = 3.0 }``.
    """

    name: LossName
    weight: Positive = 1.0
    options: dict[str, Any] = Field(default={})


class LossTable(Table):
    """What is made small. Pixels that are ignored count in none of the losses.

    Attributes:
        name: One that ``zoo list --kind loss`` shows.
        options: What it is made of, as ``{ width = 3 }``; `zoo info NAME` lists them. Those of the built-in ones have
            keys of their own.
        terms: Losses to add up, as ``[{ name = "cross_entropy" }, { name = "dice", weight = 0.5 }]``, instead of
            `name` and `options`; each may have ``options``. The other keys hold for all of them.
        reduction: Of cross-entropy: ``"mean"`` over the pixels that count, or ``"sum"`` over them divided by the
            number of pictures, as Caffe's unnormalised loss.
        label_smoothing: Of cross-entropy and ``ohem``: share of the target spread evenly over all classes.
        class_weights: Of cross-entropy and ``ohem``: one number per class, or how to balance the training masks.
        aux_weight: What each auxiliary output counts.
        ohem_threshold: Pixels whose own class has a lower probability are hard.
        ohem_keep: Share of the pixels that counts at the least, the hardest first.
        focal_gamma: How much less easy pixels count.
        tversky_alpha: Weight of false positives.
        tversky_beta: Weight of false negatives.
        tversky_gamma: Exponent.
    """

    name: LossName = "cross_entropy"
    options: dict[str, Any] = Field(default={})
    terms: tuple[TermTable, ...] = ()
    reduction: Literal["mean", "sum"] = "mean"
    label_smoothing: Fraction = 0.0
    class_weights: tuple[NotNegative, ...] | Literal["none", "median", "inverse"] = "none"
    aux_weight: NotNegative = 0.4
    ohem_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.7
    ohem_keep: Share = 0.0625
    focal_gamma: NotNegative = 2.0
    tversky_alpha: NotNegative = 0.5
    tversky_beta: NotNegative = 0.5
    tversky_gamma: Positive = 1.0

    @model_validator(mode="after")
    def _one_or_many(self) -> "LossTable":
        if self.terms and self.options:
            raise ValueError("options belongs to name; with terms, each has its own")
        return self
