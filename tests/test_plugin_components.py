"""What a plugin may bring besides networks: losses, augmentations, commands, pipelines, weights with their own hub."""

import hashlib
import json
import sys

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import zoo
from zoo import cli, registry
from zoo.config import IGNORE
from zoo.data.augment import augment_transform
from zoo.data.shapes import Shapes
from zoo.errors import OptionError, PluginError
from zoo.manifest import KINDS
from zoo.training import recipe as recipes
from zoo.training.loss import Criterion
from zoo.training.loss_table import LossTable

MANIFEST = """
api = 1
namespace = "acme"

[[loss]]
name = "brier"
target = "zoo_acme.parts:Brier"
summary = "Squared error of the probabilities"

[[loss]]
name = "wrong"
target = "zoo_acme.parts:wrong"
summary = "Gives no scalar"

[[transform]]
name = "dim"
target = "zoo_acme.parts:Dim"
summary = "Darker pictures"

[[pipeline]]
name = "tiles"
target = "zoo_acme.parts:wrong"
summary = "Tile by tile"

[[command]]
name = "greet"
target = "zoo_acme.commands:greet"
summary = "Say hello to NAME."

[[command]]
name = "doctor"
target = "zoo_acme.commands:greet"
summary = "Another doctor."

[[command]]
name = "broken"
target = "zoo_acme.commands:none"
summary = "No command at all."
"""
PARTS = """
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2


class Brier(torch.nn.Module):
    def __init__(self, power: float = 2.0, scale: float = 1.0):
        super().__init__()
        self.power, self.scale = power, scale
        if power <= 0:
            raise ValueError("power must be above 0")

    def forward(self, logits, target):
        valid = target != 255
        wanted = torch.nn.functional.one_hot(target.where(valid, 0), logits.shape[1]).movedim(-1, 1)
        error = ((logits.softmax(1) - wanted).abs() ** self.power).sum(1)
        return self.scale * error[valid].mean()


def wrong():
    return lambda logits, target: logits.mean((2, 3))


class Dim(v2.Transform):
    def __init__(self, factor: float = 0.5):
        super().__init__()
        self.factor = factor

    def transform(self, inpt, params):
        return inpt * self.factor if isinstance(inpt, tv_tensors.Image) else inpt
"""
COMMANDS = """
import click


@click.command()
@click.argument("name")
def greet(name):
    click.echo(f"hello {name}")


none = 5
"""


@pytest.fixture(autouse=True)
def acme(install, monkeypatch, fresh_registry):
    site = install("zoo_acme", MANIFEST, code="", modules={"parts": PARTS, "commands": COMMANDS})
    monkeypatch.syspath_prepend(site)
    return site


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 5), generator=generator)
    target[0, 0] = IGNORE
    return logits, target


def _brier(logits, target, power=2.0):
    """One pixel after the other."""
    values = []
    for scores, label in zip(logits.detach().movedim(1, -1).reshape(-1, 3), target.flatten().tolist(), strict=True):
        if label != IGNORE:
            shares = scores.softmax(0).tolist()
            values.append(sum(abs(share - (index == label)) ** power for index, share in enumerate(shares)))
    return sum(values) / len(values)


def test_every_kind_is_listed_and_nothing_imported():
    for kind in ("loss", "transform", "pipeline", "command"):
        assert kind in KINDS
        assert [spec for spec in registry.find(kind) if spec.plugin == "acme"]
    assert "zoo_acme.parts" not in sys.modules


@pytest.mark.parametrize("name", ["acme/brier", "brier"])
def test_a_loss_by_name(batch, name):
    logits, target = batch
    loss = Criterion(LossTable(name=name))({"out": logits, "aux": logits}, target)
    assert loss.item() == pytest.approx(1.4 * _brier(logits, target), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() > 0


def test_terms_have_options_of_their_own(batch):
    logits, target = batch
    terms = [
        {"name": "acme/brier", "options": {"power": 1.0}},
        {"name": "acme/brier", "weight": 0.5, "options": {"power": 3.0}},
        {"name": "cross_entropy", "options": {"label_smoothing": 0.2}},
    ]
    table = recipes.build({"model": {"name": "m"}, "data": {"name": "d"}, "loss": {"terms": terms}}).loss
    expected = _brier(logits, target, 1.0) + 0.5 * _brier(logits, target, 3.0)
    smooth = nn.functional.cross_entropy(logits, target, ignore_index=IGNORE, label_smoothing=0.2).item()
    assert Criterion(table)({"out": logits}, target).item() == pytest.approx(expected + smooth, rel=1e-5)


def test_a_loss_is_not_asked_where_nothing_counts(batch):
    logits, target = batch
    loss = Criterion(LossTable(name="brier"))({"out": logits}, torch.full_like(target, IGNORE))
    assert loss.item() == 0
    assert torch.equal(torch.autograd.grad(loss, logits)[0], torch.zeros_like(logits))


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        ({"name": "acme/brier", "options": {"pover": 1.0}}, OptionError, "no option 'pover'. Did you mean 'power'"),
        ({"name": "acme/brier", "options": {"power": "two"}}, OptionError, "power='two': expected a float"),
        ({"name": "acme/brier", "options": {"power": -1.0}}, OptionError, "power must be above 0"),
        ({"name": "ohem", "options": {"treshold": 0.5}}, OptionError, "Did you mean 'threshold'"),
    ],
)
def test_options_are_checked_against_the_signature(table, error, said):
    with pytest.raises(error) as caught:
        Criterion(LossTable(**table))
    assert said in str(caught.value)


