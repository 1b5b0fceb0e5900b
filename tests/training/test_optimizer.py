import pytest
import torch
from torch import nn

from zoo.errors import RunError
from zoo.training.optimizer import build_optimizer, parameter_groups, set_learning_rate
from zoo.training.tables import GroupTable, OptimTable


def net():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LayerNorm([4, 5, 5]), nn.Linear(5, 2), nn.PReLU())
    layers[3].weight.requires_grad_(False)
    return layers


def test_decay_spares_norms_biases_and_vectors():
    layers = net()
    decayed, spared = parameter_groups(layers, OptimTable(weight_decay=0.1))
    assert [id(p) for p in decayed["params"]] == [id(layers[0].weight)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in spared["params"]} == {
        id(p) for p in (layers[0].bias, layers[1].weight, layers[1].bias, layers[2].weight, layers[2].bias,
                        layers[3].bias, layers[4].weight)
    }  # fmt: skip


def test_shared_parameters_are_given_once():
    layer = nn.Linear(3, 3)
    assert len(parameter_groups(nn.Sequential(layer, layer), OptimTable())[0]["params"]) == 1


@pytest.mark.parametrize("name", ["adamw", "sgd", "adam", "rmsprop"])
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
    assert len(parameter_groups(nn.BatchNorm2d(3), OptimTable())) == 1


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


class Net(nn.Module):
    """The parts of a model, by the names that they have."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.decoder = nn.Conv2d(4, 4, 1)
        self.head = nn.Conv2d(4, 2, 1)
        self.auxiliary = nn.ModuleDict({"aux": nn.Conv2d(4, 2, 1)})


def given(net, classifier=frozenset(), **settings):
    """Name → (factor of the learning rate, weight decay)."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = parameter_groups(net, OptimTable(weight_decay=0.5, **settings), classifier)
    return {names[id(p)]: (group["lr_factor"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_biases_twice_as_fast_without_decay_as_caffe_has_it():
    found = given(Net(), bias_lr=2)
    assert found["encoder.0.weight"] == (1, 0.5)
    assert found["encoder.0.bias"] == (2, 0)
    assert found["encoder.1.weight"] == found["encoder.1.bias"] == (1, 0)


def test_decay_of_everything():
    assert {decay for _, decay in given(Net(), bias_decay=True, norm_decay=True).values()} == {0.5}


def test_the_head_learns_faster():
    fast = {name for name, (rate, _) in given(Net(), head_lr=10).items() if rate == 10}
    assert {name.partition(".")[0] for name in fast} == {"decoder", "head", "auxiliary"}
    scores = {"head.weight", "head.bias"}
    assert {n for n, (rate, _) in given(Net(), scores, head_lr=10, head="classifier").items() if rate == 10} == scores
    found = given(Net(), aux_lr=10, bias_lr=2)
    assert {name: rate for name, (rate, _) in found.items() if rate > 2} == {
        "auxiliary.aux.weight": 10,
        "auxiliary.aux.bias": 20,
    }


def test_exceptions_by_name():
    groups = (GroupTable(match=("encoder.0.*", "head.bias"), lr=3, decay=0.1), GroupTable(match=("*.bias",), lr=5))
    found = given(Net(), groups=groups, bias_lr=2, head_lr=10)
    assert found["encoder.0.weight"] == found["head.bias"] == (3, 0.05)
    assert found["decoder.bias"] == found["encoder.1.bias"] == (5, 0.5)
    assert found["head.weight"] == (10, 0.5)
    with pytest.raises(RunError, match=r"optim\.groups: no parameter that learns is named 'encodr\.\*'"):
        given(Net(), groups=(GroupTable(match=("encodr.*",)),))


def test_factors_multiply_the_rate_of_every_step():
    optimizer = build_optimizer(Net(), OptimTable(name="sgd", lr=0.5, bias_lr=2, head_lr=10))
    set_learning_rate(optimizer, 0.1)
    assert sorted({round(group["lr"], 9) for group in optimizer.param_groups}) == [0.1, 0.2, 1.0, 2.0]


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("rmsprop", torch.optim.RMSprop)])
def test_the_other_two(name, kind):
    optimizer = build_optimizer(net(), OptimTable(name=name, eps=1e-3, alpha=0.7, momentum=0.3, betas=(0.5, 0.6)))
    assert type(optimizer) is kind
    (eps,) = {group["eps"] for group in optimizer.param_groups}
    assert eps == 1e-3
    own = {"adam": ("betas", (0.5, 0.6)), "rmsprop": ("alpha", 0.7)}[name]
    assert {group[own[0]] for group in optimizer.param_groups} == {own[1]}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_fused_where_torch_has_it(name):
    assert all(group["fused"] for group in build_optimizer(net(), OptimTable(name=name)).param_groups)
