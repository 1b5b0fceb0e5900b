import pytest
import torch
from torch import nn
from training_world import recipe as a_recipe

import zoo
from zoo.errors import RunError
from zoo.training.freeze import freeze, learn_classifier_only, training_mode
from zoo.training.loop import train
from zoo.training.tables import OptimTable

pytestmark = pytest.mark.usefixtures("_tiny_world")


def _learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.usefixtures("narrow_vgg")
def test_fcn32s_fixed_learns_its_scores_only():
    model = zoo.create_model("fcn32s_vgg16", num_classes=3)
    learn_classifier_only(model)
    assert {name.rpartition(".")[2] for name in _learning(model)} == {"weight", "bias"}
    assert {name.split(".")[-2] for name in _learning(model)} == {"score_fr"}


def test_the_bias_of_a_whole_other_layer_stays_fixed():
    model = zoo.create_model("unet_l4", num_classes=3)
    learn_classifier_only(model)
    assert _learning(model) == {"head.score.weight", "head.score.bias"}


def test_a_frozen_norm_keeps_its_statistics():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False), nn.Dropout())
    net[0].requires_grad_(False)
    net.eval()
    training_mode(net)
    assert [module.training for module in net] == [False, True, True, True]


def test_a_run_moves_the_classifier_and_nothing_else(tmp_path):
    recipe = a_recipe("optim.learns=classifier", "run.steps=3")
    result = train(recipe, tmp_path / "run")
    assert result.steps == 3
    torch.manual_seed(recipe.run.seed)
    start = zoo.create_model(recipe.model.name, num_classes=_classes(tmp_path), **recipe.model.options).state_dict()
    end = zoo.load(tmp_path / "run" / "last.safetensors").state_dict()
    moved = {name for name in start if not torch.equal(start[name], end[name])}
    assert moved == {
        "head.layers.1.weight",
        "head.layers.1.bias",
        "auxiliary.aux.layers.1.weight",
        "auxiliary.aux.layers.1.bias",
    }


def _classes(tmp_path):
    return zoo.load(tmp_path / "run" / "last.safetensors").config.num_classes


def test_a_frozen_run_resumes_bit_for_bit(tmp_path):
    whole = a_recipe("optim.learns=classifier", "run.steps=6", "schedule.name=constant", "schedule.warmup=0")
    train(whole, tmp_path / "whole")
    train(
        a_recipe("optim.learns=classifier", "run.steps=3", "schedule.name=constant", "schedule.warmup=0"),
        tmp_path / "parts",
    )
    train(whole, tmp_path / "parts", resume=True)
    first, second = (zoo.load(tmp_path / name / "last.safetensors").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_model_without_a_classifier_is_refused():
    model = zoo.create_model("unet_l4", num_classes=3)
    model.requires_grad_(False)
    with pytest.raises(RunError, match=r"optim\.learns"):
        learn_classifier_only(model)


def test_freezing_by_pattern():
    model = zoo.create_model("unet_l4", num_classes=3)
    freeze(model, OptimTable(freeze=("encoder.*", "head.score.bias")))
    assert {name.partition(".")[0] for name in _learning(model)} == {"decoder", "head"}
    assert "head.score.bias" not in _learning(model)


def test_a_pattern_that_fits_nothing_is_refused():
    model = zoo.create_model("unet_l4", num_classes=3)
    with pytest.raises(RunError, match=r"no parameter is named 'encodr\.\*'\. Did you mean 'encoder\.\*'"):
        freeze(model, OptimTable(freeze=("encodr.*",)))


def test_frozen_norms_neither_learn_nor_count():
    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False), nn.LayerNorm(2))
    freeze(net, OptimTable(freeze_norms=True))
    assert _learning(net) == {"0.weight", "0.bias"}
    training_mode(net, norms=False)
    assert [module.training for module in net] == [True, False, False, True]


def test_how_fast_statistics_move_is_settable():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.LayerNorm(2))
    freeze(net, OptimTable(norm_momentum=0.0003))
    assert net[0].momentum == 0.0003
