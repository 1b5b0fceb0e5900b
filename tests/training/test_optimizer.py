import pytest
import torch
from torch import nn

from zoo.errors import RunError
from zoo.training.optimizer import build_optimizer, parameter_groups, set_learning_rate
from zoo.training.recipe import OptimTable


def net():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LayerNorm([4, 5, 5]), nn.Linear(5, 2), nn.PReLU())
    layers[3].weight.requires_grad_(False)
    return layers


def test_decay_spares_norms_biases_and_vectors():
    layers = net()
    decayed, spared = parameter_groups(layers, 0.1)
    assert [id(p) for p in decayed["params"]] == [id(layers[0].weight)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in spared["params"]} == {
        id(p) for p in (layers[0].bias, layers[1].weight, layers[1].bias, layers[2].weight, layers[2].bias,
                        layers[3].bias, layers[4].weight)
    }  # fmt: skip


def test_shared_parameters_are_given_once():
    layer = nn.Linear(3, 3)
    assert len(parameter_groups(nn.Sequential(layer, layer), 0.1)[0]["params"]) == 1


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_frozen_parameters_never_reach_the_optimiser(name):
    layers = net()
    before = layers[3].weight.clone()
    optimizer = build_optimizer(layers, OptimTable(name=name, lr=0.1, weight_decay=0.5))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(layers[3].weight) not in held
    layers(torch.randn(2, 3, 7, 7)).sum().backward()
    optimizer.step()
    assert torch.equal(layers[3].weight, before)


def test_groups_of_nothing_are_left_out():
    assert len(parameter_groups(nn.BatchNorm2d(3), 0.1)) == 1


def test_nothing_to_train():
    layers = net().requires_grad_(False)
    with pytest.raises(RunError, match="nothing to train: every parameter"):
        build_optimizer(layers, OptimTable())


def test_settings_arrive():
    optimizer = build_optimizer(net(), OptimTable(name="sgd", lr=0.3, momentum=0.7))
    assert {group["momentum"] for group in optimizer.param_groups} == {0.7}
    optimizer = build_optimizer(net(), OptimTable(lr=0.3, betas=(0.5, 0.6)))
    assert {(group["lr"], group["betas"]) for group in optimizer.param_groups} == {(0.3, (0.5, 0.6))}
    set_learning_rate(optimizer, 0.01)
    assert {group["lr"] for group in optimizer.param_groups} == {0.01}
