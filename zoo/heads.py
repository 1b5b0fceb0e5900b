"""The heads that several plugins share."""

from torch import Tensor, nn

from zoo.errors import IncompatibleError
from zoo.interfaces import FeatureSpec, Head
from zoo.ops import BilinearUpsample, crop, resize


class ScoreHead(Head):
    """1×1 convolution to class scores, resized bilinearly to the input's size."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Conv2d(in_channels, num_classes, 1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return resize(self.score(self.dropout(x)), size)


class UpscoreHead(Head):
    """Class scores upsampled to the image by one transposed convolution, then cropped (Long et al., 2015).

    Args:
        source: Where the score map lies: its channels are the classes.
        name: The layer's published name, ``"upscore8"``.
        learnable: Whether the bilinear kernel is learned.
    """

    def __init__(self, source: FeatureSpec, name: str, *, learnable: bool = False) -> None:
        super().__init__()
        self.name = name
        kernel_size, self.margin = upsampling(source, 1, 0.0)
        if self.margin < 0:
            raise IncompatibleError(
                f"the scores at {source.name!r} begin at pixel {source.offset} and cannot cover the image's border: "
                "pad the encoder's layers"
            )
        layer = BilinearUpsample(source.channels, kernel_size, source.stride, learnable=learnable)
        self.add_module(name, layer)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return crop(getattr(self, self.name)(x), size, self.margin, self.margin)


def upsampling(source: FeatureSpec, stride: int, offset: float) -> tuple[int, int]:
    """Kernel size and shift with which a transposed convolution carries `source` onto a finer grid.

    Args:
        source: The coarse map.
        stride: Stride of the fine grid in pixels; it must divide the coarse one.
        offset: Image coordinate of the fine grid's cell 0.

    Returns:
        The kernel size: 2f or 2f - 1 for a factor f, whichever makes the cells of the two grids coincide (hence
        the 63 of FCN-AlexNet). And how many cells the upsampled map starts before the grid, to be cut off
        there; negative where it starts inside the grid.

    Raises:
        IncompatibleError: No kernel makes the grids coincide.
    """
    factor, rest = divmod(source.stride, stride)
    for kernel_size in (2 * factor, 2 * factor - 1):
        shift = (offset - source.offset) / stride + (kernel_size - 1) / 2
        if not rest and shift == int(shift):
            return kernel_size, int(shift)
    raise IncompatibleError(
        f"{source.name!r} (stride {source.stride}, offset {source.offset}) cannot be upsampled onto a grid of "
        f"stride {stride} and offset {offset}: their cells never coincide"
    )
