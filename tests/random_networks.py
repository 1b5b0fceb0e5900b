"""Networks with random weights, quickly, and what two of them must share."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn

import zoo
from zoo.interfaces import Encoder, Features, FeatureSpec


def random_state(network: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict for `network` (which may lie on the meta device) that keeps activations of the order of 1.

    Norms have random means and variances too, so that a swapped statistic shows.
    """
    with torch.device("cpu"):  # whatever the network lies on, and whoever asks
        return _random_state(network, torch.Generator().manual_seed(seed))


def _random_state(network: nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "weight")) and tensor.dim() == 1:
            state[name] = torch.rand(tensor.shape, generator=generator) + 0.5
        elif tensor.dim() > 1:
            state[name] = torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5
        elif tensor.is_floating_point():
            state[name] = torch.randn(tensor.shape, generator=generator) * 0.2
        else:
            state[name] = torch.ones(tensor.shape, dtype=tensor.dtype)
    return state


def filled(build: Callable[[], nn.Module], state: dict[str, torch.Tensor]) -> nn.Module:
    """What `build` builds, with these tensors (every one, and no other), in evaluation mode."""
    with torch.device("meta"):
        network = build()
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def sleeping_train(network: nn.Module) -> nn.Module:
    """Training mode as seen from outside, with norms and dropouts at rest, so that results can be compared."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd):
            module.eval()
    return network


class TinyEncoder(Encoder):
    """Maps of strides 4, 8 and the output stride, each a mean of the one before, without parameters."""

    def __init__(self, output_stride: int = 8) -> None:
        super().__init__()
        self.features = tuple(
            FeatureSpec(f"s{index}", 3, stride, (stride - 1) / 2) for index, stride in enumerate((4, 8, output_stride))
        )

    def forward(self, x: torch.Tensor, taps: Collection[str], with_pools: bool = False) -> Features:
        maps, before = {}, 1
        for tap in self.features:
            factor, before = tap.stride // before, tap.stride
            x = nn.functional.avg_pool2d(x, factor, ceil_mode=True)
            maps[tap.name] = x
        return Features({name: maps[name] for name in taps}, {})


class TinyPlan:
    """`TinyEncoder`, chosen but not built (`zoo.interfaces.EncoderPlan`): what is tried with it is the rest."""

    name = "tiny"
    in_channels = 3
    output_strides = (8, 16)

    def supported(self, **wishes: Any) -> dict[str, Any]:
        return wishes

    def offers(self, output_stride: int = 16) -> tuple[FeatureSpec, ...]:
        return TinyEncoder(output_stride).features

    def build(self, taps: Collection[str] | None = None, output_stride: int = 16) -> Encoder:
        return TinyEncoder(output_stride)


def exports(model: nn.Module, *sizes: tuple[int, int]) -> None:
    """Export strictly with any height and width, which fails unless the graph is whole; compare at other sizes."""
    model.eval()
    dynamic = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, (torch.rand(1, 3, 49, 65),), dynamic_shapes=(dynamic,), strict=True)
    exported = program.module()
    for size in sizes:
        x = torch.rand(1, 3, *size)
        torch.testing.assert_close(exported(x)["out"], model(x)["out"], rtol=1e-4, atol=1e-5)


def compiles(model: nn.Module) -> None:
    """Compile the training step of one picture without a break in the graph."""
    model.train()
    for logits in torch.compile(model, fullgraph=True, backend="eager")(torch.rand(1, 3, 33, 49)).values():
        assert logits.shape[-2:] == (33, 49)
        logits.mean().backward(retain_graph=True)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def relative_difference(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference, in units of the largest value."""
    assert got.shape == wanted.shape
    return float((got - wanted).abs().max() / wanted.abs().max())


def random_model(name="fcn8s_vgg16", **options):
    """A model whose every parameter is random, so that none can be confused or forgotten."""
    torch.manual_seed(0)
    model = zoo.create_model(name, **{"num_classes": 3, **options})
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.1)
    return model
