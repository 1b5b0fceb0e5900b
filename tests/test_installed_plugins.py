"""Good and bad plugins, really installed side by side. Whatever one of them does, the others work."""

import json
import os
import subprocess
import sys

import pytest
from fresh_environment import install_into, once, wheel

import zoo
from zoo import registry
from zoo.errors import CheckpointError, PluginError

HEAD = 'api = 1\nnamespace = "{0}"\nsummary = "The plugin {0}"\n'
NET = '[[architecture]]\nname = "net"\ntarget = "zoo_{0}.net:net"\nsummary = "The net of {0}"\n'
GOOD = HEAD + NET

NET_CODE = """
from torch import nn
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, FeatureSpec
from zoo.model import SegmentationModel
from zoo_good.trunk import Trunk


class Same(Decoder):
    def __init__(self, tap):
        super().__init__()
        self.taps, self.out = (tap.name,), tap

    def forward(self, features):
        return features.maps[self.taps[0]]


def net(num_classes, in_channels, *, width: int = 4):
    trunk = Trunk(in_channels=in_channels, width=width)
    return SegmentationModel(trunk, Same(trunk.features[0]), ScoreHead(width, num_classes))
"""
TRUNK_CODE = """
from torch import nn
from zoo.interfaces import Encoder, Features, FeatureSpec


class Trunk(Encoder):
    def __init__(self, taps=None, in_channels: int = 3, width: int = 4):
        super().__init__()
        self.features = (FeatureSpec("all", width, 1, 0.0),)
        self.conv = nn.Conv2d(in_channels, width, 1)

    def forward(self, x, taps, with_pools=False):
        return Features({"all": self.conv(x)}, {})
"""
SIMPLE_NET = "from zoo_good.net import net\n"
THIEF = """
from dataclasses import replace
from zoo import registry
known = registry.registry()
known._specs["architecture"]["good/net"] = replace(known._specs["architecture"]["good/net"], target="os:getcwd")
known._specs["architecture"]["fcn8s"].needs["strides"] = [1]
del known._specs["model"]["fcn8s_vgg16"]
from zoo_good.net import net
"""


def _files(name, net=SIMPLE_NET, *, manifest=GOOD, init=""):
    return {"__init__.py": init, "net.py": net, "plugin.toml": manifest.format(name)}


def _colliding():
    return HEAD.format("colliding") + "".join(
        f'[[{kind}]]\nname = "{name}"\ntarget = "zoo_colliding.net:net"\nsummary = "Not the built-in one"\n'
        for kind, name in [
            ("architecture", "fcn8s"),
            ("model", "fcn8s_vgg16"),
            ("encoder", "resnet18"),
            ("dataset", "shapes"),
            ("loss", "dice"),
            ("transform", "crop"),
            ("command", "train"),
        ]
    )


