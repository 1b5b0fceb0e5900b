"""Which parameters of a net no answer depends on."""

import torch
from torch import nn
from torch.func import functional_call
from torch.utils import _pytree


def freeze_unused(net: nn.Module, in_channels: int, size: int) -> None:
    """Set ``requires_grad = False`` on the parameters that none of the net's outputs depend on.

    The library builds an encoder whole even where only its first stages are read (PSPNet), and keeps the classifier of
    a vision transformer. Frozen, such parameters are left alone by optimisers and by DDP; in the state dict they stay,
    so that the library's weight files fit.

    Args:
        net: An encoder: (N, `in_channels`, H, W) → any structure of tensors. Its mode and its numbers are kept.
        in_channels: C.
        size: A height and width that it takes.
    """
    training = [module for module in net.modules() if module.training]
    net.eval()
    # A run on the meta device costs no arithmetic. Whatever modes the caller builds under are switched off: one that
    # leaves out in-place operations would cut the graph.
    with torch._C.DisableTorchFunction(), torch.enable_grad():
        stand_ins = {
            name: torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)
            for name, tensor in (*net.named_parameters(), *net.named_buffers())
        }
        x = torch.empty(2, in_channels, size, size, device="meta")
        answers = _pytree.tree_leaves(functional_call(net, stand_ins, (x,)))
        total = torch.stack([answer.sum() for answer in answers if getattr(answer, "requires_grad", False)]).sum()
        learning = {name: tensor for name, tensor in stand_ins.items() if tensor.requires_grad}
        gradients = torch.autograd.grad(total, list(learning.values()), allow_unused=True)
    for module in training:
        module.training = True
    for name, gradient in zip(learning, gradients, strict=True):
        if gradient is None:
            net.get_parameter(name).requires_grad_(False)
