import json
import struct

import pytest

import zoo
from zoo.errors import CheckpointError
from zoo.hub.header import KEY, canonical_json, read_header

pytestmark = pytest.mark.usefixtures("narrow_vgg")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    zoo.save(zoo.create_model("fcn8s_vgg16", num_classes=3), path, data={"name": "shapes"}, metrics={"miou": 0.5})
    return path


def _split(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def _write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _refused(path, said):
    """`read_header`, `zoo.load` and starting from it all refuse the file in one line."""
    for read in (read_header, zoo.load, lambda file: zoo.create_model("fcn8s_vgg16", weights=file)):
        with pytest.raises(CheckpointError, match=said) as caught:
            read(path)
        assert path.name in str(caught.value)


def test_tells_what_is_in_the_file(saved):
    model = zoo.load(saved)
    header = read_header(saved)
    assert header.config == model.config
    assert header.record["data"] == {"name": "shapes"}
    assert header.record["metrics"] == {"miou": 0.5}
    assert header.shapes == {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert header.parameters == sum(tensor.numel() for tensor in model.state_dict().values())
    assert header.size == saved.stat().st_size


def test_the_one_metadata_key_holds_canonical_json(saved):
    table, _ = _split(saved)
    assert set(table["__metadata__"]) == {"zoo"}
    text = table["__metadata__"]["zoo"]
    record = json.loads(text)
    assert text == json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record["schema"] == 1
    assert record["model"]["architecture"] == "fcn8s"


def test_canonical_json_does_not_know_the_order_of_keys_nor_nan():
    assert canonical_json({"b": 1, "a": ["ä"]}) == canonical_json({"a": ["ä"], "b": 1}) == '{"a":["ä"],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 200, -1000, -1])
def test_a_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    _refused(saved, "cut short|beginning is missing|damaged")


def test_a_file_with_something_behind(saved):
    saved.write_bytes(saved.read_bytes() + b"x")
    _refused(saved, "longer than it should be")


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**40, 2**63, 2**64 - 1])
def test_an_impossible_header_length(saved, length):
    saved.write_bytes(struct.pack("<Q", length) + saved.read_bytes()[8:])
    _refused(saved, "not a safetensors file|cut short")


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{} trailing",
        b"not json at all",
        b"\xff\xfe\xfd\xfc",
        b"[" * 100_000,
        b'{"a": 1}',
        b'{"a": [1, 2]}',
        b'{"a": {"dtype": "F32", "shape": [1]}}',
        b'{"a": {"dtype": "F32", "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": []}}',
        b'{"a": {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, "4"]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {}}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_header_that_is_no_header(tmp_path, text):
    _refused(_write(tmp_path / "odd.safetensors", text, b"\0\0\0\0"), "not a safetensors file")


def test_a_key_that_stands_twice(saved):
    """The second would win, for one reader; for another the first."""
    table, data = _split(saved)
    text = json.dumps(table)
    twice = text[:-1] + ', "__metadata__": ' + json.dumps(table["__metadata__"]) + "}"
    _refused(_write(saved, twice.encode(), data), "stands twice")


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, "text", ["zoo"]])
def test_a_safetensors_file_that_is_not_ours(saved, metadata):
    table, data = _split(saved)
    table.pop("__metadata__")
    if metadata is not None:
        table["__metadata__"] = metadata
    _refused(_write(saved, table, data), "not written by zoo.save")


@pytest.mark.parametrize(
    ("schema", "said"),
    [(0, "save it again"), (2, "upgrade Zoo"), (999, "upgrade Zoo"), ("1", "schema '1'"), (None, "schema None")],
)
def test_another_schema(saved, schema, said):
    table, data = _split(saved)
    record = json.loads(table["__metadata__"][KEY])
    table["__metadata__"][KEY] = json.dumps(record | {"schema": schema})
    _refused(_write(saved, table, data), said)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "not json", "[" * 100_000, '{"schema": 1}', '{"schema": 1, "model": []}']
)
def test_a_damaged_description(saved, text):
    table, data = _split(saved)
    table["__metadata__"][KEY] = text
    _refused(_write(saved, table, data), "damaged|'model'")


@pytest.mark.parametrize("kind", ["pickle", "empty", "folder", "absent", "unreadable"])
def test_what_is_no_weight_file(tmp_path, kind):
    import torch

    path = tmp_path / "model.safetensors"
    if kind == "pickle":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "unreadable":
        path = tmp_path / "a-file" / "model.safetensors"
        path.parent.touch()
    _refused(path, "not a safetensors file|no weight file|cannot be read")
