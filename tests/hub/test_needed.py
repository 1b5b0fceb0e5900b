"""A weight file of a plugin's model says what to install where the plugin is not."""

import pytest
import torch

import zoo
from zoo import registry
from zoo.errors import CheckpointError

MANIFEST = """
api = 1
namespace = "acme"

[[model]]
name = "net"
target = "zoo_acme.net:net"
summary = "A net of somebody else's"
"""
CODE = """
import zoo

def net(num_classes=3, in_channels=3):
    model = zoo.create_model("unet_l4", num_classes=num_classes, in_channels=in_channels, channels=[4, 4])
    del model.config
    return model
"""


@pytest.mark.usefixtures("fresh_registry")
def test_it_names_the_distribution(install, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(install("zoo_acme", MANIFEST, code="", modules={"net": CODE}))
    path = zoo.save(zoo.create_model("acme/net"), tmp_path / "net.safetensors")
    x = torch.rand(1, 3, 20, 20)
    assert zoo.load(path)(x)["out"].shape == (1, 21, 20, 20)
    monkeypatch.undo()
    monkeypatch.setattr(registry, "_registry", None)
    with pytest.raises(CheckpointError, match=r"plugin that is not installed.* pip install zoo-acme"):
        zoo.load(path)


def test_models_of_our_own_need_nothing(tmp_path):
    from zoo.hub.header import read_header

    path = zoo.save(zoo.create_model("unet_l4", channels=[4, 4]), tmp_path / "net.safetensors")
    assert "needs" not in read_header(path).record
