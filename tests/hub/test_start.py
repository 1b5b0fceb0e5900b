import logging

import pytest
import torch
from random_networks import random_model
from timm.models import adapt_input_conv

import zoo
from zoo.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("narrow_vgg")


def _saved(tmp_path, model, name="weights"):
    return zoo.save(model, tmp_path / f"{name}.safetensors")


def test_another_number_of_classes_starts_the_classifier_anew(tmp_path, caplog):
    source = random_model(num_classes=3)
    source.config = source.config.describing(classes=("a", "b", "c"))
    zoo.save(source, tmp_path / "m.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        model = zoo.create_model("fcn8s_vgg16", num_classes=5, weights=tmp_path / "m.safetensors")
    (line,) = caplog.messages
    assert "m.safetensors" in line
    assert "decoder.score_fr.weight" in line
    assert "starting anew" in line
    assert model.config.num_classes == 5
    assert model.config.classes == ()
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, source.encoder.state_dict()[name]), name
    assert not model.decoder.score_fr.weight.any()
    assert model.decoder.score_fr.weight.shape[0] == 5


def test_the_same_model_takes_all_without_a_word(tmp_path, caplog):
    source = random_model(num_classes=4)
    source.config = source.config.describing(classes=tuple("abcd"), palette=((1, 2, 3),) * 4)
    zoo.save(source, tmp_path / "m.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        model = zoo.create_model("fcn8s_vgg16", weights=tmp_path / "m.safetensors")
    assert caplog.messages == []
    assert model.training
    assert model.config == source.config
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), source.parameters(), strict=True))


def test_weights_of_which_nothing_fits_are_refused(tmp_path):
    zoo.save(random_model("fcn32s", encoder="mobilenetv3_small_100", num_classes=4), tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"nothing in .*fits"):
        zoo.create_model("fcn32s_vgg16", num_classes=3, weights=tmp_path / "m.safetensors")


@pytest.mark.parametrize("weights", ["absent.safetensors", "a/b", "default", "voc"])
def test_weights_that_are_not_there(weights):
    with pytest.raises(CheckpointError, match=r"no weight file|no default weights|no weights tagged"):
        zoo.create_model("unet_l4", weights=weights)


def test_another_number_of_classes_keeps_all_but_the_classifier(tmp_path, caplog):
    old = random_model("fcn32s_vgg16")
    with caplog.at_level(logging.WARNING):
        new = zoo.create_model("fcn32s_vgg16", num_classes=4, weights=_saved(tmp_path, old))
    before, after = old.state_dict(), new.state_dict()
    kept = {name for name in after if before[name].shape == after[name].shape}
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert {name.split(".")[-2] for name in after.keys() - kept} >= {"score_fr"}
    assert all(name in caplog.text for name in after.keys() - kept)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_a_first_layer_is_adapted_to_other_channels_as_timm_does(tmp_path, caplog, channels):
    old = random_model("fcn32s_vgg16")
    with caplog.at_level(logging.WARNING):
        new = zoo.create_model("fcn32s_vgg16", in_channels=channels, weights=_saved(tmp_path, old))
    before, after = old.state_dict(), new.state_dict()
    first = "encoder.conv1_1.weight"
    expected = adapt_input_conv(channels, before.pop(first))
    torch.testing.assert_close(after.pop(first), expected, rtol=1e-6, atol=1e-7)
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert f"adapted from 3 to {channels} input channels: {first}" in caplog.text
    assert "starting anew" not in caplog.text


def test_strict_weights_fit_or_are_refused(tmp_path):
    path = _saved(tmp_path, random_model("fcn32s_vgg16"))
    zoo.create_model("fcn32s_vgg16", weights=path, strict=True)
    for changed in ({"num_classes": 4}, {"in_channels": 1}):
        with pytest.raises(CheckpointError, match="does not fit fcn32s_vgg16; starting anew"):
            zoo.create_model("fcn32s_vgg16", weights=path, strict=True, **changed)


def test_an_auxiliary_head_in_one_of_the_two_is_no_error_unless_strict(tmp_path, caplog):
    without, with_head = (random_model("deeplabv3@resnet10t", aux=aux) for aux in (False, True))
    plain, rich = _saved(tmp_path, without, "plain"), _saved(tmp_path, with_head, "rich")
    caplog.set_level(logging.WARNING)
    one = zoo.create_model("deeplabv3@resnet10t", aux=True, weights=plain)
    other = zoo.create_model("deeplabv3@resnet10t", weights=rich)
    assert not caplog.records
    assert all(torch.equal(one.state_dict()[name], tensor) for name, tensor in without.state_dict().items())
    assert all(torch.equal(with_head.state_dict()[name], tensor) for name, tensor in other.state_dict().items())
    with pytest.raises(CheckpointError, match=r"starting anew: auxiliary\.aux"):
        zoo.create_model("deeplabv3@resnet10t", aux=True, weights=plain, strict=True)
    with pytest.raises(CheckpointError, match=r"left aside: auxiliary\.aux"):
        zoo.create_model("deeplabv3@resnet10t", weights=rich, strict=True)
