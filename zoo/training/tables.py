"""The tables of a recipe: every key, what it may be, and what it is when it is left out. Nothing here imports torch.

That of the loss is in `loss_table.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DEFAULT_EPOCHS = 50


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


Side = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Table(BaseModel):
    """A table that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelTable(Table):
    """What is trained: the arguments of `zoo.create_model`, except for the classes, which the data know.

    Attributes:
        weights: Weights to start from: a file, or the tag of published ones. ``"stage:NAME/last"`` (or ``/best``) are
            those of an earlier stage of the same run.
        options: Of the architecture and the encoder; ``encoder_weights = "imagenet"`` is one of them.
    """

    name: str
    encoder: str | None = None
    in_channels: int | None = Field(default=None, ge=1)
    weights: str | None = None
    options: dict[str, Any] = {}


class DataTable(Table):
    """What it is trained on, and how a picture is varied.

    Attributes:
        name: A registered data set or a folder.
        train: Split to learn from.
        val: Split that chooses the best weights.
        order: ``"shuffle"``: an epoch shows every picture once; ``"replacement"``: each is drawn from all, as for FCN.
        repeat: Class → how often an epoch shows a picture that holds it, as ``{ bicycle = 2 }``; 1 for all others.
        crops: What is cut out of the training pictures beforehand, as for DeconvNet: ``"objects"``, each by itself, or
            ``"proposals"``, windows that cover one; see `zoo.data.crops`.
        proposals: Where those windows come from: ``"windows"`` all over the picture, or ``"selective_search"``, for
            which ``pip install 'zoo-segmentation[proposals]'``.
        crop: (height, width) of a training picture; ``"auto"``: the pictures' own size, at most 320 a side;
            ``"full"``: no cropping, for data of one size.
        scale: Range of the random resize before cropping.
        flip: Chance of a horizontal mirror.
        jitter: Strength of the random change of brightness, contrast, saturation; 0 is none.
        augment: Augmentations by name and in order, as ``[{ name = "scale", range = [0.5, 2.0] }, { name = "crop" }]``,
            instead of scale, flip and jitter; see `zoo.data.augment`. Without a ``crop`` among them, `crop` comes last.
        workers: Processes that prepare batches; ``"auto"``: one for every two cores, at most 8.
        values: File value → label, for masks such as 0/255.
        root: Where a registered data set lies.
        download: Whether a registered data set may be fetched.
        check: Whether data with problems are refused; see ``zoo data check``.
    """

    name: str
    train: str = "train"
    val: str = "val"
    batch_size: int = Field(default=8, ge=1)
    order: Literal["shuffle", "replacement"] = "shuffle"
    repeat: dict[str, Annotated[int, Field(ge=1)]] = {}
    crops: Literal["none", "objects", "proposals"] = "none"
    proposals: Literal["windows", "selective_search"] = "windows"
    crop: Annotated[tuple[Side, Side], BeforeValidator(_both_sides)] | Literal["auto", "full"] = "auto"
    scale: tuple[Positive, Positive] = (0.5, 2.0)
    flip: Share = 0.5
    jitter: Share = 0.2
    augment: tuple[dict[str, Any], ...] = ()
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    values: dict[int, int] = {}
    root: str | None = None
    download: bool = False
    check: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> "DataTable":
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale goes from small to large, got {list(self.scale)}")
        usual = {key: DataTable.model_fields[key].default for key in ("scale", "flip", "jitter")}
        unused = [key for key, value in usual.items() if getattr(self, key) != value]
        if self.augment and unused:
            raise ValueError(f"augment takes the place of {' and '.join(unused)}: put it into the list")
        return self


class GroupTable(Table):
    """What some parameters get instead of what the keys of `optim` say; the first group that fits counts.

    Attributes:
        match: Patterns of parameter names, as ``"encoder.*.bias"``.
        lr: Factor of the learning rate.
        decay: Factor of the weight decay.
    """

    match: tuple[str, ...]
    lr: NotNegative = 1.0
    decay: NotNegative = 1.0


