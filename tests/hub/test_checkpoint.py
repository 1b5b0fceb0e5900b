import json
import struct
from pathlib import Path

import pytest
import torch
from random_networks import random_model
from safetensors.torch import load_file, save_file

import zoo
from zoo.config import InputSpec
from zoo.errors import CheckpointError
from zoo.hub.header import KEY, read_header

pytestmark = pytest.mark.usefixtures("narrow_vgg")


def _rewritten(path, change):
    """The file with its description changed."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8 : 8 + length])
    record = json.loads(table["__metadata__"][KEY])
    change(record)
    table["__metadata__"][KEY] = json.dumps(record)
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn8s_vgg16", {}),
        ("fcn8s_atonce_vgg16", {"in_channels": 1, "dropout": 0.25}),
        ("fcn16s@vgg11_bn", {"learn_upsampling": True, "first_padding": 1}),
        ("fcn32s", {"encoder": "mobilenetv3_small_100", "in_channels": 4}),
    ],
)
def test_what_is_loaded_is_what_was_saved(tmp_path, name, options):
    model = random_model(name, **options).eval()
    model.config = model.config.describing(classes=("a", "b", "c"), palette=((0, 0, 0), (1, 2, 3), (255, 0, 9)))
    assert zoo.save(model, tmp_path / "m.safetensors") == tmp_path / "m.safetensors"
    loaded = zoo.load(str(tmp_path / "m.safetensors"))
    assert loaded.config == model.config
    assert not any(module.training for module in loaded.modules())
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in model.named_parameters()]
    for (name, mine), theirs in zip(loaded.named_parameters(), model.parameters(), strict=True):
        assert mine.requires_grad == theirs.requires_grad, name
        assert torch.equal(mine, theirs), name
    x = torch.rand(2, model.config.in_channels, 33, 47)
    with torch.inference_mode():
        assert torch.equal(loaded(x)["out"], model(x)["out"])


def test_two_saves_are_the_same_bytes(tmp_path):
    model = random_model()
    zoo.save(model, tmp_path / "a.safetensors", metrics={"b": 1, "a": 2}, licence={"weights": "MIT", "data": "CC"})
    zoo.save(model, tmp_path / "b.safetensors", metrics={"a": 2, "b": 1}, licence={"data": "CC", "weights": "MIT"})
    zoo.save(zoo.load(tmp_path / "a.safetensors"), tmp_path / "c.safetensors")
    zoo.save(model.eval(), tmp_path / "d.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()


def test_the_input_convention_is_the_files_also_without_class_names(tmp_path):
    """Weights converted from Caffe see BGR in 0 … 255."""
    model = random_model()
    caffe = InputSpec("BGR", 255.0, (104.0, 116.7, 122.7), (1.0, 1.0, 1.0))
    model.config = model.config.describing(input=caffe)
    zoo.save(model, tmp_path / "m.safetensors")
    assert zoo.load(tmp_path / "m.safetensors").config.input == caffe
    assert zoo.create_model("fcn16s_vgg16", weights=tmp_path / "m.safetensors").config.input == caffe


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
def test_parameters_are_mapped_and_the_file_is_safe_from_training(tmp_path):
    path = tmp_path / "m.safetensors"
    zoo.save(random_model(), path)
    before = path.read_bytes()
    model = zoo.load(path).train()
    assert str(path) in Path("/proc/self/maps").read_text()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(torch.rand(1, 3, 20, 20))["out"].square().sum().backward()
    optimizer.step()
    assert path.read_bytes() == before
    zoo.save(model, path)  # over the file that its parameters are mapped from
    assert path.read_bytes() != before
    reloaded = zoo.load(path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), reloaded.parameters(), strict=True))


def test_a_model_with_computed_buffers_is_whole(tmp_path):
    """Tensors that are in no file (a transformer's position tables) are computed, not left empty."""
    model = random_model("fcn32s", encoder="tiny_vit_5m_224").eval()
    computed = {name for name, _ in model.named_buffers()} - set(model.state_dict())
    assert computed
    zoo.save(model, tmp_path / "m.safetensors")
    loaded = zoo.load(tmp_path / "m.safetensors")
    x = torch.rand(1, 3, 40, 70)
    with torch.inference_mode():
        assert torch.equal(loaded(x)["out"], model(x)["out"])


def test_half_precision_is_kept(tmp_path):
    zoo.save(random_model().to(torch.bfloat16), tmp_path / "m.safetensors")
    assert {parameter.dtype for parameter in zoo.load(tmp_path / "m.safetensors").parameters()} == {torch.bfloat16}


def test_a_description_that_is_no_json_is_refused_before_anything_is_written(tmp_path):
    for metrics in ({"miou": float("nan")}, {"miou": torch.tensor(1.0)}, {"when": Path("x")}):
        with pytest.raises(CheckpointError, match="plain JSON"):
            zoo.save(random_model(), tmp_path / "m.safetensors", metrics=metrics)
    assert list(tmp_path.glob("*m*")) == []


def test_where_nothing_can_be_written_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        zoo.save(random_model(), tmp_path / "absent" / "m.safetensors")
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        zoo.save(random_model(), tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("architecture", "acme/net", "not installed"),
        ("architecture", "fcn8z", "not installed"),
        ("encoder", "resnet999", "not installed"),
        ("encoder", "resnet18", "does not fit its own description"),
        ("encoder", None, "cannot be built|does not fit|damaged"),
        ("num_classes", 4, "does not fit its own description"),
        ("num_classes", 10**9, "cannot be built"),
        ("in_channels", 4, "does not fit its own description"),
        ("options", {"colour": 1}, "'colour'"),
        ("options", {"dropout": "x"}, "dropout"),
        ("options", {"dropout": 7.0}, "dropout"),
        ("options", {"fc6_padding": "x"}, "cannot be built"),
        ("options", {"first_padding": -50}, "pad"),
        ("options", {"learn_upsampling": "yes"}, "learn_upsampling"),
    ],
)
def test_a_description_that_does_not_fit(tmp_path, field, value, said):
    path = tmp_path / "m.safetensors"
    zoo.save(random_model(), path)
    _rewritten(path, lambda record: record["model"].update({field: value}))
    with pytest.raises(CheckpointError, match=said):
        zoo.load(path)


