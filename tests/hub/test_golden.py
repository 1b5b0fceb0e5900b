import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import zoo
from zoo.config import InputSpec, ModelConfig
from zoo.errors import ZooError
from zoo.hub import golden


class _Net(nn.Module):
    """K classes from C channels, by one convolution."""

    def __init__(self, classes=5, channels=3, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(channels, classes, 3, padding=1)
        mean = tuple(0.1 * number for number in range(channels))
        spec = InputSpec("RGB" if channels == 3 else "ANY", 1.0, mean, (0.5,) * channels)
        self.config = ModelConfig("net", "net", None, classes, channels, input=spec)

    def forward(self, x):
        return {"out": self.conv(x)}


@pytest.fixture
def pair(tmp_path):
    model = _Net()
    return model, golden.write_golden(model, tmp_path / "golden.safetensors")


def test_the_input_is_the_same_everywhere_and_has_structure():
    picture = golden.golden_input(3)

    assert picture.shape == (1, 3, 64, 96)
    assert picture.dtype == torch.uint8
    assert torch.equal(picture, golden.golden_input(3))
    weights = torch.arange(picture.numel()).view_as(picture) % 997
    assert int((picture.long() * weights).sum()) == 1089079611  # the same on every processor
    assert all(plane.float().std() > 40 for plane in picture[0])
    assert not torch.equal(picture[0, 0], picture[0, 1])


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_any_number_of_channels(tmp_path, channels):
    model = _Net(channels=channels)

    path = golden.write_golden(model, tmp_path / "golden.safetensors")

    assert load_file(path)["input"].shape == (1, channels, 64, 96)
    assert golden.replay(model, path) is None


@pytest.mark.parametrize("classes", [1, 2, 21, 150, 1000])
def test_the_file_stays_small(tmp_path, classes):
    model = _Net(classes)

    path = golden.write_golden(model, tmp_path / "golden.safetensors")

    assert path.stat().st_size < 300_000
    assert golden.replay(model, path) is None
    stored = load_file(path)
    stride = int(stored["stride"])
    x = (stored["input"] / 255 - torch.tensor([0, 0.1, 0.2]).view(-1, 1, 1)) / 0.5
    expected = model(x)["out"].detach()
    torch.testing.assert_close(stored["logits"], expected[..., ::stride, ::stride], rtol=1e-4, atol=1e-5)
    assert torch.equal(stored["labels"].long(), expected.argmax(1))


def test_the_same_model_gives_the_same_bytes(tmp_path, pair):
    model, path = pair

    assert golden.write_golden(model, tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_other_weights_are_found(pair):
    model, path = pair
    with torch.no_grad():
        model.conv.weight[2, 1, 1, 1] += 0.05

    assert "logits differ by" in golden.replay(model, path)


def test_a_single_flipped_bit_high_in_a_weight_is_found(pair):
    model, path = pair
    with torch.no_grad():
        model.conv.weight.view(-1)[7:8].view(torch.int32).bitwise_xor_(1 << 23)  # twice, or half

    assert golden.replay(model, path) is not None


def test_rounding_is_forgiven(pair):
    model, path = pair
    with torch.no_grad():
        model.conv.weight.mul_(1 + 1e-5)

    assert golden.replay(model, path) is None
    assert golden.replay(model, path, tolerance=1e-7) is not None
    assert 1e-7 < golden.deviation(model, path) < 1e-4


def test_another_input_convention_is_found(pair):
    model, path = pair
    model.config = model.config.describing(input=InputSpec("BGR", 255.0, (104.0, 117.0, 123.0), (1.0,) * 3))

    assert golden.replay(model, path) is not None


def test_labels_count_between_the_strides_too(tmp_path):
    model = _Net(150)
    path = golden.write_golden(model, tmp_path / "golden.safetensors")
    stored = load_file(path)
    stored["labels"][0, 1, 1] = (stored["labels"][0, 1, 1] + 75) % 150
    save_file(stored, path)

    assert int(stored["stride"]) > 1
    assert golden.replay(model, path, tolerance=1e-6) == "1 of 6144 labels differ"


def test_a_model_that_answers_nan_is_found_and_makes_no_pair(tmp_path, pair):
    model, path = pair
    with torch.no_grad():
        model.conv.bias[0] = torch.nan

    assert "NaN" in golden.replay(model, path)
    with pytest.raises(ZooError, match="NaN"):
        golden.make_golden(model)


def test_another_model_is_found(pair):
    _, path = pair

    assert "another shape" in golden.replay(_Net(6), path)
    assert "3 input channels" in golden.replay(_Net(5, 1), path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "cannot be read"),
        (lambda path: path.write_bytes(b"<html>"), "cannot be read"),
        (lambda path: save_file({"input": torch.zeros(1)}, path), "'logits' is missing"),
        (lambda path: save_file({**load_file(path), "stride": torch.tensor([0])}, path), "not what they should be"),
        (lambda path: save_file({**load_file(path), "input": torch.zeros(1, 3, 0, 5).byte()}, path), "not what they"),
        (lambda path: save_file({**load_file(path), "labels": torch.full((1, 64, 96), 9).byte()}, path), "not know"),
        (
            lambda path: save_file({**load_file(path), "logits": torch.full((1, 5, 64, 96), torch.inf)}, path),
            "not what",
        ),
    ],
)
def test_a_damaged_pair_is_said_in_words(pair, damage, said):
    model, path = pair
    damage(path)

    assert said in golden.replay(model, path)


def test_a_pair_whose_header_claims_an_enormous_picture(tmp_path):
    path = tmp_path / "golden.safetensors"
    entry = {"dtype": "U8", "shape": [1, 3, 100000, 100000], "data_offsets": [0, 3]}
    text = json.dumps({"input": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"abc")

    assert "cannot be read" in golden.replay(_Net(), path)


def test_the_mode_of_the_model_is_left_alone(pair):
    model, path = pair
    model.train()

    golden.replay(model, path)

    assert model.training


def test_dropout_and_norms_answer_as_in_evaluation(tmp_path):
    model = zoo.create_model("fcn8s@resnet18", num_classes=3)
    path = golden.write_golden(model.train(), tmp_path / "golden.safetensors")

    assert golden.replay(model, path) is None
    assert golden.rounding(model) < 1e-4
    assert next(model.parameters()).dtype == torch.float32
    assert golden.replay(model, path, tolerance=0.0) is None


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(ZooError, match="cannot be written"):
        golden.write_golden(_Net(), tmp_path / "absent" / "golden.safetensors")