class OptimTable(Table):
    """The optimiser, and which parameters it moves how far.

    A parameter belongs to a norm, or is a bias, or a matrix or kernel, or another vector; vectors never decay.

    Attributes:
        momentum: Of SGD and RMSprop.
        nesterov: Of SGD.
        betas: Of Adam and AdamW.
        alpha: Smoothing of RMSprop.
        eps: Of all but SGD; by default torch's own.
        learns: ``"all"``, or ``"classifier"``: only the layers that score classes, as in FCN-32s-fixed; norms keep
            their statistics.
        bias_lr: Factor of the learning rate of biases (of convolutions, not of norms).
        bias_decay: Whether biases decay.
        norm_decay: Whether scales and shifts of norms decay.
        head_lr: Factor of the learning rate of the head.
        head: What that is: ``"decoder"``: everything but the encoder; ``"classifier"``: what scores classes.
        aux_lr: Factor for auxiliary heads; by default that of the head.
        groups: Exceptions by name.
        freeze: Patterns of parameters that do not learn, as ``"encoder.*"``.
        freeze_norms: Norms learn nothing and keep their statistics.
        norm_momentum: How fast the statistics of BatchNorm move; by default as the model says.
        clip: Longest gradient, as the norm over all parameters; by default any.
    """

    name: Literal["adamw", "sgd", "adam", "rmsprop"] = "adamw"
    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    momentum: Fraction = 0.9
    nesterov: bool = False
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    alpha: Fraction = 0.99
    eps: Positive | None = None
    learns: Literal["all", "classifier"] = "all"
    bias_lr: NotNegative = 1.0
    bias_decay: bool = False
    norm_decay: bool = False
    head_lr: NotNegative = 1.0
    head: Literal["decoder", "classifier"] = "decoder"
    aux_lr: NotNegative | None = None
    groups: tuple[GroupTable, ...] = ()
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False
    norm_momentum: Share | None = None
    clip: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "OptimTable":
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ValueError("nesterov goes with name = 'sgd' and a momentum")
        return self


class ScheduleTable(Table):
    """How the learning rate moves, step by step.

    Attributes:
        power: Of ``poly``.
        floor: The least factor that ``poly`` and ``cosine`` come down to.
        every: Of ``step``: steps between two drops.
        at: Of ``multistep``: where it drops, as steps or as shares of the run.
        gamma: What a drop of ``step`` or ``multistep`` multiplies by.
        warmup: The steps in which the rate rises from nothing; below 1: their share of the run.
    """

    name: Literal["poly", "cosine", "step", "multistep", "constant"] = "poly"
    power: Positive = 0.9
    floor: Fraction = 0.0
    every: Annotated[int, Field(ge=1)] | None = None
    at: tuple[Positive, ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup: NotNegative = 0.05

    @model_validator(mode="after")
    def _complete(self) -> "ScheduleTable":
        if self.name == "step" and self.every is None:
            raise ValueError("name = 'step' needs every, the steps between two drops")
        if self.name == "multistep" and not self.at:
            raise ValueError("name = 'multistep' needs at, the steps (or shares of the run) at which the rate drops")
        for key, values in (("warmup", (self.warmup,)), ("at", self.at)):
            if any(value >= 1 and value != int(value) for value in values):
                raise ValueError(f"{key} counts whole steps, or is a share of the run below 1")
        return self


class RunTable(Table):
    """How long, where and how precisely. Exactly one of `steps` and `epochs` is set.

    Attributes:
        device: ``"auto"`` takes an accelerator where there is one.
        amp: ``"bf16"`` and ``"fp16"`` compute forward and backward in half precision; the weights stay float32.
            ``"auto"`` is ``"bf16"`` where the device has instructions for it, else ``"none"``: float32.
        accumulate: Batches that make up one step. With losses that are means over pixels it is the step of the big
            batch; norms still see one batch at a time.
        ema: Decay of the running average of the weights, which is then what is measured and saved; 0 for none.
        metric: Which number on `val` chooses the best weights.
        compile: Run the model through `torch.compile`.
        parallel: Of several processes: ``"ddp"``: each has the whole model; ``"fsdp"``: each has a part of every
            parameter, for models that are too large for one.
        sync_bn: Of several processes: BatchNorm sees the pictures of all of them.
        recompute: Compute activations again in the backward pass instead of keeping them: less memory, more time.
        eval_every: Steps between evaluations on `val`; ``"auto"``: an epoch, or a twentieth of the run
            where that is longer. The last step is always evaluated.
        save_every: Steps between saves; besides, every evaluation saves.
        log_every: Steps between two lines of the log.
    """

    steps: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    amp: Literal["none", "bf16", "fp16", "auto"] = "auto"
    accumulate: int = Field(default=1, ge=1)
    ema: Fraction = 0.0
    metric: Literal["miou", "pixel_acc", "mean_acc", "fw_iou"] = "miou"
    channels_last: bool = True
    compile: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    sync_bn: bool = True
    recompute: bool = False
    eval_every: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    save_every: Annotated[int, Field(ge=1)] | None = None
    log_every: int = Field(default=10, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            lengths = [key for key in ("steps", "epochs") if given.get(key) is not None]
            if len(lengths) == 2:
                raise ValueError("a run is so many steps or so many epochs long, not both")
            if not lengths:
                return {**given, "epochs": DEFAULT_EPOCHS}
        return given
