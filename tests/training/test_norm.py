import pytest
import torch
from torch import nn

from zoo.training.norm import lone_values_allowed


def norm():
    layer = nn.BatchNorm2d(3)
    layer.running_mean[:] = torch.tensor([1.0, 2.0, 3.0])
    layer.running_var[:] = torch.tensor([4.0, 9.0, 16.0])
    return layer


def test_one_value_per_channel_is_normalised_by_the_running_statistics():
    layer = norm()
    x = torch.tensor([3.0, 2.0, 7.0]).view(1, 3, 1, 1).requires_grad_()
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        layer(x)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    with lone_values_allowed(nn.Sequential(layer)):
        out = layer(x)
    torch.testing.assert_close(out.flatten(), torch.tensor([1.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    out.sum().backward()
    assert x.grad.abs().min() > 0
    assert layer.weight.grad is not None
    assert all(torch.equal(state[name], value) for name, value in layer.state_dict().items())
    assert layer.training


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 1, 2), (4, 3, 5, 6)])
def test_more_values_are_treated_as_ever(shape):
    one, other = norm(), norm()
    x = torch.randn(shape)
    with lone_values_allowed(one):
        found = one(x)
    assert torch.equal(found, other(x))
    assert torch.equal(one.running_var, other.running_var)


def test_modes_and_hooks_are_given_back():
    layer = norm().eval()
    with lone_values_allowed(layer):
        layer(torch.ones(1, 3, 1, 1))
    assert not layer.training
    layer.train()
    with lone_values_allowed(layer), pytest.raises(RuntimeError):
        layer(torch.ones(1, 5, 1, 1))  # another number of channels
    assert layer.training
    with pytest.raises(ValueError, match="Expected more than 1 value"):
        layer(torch.ones(1, 3, 1, 1))


def test_it_reaches_the_norms_of_timm():
    timm_layers = pytest.importorskip("timm.layers")
    layer = timm_layers.BatchNormAct2d(3)
    with lone_values_allowed(layer):
        assert layer(torch.ones(1, 3, 1, 1)).isfinite().all()
    assert layer.num_batches_tracked == 0