BROKEN = {  # entry point's name → what is wrong with the manifest
    "absent": "no plugin.toml",
    "malformed": "cannot be read",
    "newer": "made for a newer one",
    "wordy": "api = 'one'",
    "thief_of_names": "the namespace 'fcn' belongs to built-in",
    "twin_b": "the namespace 'twin' belongs to zoo-twin-a 1.0",
    "gone": "its package 'zoo_gone' is not installed",
}
FAILING = {  # namespace → what its component says when it is loaded
    "raising": "RuntimeError: on purpose",
    "exiting": "SystemExit: 3",
    "lacking": "has no attribute 'net'",
    "homeless": "ModuleNotFoundError",
    "meddling": "changed what is not its own",
}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A folder for `sys.path` into which pip installed all of them."""
    return once(tmp_path_factory, "crowd", _gather) / "site"


def _gather(folder):
    absent = _files("absent")
    del absent["plugin.toml"]
    homeless = GOOD.replace("zoo_{0}.net", "zoo_{0}.nowhere")
    plugins = {
        "good": {**_files("good", NET_CODE), "trunk.py": TRUNK_CODE},
        "other": _files("other"),
        "absent": absent,
        "malformed": _files("malformed", manifest="this is = = not TOML"),
        "newer": _files("newer", manifest='api = 2\nnamespace = "{0}"\nfuture = true\n'),
        "wordy": _files("wordy", manifest='api = "one"\nnamespace = "{0}"\n'),
        "thief_of_names": _files("fcn"),
        "twin_a": _files("twin", manifest=GOOD.replace("zoo_{0}", "zoo_twin_a")),
        "twin_b": _files("twin", manifest=GOOD.replace("zoo_{0}", "zoo_twin_b")),
        "gone": _files("gone"),
        "raising": _files("raising", "raise RuntimeError('on purpose')"),
        "exiting": _files("exiting", init="import sys; sys.exit(3)"),
        "lacking": _files("lacking", "nett = 1"),
        "homeless": _files("homeless", manifest=homeless),
        "meddling": _files("meddling", THIEF),
        "printing": _files("printing", "print('look at me')\n" + SIMPLE_NET, init="print('hello')"),
        "torchy": _files("torchy", init="import torch"),
        "colliding": _files("colliding", manifest="{0}"),
    }
    plugins["colliding"]["plugin.toml"] = _colliding()
    wheels = [wheel(folder, f"zoo_{name}", files) for name, files in plugins.items()]
    namesake = _files("namesake", manifest=GOOD.replace("zoo_{0}", "zoo_fork"))
    wheels.append(wheel(folder, "zoo_fork", namesake, entry="good = zoo_fork"))  # an entry point that another has
    install_into(folder / "site", *wheels)
    for path in (folder / "site" / "zoo_gone").iterdir():
        path.unlink()
    (folder / "site" / "zoo_gone").rmdir()


@pytest.fixture(scope="module")
def diagnosis(crowd, root, tmp_path_factory):
    """What `zoo doctor` says of them: namespace → problem."""

    def ask(folder):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "doctor", "--json"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(crowd), str(root)])},
        )
        assert done.returncode == 1, done.stderr
        (folder / "report.json").write_text(done.stdout)

    return json.loads((once(tmp_path_factory, "diagnosis", ask) / "report.json").read_text())


def test_a_listing_shows_the_good_ones_and_one_line_for_each_broken_one(crowd, zoo_command):
    done = zoo_command("list", "--kind", "architecture", "*/net", "--json", path=[crowd], flags=["-X", "importtime"])
    names = {spec["name"] for spec in json.loads(done.stdout)}
    assert {"good/net", "other/net", "namesake/net", "twin/net", "torchy/net", "printing/net"} <= names
    complaints = [line for line in done.stderr.splitlines() if line.startswith("zoo: ")]
    assert len(complaints) == len(BROKEN)
    for name, said in BROKEN.items():
        (line,) = [
            line for line in complaints if f"zoo-{name.replace('_', '-')} 1.0" in line.partition(" is broken")[0]
        ]
        assert said in line
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}
    assert not {name for name in imported if name.startswith("zoo_")}
    assert not imported & {"torch", "timm", "importlib.metadata", "pydantic"}


def test_plugins_shows_how_each_fares(crowd, zoo_command):
    rows = json.loads(zoo_command("plugins", "--json", path=[crowd]).stdout)
    status = {row["origin"]: row["status"] for row in rows if row["origin"] != "built-in"}
    assert {origin for origin, how in status.items() if how == "broken"} == {
        f"zoo-{name.replace('_', '-')} 1.0" for name in BROKEN
    }
    assert len(status) == 19


@pytest.mark.parametrize("name", BROKEN)
def test_doctor_says_what_to_do_about_a_manifest(diagnosis, name):
    (problem,) = [found for found in diagnosis["problems"] if f"(zoo-{name.replace('_', '-')} 1.0)" in found["what"]]
    assert BROKEN[name] in problem["error"]
    assert problem["cure"]
    if name == "newer":
        assert "pip install --upgrade zoo-segmentation" in problem["cure"]


@pytest.mark.parametrize("name", FAILING)
def test_doctor_says_what_to_do_about_code(diagnosis, name):
    (problem,) = [
        found for found in diagnosis["problems"] if found["what"] == f"architecture {name}/net of plugin {name}"
    ]
    assert FAILING[name] in problem["error"]
    assert "uninstall" in problem["cure"]


def test_doctor_finds_nothing_else(diagnosis):
    known = len(BROKEN) + len(FAILING)
    strange = [found for found in diagnosis["problems"] if "colliding" not in found["what"]]
    assert len(strange) == known, [found["what"] for found in strange]


@pytest.fixture
def chosen(monkeypatch, fresh_registry):
    """Puts a folder on `sys.path` and forgets afterwards what was imported from it."""

    def put(site, plugins="good"):
        monkeypatch.syspath_prepend(site)
        monkeypatch.setenv("ZOO_PLUGINS", plugins)

    yield put
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", FAILING)
def test_what_cannot_be_loaded_is_one_line_and_the_others_work(crowd, chosen, name):
    chosen(crowd, f"{name},good")
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            zoo.create_model(f"{name}/net")
        assert FAILING[name] in str(caught.value)
        assert f"{name!r}" in str(caught.value)
        assert "\n" not in str(caught.value)
        if name == "meddling":  # it is imported by now, and what it did is undone
            break
    assert zoo.create_model("good/net", num_classes=2).config.name == "good/net"
    assert "fcn8s_vgg16" in zoo.list_models()
    assert registry.registry().get("architecture", "fcn8s").needs == {"strides": [8, 16, 32]}
    assert registry.registry().get("architecture", "good/net").target == "zoo_good.net:net"


def test_what_prints_does_not_spoil_the_output(crowd, zoo_command):
    done = zoo_command("info", "printing/net", "--build", "--json", path=[crowd])
    assert json.loads(done.stdout)["name"] == "printing/net"
    assert "look at me" in done.stderr


def test_a_built_in_name_is_the_built_in_one(crowd, zoo_command):
    for name in ("fcn8s", "fcn8s_vgg16", "resnet18", "shapes", "dice"):
        record = json.loads(zoo_command("info", name, "--json", path=[crowd]).stdout)
        assert record["plugin"] != "colliding", name
        record = json.loads(zoo_command("info", f"colliding/{name}", "--json", path=[crowd]).stdout)
        assert record["plugin"] == "colliding"
    assert "--resume" in zoo_command("train", "--help", path=[crowd]).stdout
    assert "\n  colliding/train " in zoo_command("--help", path=[crowd]).stdout


@pytest.fixture
def weights_of(crowd, chosen, tmp_path, monkeypatch):
    """Writes weights of a model with these options, of a plugin that is no longer there."""

    def write(**options):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(crowd)
            patch.setenv("ZOO_PLUGINS", "good")
            path = zoo.save(zoo.create_model("good/net", num_classes=2, **options), tmp_path / "net.safetensors")
        for name in [name for name in sys.modules if name.startswith("zoo_")]:
            del sys.modules[name]
        monkeypatch.setattr(registry, "_registry", None)
        return path

    return write


@pytest.fixture
def weights(weights_of):
    return weights_of(width=5)


def test_weights_without_their_plugin_name_what_to_install(weights):
    with pytest.raises(CheckpointError, match="pip install zoo-good"):
        zoo.load(weights)


UPGRADES = {
    "an option is called otherwise": ("width: int = 4", "wide: int = 4", "'width'"),
    "a layer is called otherwise": ("self.conv", "self.first", "encoder.first.weight"),
    "the net is called otherwise": ('name = "net"', 'name = "network"', "'good/net'"),
}


def _newer(tmp_path, old="", new=""):
    files = {**_files("good", NET_CODE), "trunk.py": TRUNK_CODE}
    if "wide" in new:
        new += "):\n    width = wide  #"
    files = {name: text.replace(old, new) if old else text for name, text in files.items()}
    if old.startswith("width"):  # the option of the net is meant
        files["trunk.py"] = TRUNK_CODE
    install_into(tmp_path / "site", wheel(tmp_path, "zoo_good", files, version="2.0"))
    return tmp_path / "site"


@pytest.mark.parametrize("change", UPGRADES)
def test_weights_of_an_older_version_say_which_one(weights, chosen, tmp_path, change):
    old, new, said = UPGRADES[change]
    chosen(_newer(tmp_path, old, new))
    with pytest.raises(CheckpointError) as caught:
        zoo.load(weights)
    assert said in str(caught.value)
    assert "zoo-good 1.0 (2.0 is installed): pip install zoo-good==1.0" in str(caught.value)


def test_an_upgrade_that_changes_nothing_that_matters_is_quiet(weights, chosen, tmp_path, caplog):
    chosen(_newer(tmp_path))
    assert zoo.load(weights).config.options == {"width": 5}
    assert caplog.records == []


def test_an_upgrade_that_changes_a_default_leaves_older_weights_the_net_they_are_of(weights_of, chosen, tmp_path):
    old = weights_of()
    chosen(_newer(tmp_path, "width: int = 4", "width: int = 7"))
    assert zoo.create_model("good/net", num_classes=2).encoder.conv.out_channels == 7
    net = zoo.load(old)
    assert net.config.options == {"width": 4}
    assert net.encoder.conv.out_channels == 4
    assert zoo.load(zoo.save(net, tmp_path / "again.safetensors")).config == net.config
    assert zoo.create_model("good/net", weights=old).config == net.config
