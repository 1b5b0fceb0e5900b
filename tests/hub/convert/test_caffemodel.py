import contextlib
import itertools
import struct

import pytest
import torch
from caffe_world import blob, caffemodel, key, message, varint

from zoo.errors import CheckpointError
from zoo.hub.convert import caffemodel as reader
from zoo.hub.convert.caffemodel import read_caffemodel

LAYERS = {
    "conv1_1": [torch.randn(4, 3, 3, 3), torch.randn(4)],
    "score-fr": [torch.randn(2, 4, 1, 1)],
    "inception_3a/5x5": [torch.randn(5, 2, 5, 5), torch.randn(5), torch.randn(1)],
    "fc8": [torch.randn(7, 11), torch.randn(7)],
}


def _written(tmp_path, data):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("v1", "old_shape", "packed", "double"), list(itertools.product([False, True], repeat=4)))
def test_every_form_is_read(tmp_path, v1, old_shape, packed, double):
    data = caffemodel(LAYERS, v1=v1, old_shape=old_shape, packed=packed, double=double)
    found = read_caffemodel(_written(tmp_path, data))
    assert list(found) == list(LAYERS)
    for name, blobs in LAYERS.items():
        assert len(found[name]) == len(blobs)
        for got, wanted in zip(found[name], blobs, strict=True):
            assert got.dtype == torch.float32
            shape = (1,) * (4 - wanted.dim()) + wanted.shape if old_shape else wanted.shape
            assert got.shape == shape
            assert torch.equal(got.flatten(), wanted.flatten())


def test_values_one_by_one_are_read_over_several_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_AT_ONCE", 7)
    weight = torch.randn(3, 2, 5, 5)
    found = read_caffemodel(_written(tmp_path, caffemodel({"conv": [weight]}, packed=False)))
    assert torch.equal(found["conv"][0], weight)


def test_packed_pieces_of_a_blob_are_joined(tmp_path):
    values = torch.arange(6.0)
    pieces = b"".join(message(5, part.numpy().tobytes()) for part in values.split(4))
    content = message(1, b"conv") + message(7, message(7, message(1, varint(6))) + pieces)
    assert torch.equal(read_caffemodel(_written(tmp_path, message(100, content)))["conv"][0], values)


def test_a_blob_without_a_shape_is_a_vector(tmp_path):
    content = message(1, b"conv") + message(7, message(5, struct.pack("<3f", 1, 2, 3)))
    assert read_caffemodel(_written(tmp_path, message(100, content)))["conv"][0].tolist() == [1, 2, 3]


def test_the_tensors_can_be_written_to(tmp_path):
    (weight,) = read_caffemodel(_written(tmp_path, caffemodel({"conv": [torch.ones(2)]})))["conv"]
    weight += 1
    assert weight.tolist() == [2, 2]


def _layer(*blobs, name=b"conv"):
    return message(100, message(1, name) + b"".join(message(7, one) for one in blobs))


WRONG = {
    "empty": (b"", "no layer with blobs"),
    "no net": (b"This is no caffemodel, but a text.", "damaged, cut short or no caffemodel"),
    "zeros": (bytes(100), "no protobuf message"),
    "no blobs": (caffemodel({}), "no layer with blobs"),
    "twice": (caffemodel({"conv": [torch.ones(2)]}) * 2, "layer 'conv' is there twice"),
    "too few values": (_layer(key(1, 0) + varint(5) + message(5, bytes(16))), "shape 5×1×1×1 holds 4 values"),
    "too many values": (_layer(message(7, message(1, varint(3))) + message(5, bytes(16))), "shape 3 holds 4 values"),
    "no values": (_layer(message(7, message(1, varint(3)))), "shape 3 holds 0 values"),
    "immense": (_layer(message(7, message(1, varint(1 << 40) * 3)) + message(5, bytes(16))), "holds 4 values"),
    "half a float": (_layer(message(5, bytes(15))), "in a way that floats cannot be"),
    "floats as an integer": (_layer(key(5, 0) + varint(7)), "in a way that floats cannot be"),
    "a name that is no text": (_layer(blob(torch.ones(2)), name=b"\xff\xfe"), "no text"),
    "an endless number": (b"\xff" * 40, "a number has no end"),
    "a length beyond the end": (key(100, 2) + varint(1 << 50) + b"x", "goes beyond the end"),
    "a blob beyond its layer": (message(100, message(1, b"c") + key(7, 2) + varint(99)), "goes beyond the end"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said(tmp_path, what):
    data, said = WRONG[what]
    path = _written(tmp_path, data)
    with pytest.raises(CheckpointError) as caught:
        read_caffemodel(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_layers(tmp_path, packed):
    layers = {"a": [torch.randn(2, 3), torch.randn(2)], "b": [torch.randn(4)]}
    data = caffemodel(layers, packed=packed)
    whole = 0
    for length in range(len(data)):
        path = _written(tmp_path, data[:length])
        try:
            found = read_caffemodel(path)
        except CheckpointError:
            continue
        whole += 1
        assert list(found) == ["a"]  # cut exactly between two layers, which the format does not show
        assert torch.equal(found["a"][0], layers["a"][0])
    assert whole == 1


def test_a_file_with_any_byte_changed_never_breaks_the_reader(tmp_path):
    data = caffemodel({"a": [torch.randn(2, 3), torch.randn(2)]}, packed=False)
    for position in range(len(data)):
        for value in (0x00, 0x7F, 0x80, 0xFF, data[position] ^ 1):
            changed = bytearray(data)
            changed[position] = value
            with contextlib.suppress(CheckpointError):
                read_caffemodel(_written(tmp_path, bytes(changed)))


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        read_caffemodel(tmp_path / "none.caffemodel")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_caffemodel(tmp_path)
