import json
import struct

import pytest
import torch

import zoo
from zoo.hub.header import KEY


@pytest.fixture
def saved(tmp_path, narrow_vgg):
    model = zoo.create_model("fcn8s_vgg16", num_classes=2)
    model.config = model.config.describing(classes=("road", "sky"), palette=((0, 0, 0), (9, 8, 7)))
    metrics = {"miou": 0.4321, "data": "shapes", "split": "val"}
    return zoo.save(model, tmp_path / "m.safetensors", metrics=metrics, licence={"weights": "MIT"})


def _rewritten(path, record):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8 : 8 + length])
    old = json.loads(table["__metadata__"][KEY])
    table["__metadata__"][KEY] = json.dumps(old | record)
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


def test_of_a_model(zoo_command):
    text = zoo_command("info", "fcn8s_vgg16").stdout
    for word in ("fcn8s_vgg16", "134,489,759", "learn_upsampling", "first_padding", "8, 16, 32", "VGG-16"):
        assert word in text
    record = json.loads(zoo_command("info", "fcn8s_vgg16", "--json").stdout)
    assert record["parameters"] == 134_489_759
    assert record["architecture"]["needs"] == {"strides": [8, 16, 32]}
    assert record["architecture"]["options"]["learn_upsampling"] == "False"
    assert record["encoder"]["offers"]["pools"] == [f"pool{block}" for block in range(1, 6)]


def test_of_a_pair_says_what_it_lacks(zoo_here):
    record = json.loads(zoo_here("info", "fcn8s@resnet18", "--json").stdout)
    assert (record["name"], record["lacks"], record["encoder"]["name"]) == ("fcn8s@resnet18", [], "resnet18")
    record = json.loads(zoo_here("info", "fcn8s_vgg16@convmixer_768_32", "--json").stdout)
    assert len(record["lacks"]) == 3
    assert "parameters" not in record
    assert "stride 8" in zoo_here("info", "fcn8s@convmixer_768_32").stdout
    assert json.loads(zoo_here("info", "fcn8s@resnet18.a1_in1k", "--json").stdout)["lacks"] == []


@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn", "shapes", "fcn32s", "fcn", "score"])
def test_of_other_components(zoo_here, name):
    assert name in zoo_here("info", name).stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fcn8s_vg16", "'fcn8s_vgg16'"),
        ("resnet_18", "'resnet18'"),
        ("fcn8s@resnet_18", "'resnet18'"),
        ("camvit", "'camvid'"),
        ("absent.safetensors", "there is no weight file"),
        ("folder/absent.pth", "nothing is named"),
        ("x" * 5000, "nothing is named"),
        ("", "nothing is named"),
    ],
)
def test_an_unknown_name(zoo_here, name, said):
    done = zoo_here("info", name, code=1)
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_of_a_function_on_another_encoder(zoo_command, tmp_path):
    """A model that is a function says nothing of needs; that is no reason to fall."""
    (tmp_path / "mine.py").write_text("import zoo\n@zoo.register('model', 'f')\ndef f(encoder): 'A function.'\n")
    done = zoo_command("--plugin", "mine.py", "info", "f@resnet18", "--json")
    assert json.loads(done.stdout)["lacks"] == []


def test_of_a_third_party_with_a_syntax_error(zoo_command, install):
    manifest = 'api = 1\nnamespace = "odd"\n[[model]]\nname = "net"\ntarget = "zoo_odd.net:net"\nsummary = "s"\n'
    path = [install("zoo_odd", manifest, modules={"net": "def net(:"})]
    assert "odd/net" in zoo_command("info", "net", path=path).stdout


def test_of_a_weight_file(zoo_here, saved):
    text = zoo_here("info", saved).stdout
    for word in ("road, sky", "0.4321", "shapes", "MIT", "fcn8s", "parameters"):
        assert word in text
    record = json.loads(zoo_here("info", saved, "--json").stdout)
    assert record["bytes"] == saved.stat().st_size
    assert record["model"]["num_classes"] == 2
    assert record["metrics"]["miou"] == 0.4321
    model = zoo.load(saved)
    assert record["parameters"] == sum(tensor.numel() for tensor in model.state_dict().values())
    assert record["tensors"] == len(model.state_dict())


def test_of_a_file_in_the_current_folder(zoo_here, saved, tmp_path):
    assert saved.parent == tmp_path
    assert "road, sky" in zoo_here("info", saved.name).stdout
    torch.save({"weight": torch.zeros(3)}, tmp_path / "theirs.pth")
    for name in ("theirs.pth", "./theirs.pth"):
        assert "not a safetensors file" in zoo_here("info", name, code=1).stderr
    (tmp_path / "fcn8s_vgg16").write_text("a file that happens to be called so")
    assert "FCN-8s" in zoo_here("info", "fcn8s_vgg16").stdout