def test_what_is_no_loss_is_said(batch):
    logits, target = batch
    with pytest.raises(PluginError, match=r"'acme/wrong' gave a tensor of shape \(2, 3\); expected a scalar"):
        Criterion(LossTable(name="acme/wrong"))({"out": logits}, target)
    tables = {"model": {"name": "m"}, "data": {"name": "d"}}
    with pytest.raises(
        OptionError, match=r"loss\.name: there is no loss named 'acme/bryer'\. Did you mean 'acme/brier'"
    ):
        recipes.build({**tables, "loss": {"name": "acme/bryer"}})
    with pytest.raises(OptionError, match="with terms, each has its own"):
        recipes.build({**tables, "loss": {"terms": [{"name": "dice"}], "options": {"power": 1.0}}})


def test_a_recipe_with_options_is_written_and_read_again(tmp_path):
    loss = {"name": "acme/brier", "options": {"power": 1.5}}
    recipe = recipes.build({"model": {"name": "m"}, "data": {"name": "d"}, "loss": loss})
    (tmp_path / "r.toml").write_text(recipe.to_toml())
    assert recipes.load(tmp_path / "r.toml") == recipe


def test_a_transform_by_name():
    sample = Shapes("val")[0]
    for name in ("acme/dim", "dim"):
        image, mask = augment_transform([{"name": name, "factor": 0.25}])(sample)
        assert torch.equal(image, sample.image * 0.25)
        assert torch.equal(mask, sample.mask)
    with pytest.raises(OptionError, match=r"unknown option 'facto'\. Did you mean 'factor'"):
        augment_transform([{"name": "acme/dim", "facto": 1}])
    with pytest.raises(OptionError, match=r"no such augmentation\. Did you mean 'acme/dim'"):
        augment_transform([{"name": "acme/dimm"}])


def test_commands_are_listed_and_only_the_one_that_runs_is_imported():
    done = CliRunner().invoke(cli.cli, ["--help"])
    assert "Commands of plugins:" in done.output
    assert "\n  greet " in done.output
    assert "\n  acme/doctor " in done.output
    assert "zoo_acme.commands" not in sys.modules
    for name in ("greet", "acme/greet", "acme/doctor"):
        done = CliRunner().invoke(cli.cli, [name, "Ada"])
        assert (done.exit_code, done.output) == (0, "hello Ada\n")
    assert "Check Python" in CliRunner().invoke(cli.cli, ["doctor", "--help"]).output


def test_what_is_no_command_is_said():
    done = CliRunner().invoke(cli.cli, ["broken"])
    assert done.exit_code == 1
    assert "'acme/broken' of plugin 'acme' (zoo_acme.commands:none) is a int; expected a click command" in done.output
    done = CliRunner().invoke(cli.cli, ["gret"])
    assert done.exit_code == 2
    assert "Did you mean 'greet'" in done.output


def test_records_have_a_hub_of_their_own(tmp_path, acme, monkeypatch):
    """The files of a record lie in the folder that the manifest names; its sha256 is checked."""
    model = '[[model]]\nname = "net"\narchitecture = "fcn8s"\nencoder = "resnet18"\nsummary = "A net"\n'
    head = f'api = 1\nnamespace = "acme"\nhub = "{tmp_path.as_uri()}"\n'
    (acme / "zoo_acme" / "plugin.toml").write_text(head + model)
    path = zoo.save(zoo.create_model("acme/net", num_classes=2), tmp_path / "net.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = f'files = [{{ name = "{path.name}", bytes = {path.stat().st_size}, sha256 = "{digest}" }}]\n'
    weights = f'[[weights]]\nname = "net.small"\nsummary = "Small"\nmodel = "net"\n{entry}'
    (acme / "zoo_acme" / "plugin.toml").write_text(head + model + weights)
    monkeypatch.setattr(registry, "_registry", None)
    (record,) = json.loads(_zoo("list", "--kind", "weights", "acme/*", "--json"))
    assert record["name"] == "acme/net.small"
    assert zoo.load("acme/net.small").config.num_classes == 2
    zoo.save(zoo.create_model("unet_l4", num_classes=2), path)
    with pytest.raises(zoo.errors.ZooError, match=r"net\.safetensors: has .* bytes, expected"):
        zoo.load("acme/net.small")


@pytest.mark.parametrize("hub", ["5", '"acme.example/weights"', '"ftp://acme.example"'])
def test_a_hub_is_an_address(acme, hub, monkeypatch):
    (acme / "zoo_acme" / "plugin.toml").write_text(f'api = 1\nnamespace = "acme"\nhub = {hub}\n')
    monkeypatch.setattr(registry, "_registry", None)
    (plugin,) = [plugin for plugin in registry.registry().plugins if plugin.origin == "zoo-acme 1.0"]
    assert plugin.status == "broken"
    assert "expected the address of a folder" in plugin.error


def _zoo(*arguments):
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout
