"""Letting the nets of other libraries be trained on one value per channel."""

import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from zoo.ops import BatchNorm2d


def allow_lone_values(net: nn.Module) -> None:
    """Give the batch norms of `net` the forward of `zoo.ops.BatchNorm2d`, in place.

    A picture of 32×32 pixels in a batch of its own is one value per channel at stride 32, and attention over channels
    normalises one value per channel at any size. Parameters, buffers and state dict stay as they are.
    """
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm2d
        elif type(module) is BatchNormAct2d:
            module.__class__ = _BatchNormAct2d


class _BatchNormAct2d(BatchNormAct2d):  # type: ignore[misc]
    """timm's batch norm with activation, with running statistics for a single value per channel."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] == x.shape[2] == x.shape[3] == 1 and self.running_mean is not None:
            statistics = (self.running_mean, self.running_var)
            x = F.batch_norm(x, *statistics, self.weight, self.bias, training=False, eps=self.eps)
            answer: Tensor = self.act(self.drop(x))
        else:
            answer = super().forward(x)
        return answer