def test_a_file_cannot_make_zoo_fetch_or_read_another(tmp_path):
    path = tmp_path / "m.safetensors"
    zoo.save(random_model(), path)
    _rewritten(path, lambda record: record["model"].update({"options": {"encoder_weights": "/etc/passwd"}}))
    zoo.load(path)


def test_a_missing_or_a_surplus_tensor(tmp_path):
    path = tmp_path / "m.safetensors"
    zoo.save(random_model(), path)
    tensors = load_file(path)
    metadata = {KEY: json.dumps(read_header(path).record)}
    save_file({**tensors, "more": torch.zeros(1)}, path, metadata)
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        zoo.load(path)
    tensors.pop("decoder.score_fr.weight")
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        zoo.load(path)


def test_offsets_that_overlap_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    zoo.save(random_model(), path)
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8 : 8 + length])
    first, second = [name for name in table if name != "__metadata__"][:2]
    table[second]["data_offsets"][0] = table[first]["data_offsets"][0]
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    with pytest.raises(CheckpointError, match="not a valid safetensors"):
        zoo.load(path)


def test_a_file_loads_without_the_auxiliary_head_that_it_describes(tmp_path, caplog):
    model = random_model("deeplabv3@resnet10t", aux=True).eval()
    path = zoo.save(model, tmp_path / "weights.safetensors")
    state = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("auxiliary.")}
    save_file(state, tmp_path / "cut.safetensors", metadata={KEY: json.dumps(read_header(path).record)})
    loaded = zoo.load(tmp_path / "cut.safetensors")
    x = torch.rand(1, 3, 40, 33)
    with torch.inference_mode():
        assert torch.equal(loaded(x)["out"], model(x)["out"])
    assert "has no auxiliary head" in caplog.text
    assert loaded.train()(torch.rand(2, 3, 40, 33))["aux"].isfinite().all()
