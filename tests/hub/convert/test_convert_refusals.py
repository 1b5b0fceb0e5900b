"""Hostile and broken files: refused in one line, nothing executed, nothing left behind."""

import collections
import json
import os
import pickle
import zipfile

import pytest
import torch
from caffe_world import caffemodel, fcn_blobs, vgg16_blobs
from click.testing import CliRunner
from random_networks import random_state
from torchvision.models import segmentation

import zoo
from zoo.cli.hub.convert import command
from zoo.errors import CheckpointError, UnknownNameError, ZooError
from zoo.hub.convert import convert

NAME = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def state():
    with torch.device("meta"):
        return random_state(segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None))


def _refused(path, model=NAME, source="torchvision"):
    out = path.parent / "out" / "net.safetensors"
    out.parent.mkdir(exist_ok=True)
    with pytest.raises(ZooError) as caught:
        convert(path, source=source, model=model, out=out)
    assert list(out.parent.iterdir()) == []
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


class _Runs:
    """Unpickled by a careless reader, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def _zip(path, obj):
    torch.save(obj, path)


def _legacy(path, obj):
    torch.save(obj, path, _use_new_zipfile_serialization=False)


def _plain(path, obj):
    with path.open("wb") as file:
        pickle.dump(obj, file)


@pytest.mark.parametrize("write", [_zip, _legacy, _plain])
@pytest.mark.parametrize("name", ["net.pth", "net.caffemodel", "net.safetensors", "net.bin"])
@pytest.mark.parametrize("source", ["torchvision", "caffe", "zoo"])
def test_a_file_that_would_execute_code_does_not(tmp_path, write, name, source):
    marker = tmp_path / "it-ran"
    path = tmp_path / name
    write(path, {"state_dict": {"a": torch.ones(1)}, "args": _Runs(marker)})
    said = _refused(path, model="fcn8s_vgg16" if source == "caffe" else NAME, source=source)
    if source == "torchvision" and name != "net.safetensors":
        assert "would execute code" in said
    assert not marker.exists()
    path = path.rename(tmp_path / "net.pkl")
    if write is _plain:  # the file is what it is said to be: a careless reader runs it
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Conv2d(1, 1, 1), tmp_path / "net.pth")
    assert "save a state dict" in _refused(tmp_path / "net.pth")


@pytest.mark.parametrize("write", [_zip, _legacy])
def test_a_file_cut_short_or_damaged_is_refused(tmp_path, state, write):
    path = tmp_path / "net.pth"
    write(path, state)
    data = path.read_bytes()
    for part in (0.999, 0.9, 0.5, 0.1, 0.001):
        path.write_bytes(data[: int(len(data) * part)])
        _refused(path)
    path.write_bytes(b"x" * 1000 + data[1000:])
    _refused(path)


def test_safetensors_cut_short_or_damaged_are_refused(tmp_path, state):
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    save_file(state, path)
    data = path.read_bytes()
    for part in (0.999, 0.5, 0.0001):
        path.write_bytes(data[: int(len(data) * part)])
        _refused(path)
    path.write_bytes(data[:100] + b"\xff" * 100 + data[200:])
    _refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "is a web page"),
        (b"\n <html></html>", "is a web page"),
        (b"not what it should be", "is damaged or no file of weights"),
        (bytes(100), "is damaged or no file of weights"),
    ],
)
def test_what_is_no_file_of_weights_is_said(tmp_path, content, said):
    (tmp_path / "net.pth").write_bytes(content)
    assert said in _refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        ([1, 2], "holds no state dict, but list"),
        ({}, "holds no state dict, but dict"),
        (torch.ones(3), "holds no state dict, but Tensor"),
        ({"a": 1}, "'a' is no tensor"),
        ({1: torch.ones(1)}, "1 is no tensor"),
        ({"a": torch.ones(3, 3).to_sparse()}, "sparse or quantised"),
        ({"a": torch.ones(1).expand(10**12)}, "'a' has more values than the file holds for it"),
        ({"state_dict": {"a": torch.ones(3)}, "epoch": 1}, "'a' is in no state dict of torchvision's"),
    ],
)
def test_what_is_no_state_dict_is_said(tmp_path, loaded, said):
    torch.save(loaded, tmp_path / "net.pth")
    assert said in _refused(tmp_path / "net.pth")


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as file:
        file.writestr("readme.txt", "no weights here")
    _refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("classifier.cbr.0.weight"), "is in no state dict"),
        (lambda state: state.pop("backbone.3.block.0.0.weight"), "lacks encoder.model.3.block.0.0.weight"),
        (lambda state: state.update({"backbone.99.weight": torch.ones(1)}), "for which there is no place"),
        (lambda state: state.update({"classifier.cbr.0.weight": torch.ones(3, 3)}), "is of shape 3×3 there"),
        (lambda state: state.update({"classifier.low_classifier.bias": torch.full((21,), torch.inf)}), "no numbers"),
        (lambda state: state.update({"classifier.low_classifier.weight": torch.ones(())}), "does not fit"),
        (lambda state: state.update({"classifier.low_classifier.weight": torch.ones(0, 40, 1, 1)}), "num_classes=0"),
    ],
)
def test_a_state_dict_that_does_not_fit_exactly_is_refused(tmp_path, state, change, said):
    state = collections.OrderedDict(state)
    change(state)
    torch.save(state, tmp_path / "net.pth")
    out = tmp_path / "out.safetensors"
    with pytest.raises(ZooError) as caught:
        convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=out)
    assert said in str(caught.value)
    assert not out.exists()


def test_batches_that_were_not_counted_are_no_fault(tmp_path, state):
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "net.pth")
    model = zoo.load(convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=tmp_path / "o.safetensors"))
    assert model.encoder.model[0][1].num_batches_tracked == 0


def test_tensors_that_share_their_memory_are_kept_apart(tmp_path, state):
    state = dict(state)
    name, other = "backbone.1.block.0.1.bias", "backbone.1.block.0.1.running_mean"
    state[other] = state[name]
    torch.save(state, tmp_path / "net.pth")
    model = zoo.load(convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=tmp_path / "o.safetensors"))
    assert torch.equal(model.encoder.model[1].block[0][1].running_mean, state[name])


def test_names_that_are_wrong_are_said(tmp_path, state):
    torch.save(state, tmp_path / "net.pth")
    out = tmp_path / "net.safetensors"
    with pytest.raises(CheckpointError, match=r"only from torchvision, zoo\. Did you mean 'torchvision'"):
        convert(tmp_path / "net.pth", source="torchvison", model=NAME, out=out)
    with pytest.raises(UnknownNameError, match="Did you mean 'lraspp_mobilenet_v3_large'"):
        convert(tmp_path / "net.pth", source="torchvision", model=NAME[:-1], out=out)
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="there is no file"):
        convert(tmp_path / "none.pth", source="torchvision", model=NAME, out=out)
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=tmp_path / "none" / "net.safetensors")
    with pytest.raises(CheckpointError, match="there is no table of classes 'vco'"):
        convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=out, record={"classes": "vco"})
    with pytest.raises(CheckpointError, match="its record"):
        convert(tmp_path / "net.pth", source="torchvision", model=NAME, out=out, record={"input": {"order": "BGR"}})
    assert not out.exists()


# The command


def _run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_the_command_converts(tmp_path, narrow_vgg):
    layers = vgg16_blobs() | fcn_blobs(8)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(layers))
    out = tmp_path / "o.safetensors"
    args = (tmp_path / "net.caffemodel", "--from", "caffe", "--model", "fcn8s_vgg16", "--out", out)
    done = _run(*args)
    assert done.exit_code == 0, done.output
    assert "sha256" in done.output
    before = (tmp_path / "o.safetensors").read_bytes()
    done = _run(*args)
    assert isinstance(done.exception, CheckpointError)
    assert "--force" in str(done.exception)
    done = _run(*args, "--force", "--json")
    record = json.loads(done.stdout)
    assert record["bytes"] == len(before)
    assert (record["model"], record["from"], record["file"]) == (
        "fcn8s_vgg16",
        "caffe",
        str(tmp_path / "o.safetensors"),
    )
    assert zoo.load(record["file"]).config.input.order == "BGR"
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(layers)[:-9])
    assert isinstance(_run(*args, "--force").exception, CheckpointError)
    assert (tmp_path / "o.safetensors").read_bytes() == before