@pytest.mark.parametrize("keep", [0, 5, 100, -1000, -1])
def test_of_a_truncated_file(zoo_here, saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    done = zoo_here("info", saved, code=1)
    assert len(done.stderr.splitlines()) == 1
    assert "m.safetensors" in done.stderr


def test_of_a_folder(zoo_here, tmp_path):
    (tmp_path / "m.safetensors").mkdir()
    assert "cannot be read" in zoo_here("info", "m.safetensors", code=1).stderr


@pytest.mark.parametrize(
    "record",
    [
        {"schema": 2},
        {"model": None},
        {"model": {"name": 5}},
    ],
)
def test_of_a_damaged_description(zoo_here, saved, record):
    _rewritten(saved, record)
    assert len(zoo_here("info", saved, code=1).stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "record",
    [
        {"parameters": "many", "bytes": None, "file": [], "tensors": {}},
        {"metrics": {"parameters": "many", "deep": {"parameters": None}}},
        {"data": 5, "metrics": ["a", {"b": [1, {}]}], "licence": None},
        {"more": "\ud800", "metrics": {"\x1b[31m": "\x1b]0;title\x07"}},
    ],
)
def test_of_an_odd_description(zoo_here, saved, record):
    """Nothing that a stranger writes into a file brings the command down or steers the terminal."""
    _rewritten(saved, record)
    text = zoo_here("info", saved).stdout
    assert "road, sky" in text
    assert "\x1b" not in text
    printed = json.loads(zoo_here("info", saved, "--json").stdout)
    assert printed["bytes"] == saved.stat().st_size
    assert printed["parameters"] > 1000


def test_built(zoo_here):
    text = zoo_here("info", "fcn8s_vgg16", "--build", "--size", "100x150", "--num-classes", 5).stdout
    for word in ("100×150", "GFLOPs = 2 ×", "468×468", "1×5×100×150", "fc7", "404×404", "-83.5"):
        assert word in text
    assert "all learn" not in text
    record = json.loads(zoo_here("info", "fcn8s@resnet18", "--build", "--size", "64", "--json").stdout)
    assert record["lacks"] == []
    built = record["built"]
    assert (built["size"], built["in_channels"], built["num_classes"]) == ([64, 64], 3, 21)
    assert built["outputs"] == {"out": [1, 21, 64, 64]}
    assert [(tap["name"], tap["shape"], tap["read_by"]) for tap in built["taps"]] == [
        ("layer2", [1, 128, 8, 8], ["decoder"]),
        ("layer3", [1, 256, 4, 4], ["decoder"]),
        ("layer4", [1, 512, 2, 2], ["decoder"]),
    ]
    assert built["flops"]["total"] == 2 * built["macs"]["total"]


def test_built_from_a_weight_file(zoo_command, zoo_here, saved):
    # In another process its description makes a wider net than that of the file; only the description is built.
    built = json.loads(zoo_command("info", saved, "--build", "--json").stdout)["built"]
    assert built["outputs"] == {"out": [1, 2, 512, 512]}
    assert "468×468" in zoo_here("info", saved, "--build").stdout
    assert "leave out --num-classes" in zoo_here("info", saved, "--build", "--num-classes", 3, code=1).stderr
    _rewritten(saved, {"model": json.loads(zoo_here("info", saved, "--json").stdout)["model"] | {"encoder": "gone"}})
    assert len(zoo_here("info", saved, "--build", code=1).stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fcn8s_vgg16", "--size", "64"], "--size without --build"),
        (
            ["fcn8s_vgg16", "--num-classes", "2", "--in-channels", "1"],
            "--num-classes and --in-channels without --build",
        ),
        (["fcn8s_vgg16", "--build", "--size", "0"], "expected HEIGHTxWIDTH"),
        (["fcn8s_vgg16", "--build", "--size", "64x"], "expected HEIGHTxWIDTH"),
        (["fcn8s_vgg16", "--build", "--size", "-3x4"], "expected HEIGHTxWIDTH"),
        (["fcn8s_vgg16", "--build", "--size", "9" * 5000], "expected HEIGHTxWIDTH"),
        (["fcn8s_vgg16", "--build", "--num-classes", "0"], "num_classes=0"),
        (["fcn8s@convmixer_768_32", "--build"], "it lacks"),
        (["resnet18", "--build"], "of kind encoder"),
        (["shapes", "--build"], "of kind dataset"),
        (["fcn8s_vg16", "--build"], "'fcn8s_vgg16'"),
        (["absent.safetensors", "--build"], "there is no weight file"),
    ],
)
def test_what_cannot_be_built(zoo_here, arguments, said):
    done = zoo_here("info", *arguments, code=1)
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
