"""What the tests of the FCN variants share."""

import torch
import torch.nn.functional as F
from torch import nn

import zoo

SIZES = [(1, 1), (2, 3), (31, 32), (33, 97), (64, 50)]
"""Heights and widths that no stride divides, or that are smaller than one cell."""


def on_meta(name, **options):
    """The model without storage: for counts and shapes."""
    with torch.device("meta"):
        return zoo.create_model(name, **options)


def random_scores(model):
    """Score layers start at zero; with these the logits tell something."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and ".score_" in name:
            nn.init.normal_(module.weight, std=0.1)
            nn.init.normal_(module.bias)
    return model


def assert_close(got, expected):
    """To 1e-5 of the largest value."""
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def picture(*size, channels=3, seed=1):
    """A random input as the Caffe nets see it."""
    return 60 * torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed))


def plain_lrn(x):
    """Local response normalisation with the constants of both nets."""
    return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)


def plain_pool(x):
    """Their pooling."""
    return F.max_pool2d(x, 3, 2, ceil_mode=True)
