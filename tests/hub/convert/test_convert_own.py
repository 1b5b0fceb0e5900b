"""Files of an older Zoo, and state dicts without a description."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import zoo
from zoo.errors import CheckpointError
from zoo.hub.convert import convert, own
from zoo.hub.header import KEY, SCHEMA, read_header


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = zoo.create_model("fcn@test_resnet", num_classes=3, aux=True).eval()
    model.config = model.config.describing(classes=("sky", "sea", "land"))
    return model


def _older(path, model, schema=SCHEMA - 1, rename=True):
    """A file as an older Zoo might have written it: another name for the classes, and for the decoder."""
    zoo.save(model, path, metrics={"miou": 0.5}, data={"name": "coast"})
    record = dict(read_header(path).record) | {"schema": schema}
    record["model"]["labels"] = record["model"].pop("classes")
    state = {name.replace("decoder.", "middle."): tensor.clone() for name, tensor in load_file(path).items()}
    save_file(state, path, metadata={KEY: json.dumps(record)})


def _migrate(record, state):
    changed = {key: value for key, value in record["model"].items() if key != "labels"}
    changed["classes"] = record["model"]["labels"]
    return {**record, "model": changed}, {name.replace("middle.", "decoder."): value for name, value in state.items()}


def _same(path, model):
    loaded = zoo.load(path)
    x = torch.rand(1, 3, 33, 47)
    with torch.inference_mode():
        assert torch.equal(loaded(x)["out"], model(x)["out"])
    return loaded


def test_a_file_of_an_older_schema_is_brought_up_to_date(tmp_path, model, monkeypatch):
    monkeypatch.setitem(own.MIGRATIONS, SCHEMA - 1, _migrate)
    _older(tmp_path / "old.safetensors", model)
    with pytest.raises(CheckpointError, match="schema"):
        zoo.load(tmp_path / "old.safetensors")
    name = "fcn@test_resnet"
    out = convert(tmp_path / "old.safetensors", source="zoo", model=name, out=tmp_path / "new.safetensors")
    assert _same(out, model).config == model.config
    header = read_header(out)
    assert header.record["schema"] == SCHEMA
    assert header.record["metrics"] == {"miou": 0.5}
    assert header.record["data"] == {"name": "coast"}


def test_several_steps_are_taken_in_order(tmp_path, model, monkeypatch):
    def first(record, state):
        return {**record, "model": record["net"]}, state

    monkeypatch.setitem(own.MIGRATIONS, SCHEMA - 2, first)
    monkeypatch.setitem(own.MIGRATIONS, SCHEMA - 1, _migrate)
    path = tmp_path / "old.safetensors"
    _older(path, model, schema=SCHEMA - 2)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        record = json.loads(file.metadata()[KEY])
    record["net"] = record.pop("model")
    save_file(load_file(path), path, metadata={KEY: json.dumps(record)})
    _same(convert(path, source="zoo", model="fcn", out=tmp_path / "new.safetensors"), model)


def test_a_file_of_this_schema_is_written_again(tmp_path, model):
    zoo.save(model, tmp_path / "a.safetensors", metrics={"miou": 0.5})
    out = convert(tmp_path / "a.safetensors", source="zoo", model="fcn", out=tmp_path / "b.safetensors")
    assert out.read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_a_schema_that_nobody_knows_is_refused(tmp_path, model):
    _older(tmp_path / "old.safetensors", model, schema=-7)
    with pytest.raises(CheckpointError, match="has schema -7, which was never published"):
        convert(tmp_path / "old.safetensors", source="zoo", model="fcn", out=tmp_path / "new.safetensors")
    _older(tmp_path / "old.safetensors", model, schema=SCHEMA + 1)
    with pytest.raises(CheckpointError, match="upgrade Zoo"):
        convert(tmp_path / "old.safetensors", source="zoo", model="fcn", out=tmp_path / "new.safetensors")
    _older(tmp_path / "old.safetensors", model, schema="one")
    with pytest.raises(CheckpointError, match="has schema 'one'"):
        convert(tmp_path / "old.safetensors", source="zoo", model="fcn", out=tmp_path / "new.safetensors")


def test_a_file_of_another_model_is_refused(tmp_path, model):
    zoo.save(model, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="is of 'fcn@test_resnet', not of 'deeplabv3'"):
        convert(tmp_path / "a.safetensors", source="zoo", model="deeplabv3", out=tmp_path / "b.safetensors")


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "model": {}}', "7"])
def test_a_damaged_description_is_said(tmp_path, record):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", metadata={KEY: record})
    with pytest.raises(CheckpointError, match="its description is damaged"):
        convert(tmp_path / "a.safetensors", source="zoo", model="fcn", out=tmp_path / "b.safetensors")


def test_a_bare_state_dict_gets_a_description(tmp_path, model):
    torch.save(model.state_dict(), tmp_path / "a.pth")
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    written = set()
    for name in ("a.pth", "a.safetensors"):
        out = convert(tmp_path / name, source="zoo", model="fcn@test_resnet", out=tmp_path / "b.safetensors")
        written.add(out.read_bytes())
        config = _same(out, model).config
        assert (config.num_classes, config.options) == (3, {"aux": True})
        assert config.input == model.encoder.input
    assert len(written) == 1
    with pytest.raises(CheckpointError, match="does not fit deeplabv3@test_resnet"):
        convert(tmp_path / "a.pth", source="zoo", model="deeplabv3@test_resnet", out=tmp_path / "b.safetensors")
