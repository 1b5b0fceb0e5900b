"""The SIFT Flow nets, two answers from one trunk; and saving all variants."""

import pytest
import torch
from fcn_world import SIZES, random_scores

import zoo
from zoo.errors import OptionError

# Two answers from one trunk


@torch.no_grad()
@pytest.mark.parametrize("stage", ["fcn32s", "fcn16s", "fcn8s"])
def test_siftflow_nets_are_two_nets_on_one_trunk(narrow_vgg, stage):
    torch.manual_seed(0)
    model = random_scores(zoo.create_model(f"{stage}_siftflow_vgg16")).eval()
    x = torch.randn(2, 3, 40, 53)
    both = model(x)
    assert {key: tuple(value.shape) for key, value in both.items()} == {
        "out": (2, 33, 40, 53),
        "geometric": (2, 3, 40, 53),
    }
    state = model.state_dict()
    for key, suffix, home, classes in (("out", "_sem", "", 33), ("geometric", "_geo", "further.geometric.", 3)):
        single = zoo.create_model(f"{stage}_vgg16", num_classes=classes).eval()
        own = {
            name: state[
                name
                if name.startswith("encoder.")
                else home + name.rsplit(".", 1)[0] + suffix + "." + name.rsplit(".", 1)[1]
            ]
            for name in single.state_dict()
        }
        single.load_state_dict(own)
        assert torch.equal(both[key], single(x)["out"])
        assert both[key].abs().max() > 0


def test_both_answers_are_there_in_training_and_both_teach_the_trunk(narrow_vgg):
    torch.manual_seed(0)
    model = random_scores(zoo.create_model("fcn8s_siftflow_vgg16")).train()
    for key in ("out", "geometric"):
        model.zero_grad()
        model(torch.randn(1, 3, 20, 20))[key].square().mean().backward()
        assert model.encoder.conv1_1.weight.grad.abs().max() > 0
    assert model.further["geometric"].decoder.score_pool3_geo.weight.grad is not None
    assert model.decoder.score_pool3_sem.weight.grad is None
    assert (model.config.num_classes, model.config.options) == (33, {"geometric_classes": 3})


@torch.no_grad()
def test_a_second_answer_on_any_encoder_and_of_any_size():
    model = zoo.create_model("fcn16s@resnet18", num_classes=4, geometric_classes=7).eval()
    for size in SIZES:
        shapes = {key: tuple(value.shape) for key, value in model(torch.rand(1, 3, *size)).items()}
        assert shapes == {"out": (1, 4, *size), "geometric": (1, 7, *size)}
    with pytest.raises(OptionError, match="-3"):
        zoo.create_model("fcn16s@resnet18", geometric_classes=-3)


def test_finer_siftflow_nets_start_from_coarser_ones(narrow_vgg, tmp_path):
    torch.manual_seed(0)
    coarse = random_scores(zoo.create_model("fcn32s_siftflow_vgg16"))
    zoo.save(coarse, tmp_path / "coarse.safetensors")
    fine = zoo.create_model("fcn16s_siftflow_vgg16", weights=tmp_path / "coarse.safetensors")
    assert torch.equal(fine.decoder.score_fr_sem.weight, coarse.decoder.score_fr_sem.weight)
    geometric = fine.further["geometric"].decoder
    assert torch.equal(geometric.score_fr_geo.weight, coarse.further["geometric"].decoder.score_fr_geo.weight)
    assert torch.equal(fine.encoder.fc7.weight, coarse.encoder.fc7.weight)


# Saving, and what a name implies


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn32s_googlenet", {}),
        ("fcn32s_googlenet", {"first_padding": 100, "num_classes": 2}),
        ("fcn32s_rgbd_vgg16", {}),
        ("fcn32s_rgbd_vgg16", {"in_channels": 5}),
        ("fcn32s_rgb_hha_vgg16", {}),
        ("fcn32s_siftflow_vgg16", {}),
        ("fcn8s_siftflow_vgg16", {"geometric_classes": 4}),
        ("fcn8s_atonce@caffenet", {"classifier": False, "geometric_classes": 1}),
    ],
)
def test_save_and_load(narrow_vgg, tmp_path, name, options):
    torch.manual_seed(0)
    model = random_scores(zoo.create_model(name, **options)).eval()
    zoo.save(model, tmp_path / "net.safetensors")
    again = zoo.load(tmp_path / "net.safetensors")
    assert again.config == model.config
    x = torch.randn(1, model.config.in_channels, 35, 42)
    before, after = model(x), again(x)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert trainable == {name: parameter.requires_grad for name, parameter in again.named_parameters()}


def test_a_preset_for_one_encoder_does_not_bind_another(narrow_vgg):
    """first_padding = 3 is GoogLeNet's; geometric_classes belongs to the architecture."""
    assert zoo.create_model("fcn32s_googlenet@resnet18").config.options == {}
    assert zoo.create_model("fcn32s_siftflow_vgg16", encoder="resnet18").config.options == {"geometric_classes": 3}
    with pytest.raises(OptionError, match="first_padding"):
        zoo.create_model("fcn32s_googlenet@resnet18", first_padding=3)
