"""Convolutions that do in passing what would be another reading and writing of their map: ReLU, and adding up.

oneDNN does so, and torch's own compiler makes use of it. The operators are not documented, so whether they are there is
asked first. Which ReLU alone reads a convolution's map is seen by watching the model run.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.speed.observe import Uses, run_hollow
from zoo.speed.sharing import parameter, replace


def note_relus(model: nn.Module, example: Tensor) -> int:
    """Note on every convolution whether a ReLU follows that nobody reads its map before; let these ReLUs pass it.

    Args:
        model: In evaluation mode, its norms folded; changed.
        example: (N, C, H, W), small; see `zoo.speed.observe`.

    Returns:
        How many convolutions are followed so. They do nothing else than before; `fuse` and `zoo.speed.packing.pack`
        make use of it.
    """
    followed = run_hollow(model, example, _followed_by_relu)
    for layer in followed:
        layer.rectifies = True  # type: ignore[assignment]
    for relu in [module for module in model.modules() if type(module) is nn.ReLU]:
        replace(model, relu, Rectifier(relu.inplace))
    return len(followed)


def fuse(model: nn.Module) -> int:
    """Let the convolutions do what is noted on them: rectify (see `note_relus`), or add to another's result.

    Args:
        model: On a CPU, in float32; changed.

    Returns:
        How many were replaced.
    """
    noted = [module for module in model.modules() if type(module) is nn.Conv2d and hasattr(module, "rectifies")]
    chosen = [layer for layer in noted if can_fuse(layer)]
    for layer in chosen:
        replace(model, layer, FusedConv(layer, packed=False))
    return len(chosen)


def can_fuse(layer: nn.Conv2d) -> bool:
    """Whether `FusedConv` can take its place here."""
    return (
        layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise_")
    )


class Rectifier(nn.ReLU):
    """A ReLU that hands on what a convolution has rectified already."""

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return x if x.__dict__.pop("rectified", False) else super().forward(x)


class FusedConv(nn.Module):
    """A convolution by oneDNN's operator, with a ReLU where one was noted.

    Args:
        layer: Whose weights it takes.
        packed: Sort them for the matrix units now instead of at every call, and keep only these.
    """

    padding: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __init__(self, layer: nn.Conv2d, *, packed: bool) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str)
        for name in nn.Conv2d.__constants__:  # kernel_size, stride, …: what surrounds it may ask
            setattr(self, name, getattr(layer, name))
        self.rectifies = bool(getattr(layer, "rectifies", False))
        self.bias = None if layer.bias is None else parameter(layer.bias)
        self.packed: Any = None
        if packed:
            geometry = (self.padding, self.stride, self.dilation, self.groups)
            plain = layer.weight.detach().contiguous()
            self.packed = torch.ops.aten.mkldnn_reorder_conv2d_weight(plain.to_mkldnn(), *geometry, None)
        else:
            self.weight = parameter(layer.weight.detach().contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h', w')."""
        return self.convolve(x, self.padding)

    def convolve(self, x: Tensor, padding: tuple[int, ...]) -> Tensor:
        """As `forward`, with another padding."""
        geometry = (padding, self.stride, self.dilation, self.groups)
        if self._follows_autocast(x):
            found = F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
            return rectified(found.relu_()) if self.rectifies else found
        weight = self.weight if self.packed is None else self.packed
        after = "relu" if self.rectifies else "none"
        found = torch.ops.mkldnn._convolution_pointwise(x, weight, self.bias, *geometry, after, [], "")
        return rectified(found) if self.rectifies else found

    def _follows_autocast(self, x: Tensor) -> bool:
        """Whether to leave it to torch's own convolution: oneDNN's operators do not follow autocast."""
        return self.packed is None and torch.is_autocast_enabled(x.device.type)

    def add_to(self, sum_: Tensor, x: Tensor, rectifies: bool) -> Tensor:
        """Add what (N, C, h, w) becomes to (N, O, h', w'), in place; then the ReLU, if there is to be one."""
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        if self._follows_autocast(x):
            sum_ += F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
            return rectified(sum_.relu_()) if rectifies else sum_
        weight = self.weight if self.packed is None else self.packed
        after = "relu" if rectifies else None
        torch.ops.mkldnn._convolution_pointwise_.binary(
            sum_, x, weight, self.bias, *geometry, "add", 1.0, after, [], None
        )
        return rectified(sum_) if rectifies else sum_


def rectified(x: Tensor) -> Tensor:
    """Tell the `Rectifier` that reads this map next that nothing is left to do."""
    x.rectified = True  # type: ignore[attr-defined]
    return x


def _followed_by_relu(model: nn.Module, run: Callable[[], Any]) -> list[nn.Conv2d]:
    made: dict[int, nn.Conv2d] = {}
    rectified_in_place: dict[int, bool] = {}
    counting = Uses()

    def after(layer: nn.Module, _: Any, result: Any) -> None:
        assert isinstance(layer, nn.Conv2d)
        made[id(result)] = layer

    def before(relu: nn.Module, given: tuple[Any, ...]) -> None:
        if id(given[0]) in made and not counting.uses.get(id(given[0]), 0):
            rectified_in_place[id(given[0])] = bool(relu.inplace)

    watched = []
    for module in model.modules():
        if type(module) is nn.Conv2d:
            watched.append(module.register_forward_hook(after))
        elif type(module) is nn.ReLU:
            watched.append(module.register_forward_pre_hook(before))
    try:
        with torch.no_grad(), counting:
            run()
    finally:
        for handle in watched:
            handle.remove()
    others = set()
    for map_, layer in made.items():
        in_place = rectified_in_place.get(map_)
        if in_place is None or not (in_place or counting.uses[map_] == 1):  # somebody reads what was not rectified
            others.add(layer)
    return [layer for layer in dict.fromkeys(made.values()) if layer not in others]
