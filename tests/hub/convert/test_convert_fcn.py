"""Released FCN nets, as Caffe and torchfcn store them, against plain functions of the same tensors."""

import caffe_world as caffe
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fcn_world import assert_close, picture
from torch import nn

import zoo
from zoo.errors import CheckpointError
from zoo.hub.convert import convert
from zoo.hub.header import read_header

pytestmark = pytest.mark.usefixtures("narrow_vgg")

SIZES = [(1, 1), (33, 97), (64, 50)]
MEAN = (104.00699, 116.66877, 122.67892)
NETS = {"fcn32s_vgg16": 32, "fcn16s_vgg16": 16, "fcn8s_vgg16": 8, "fcn8s_atonce_vgg16": 8}


def _converted(tmp_path, layers, model, source="caffe", name="net.caffemodel", **form):
    path = tmp_path / name
    path.write_bytes(caffe.caffemodel(layers, **form))
    return convert(path, source=source, model=model, out=tmp_path / "ours.safetensors")


def _agrees(path, wanted, channels=3, key="out"):
    model = zoo.load(path)
    with torch.inference_mode():
        for index, size in enumerate(SIZES):
            x = picture(*size, channels=channels, seed=index)
            assert_close(model(x)[key], wanted(x))
    return model


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_a_caffemodel_answers_as_in_caffe(tmp_path, name, v1):
    stride, at_once = NETS[name], "atonce" in name
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(stride, at_once=at_once)
    path = _converted(tmp_path, layers, name, v1=v1, old_shape=v1)
    model = _agrees(path, lambda x: caffe.fcn(layers, x, stride, at_once=at_once))
    assert model.config.name == name
    assert (model.config.input.order, model.config.input.scale, model.config.input.mean) == ("BGR", 255.0, MEAN)
    assert model.config.input.std == (1.0, 1.0, 1.0)
    assert model.config.classes[:2] == ("background", "aeroplane")
    assert model.config.palette[1] == (128, 0, 0)


def test_a_photo_is_prepared_as_caffe_wants_it(tmp_path):
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(8)
    model = zoo.load(_converted(tmp_path, layers, "fcn8s_vgg16"))
    photo = np.random.default_rng(0).integers(0, 256, (41, 57, 3), dtype=np.uint8)
    with torch.inference_mode():
        scores = caffe.fcn(layers, caffe.prepared(photo, MEAN), 8)
        answer = caffe.fcn(layers, caffe.prepared(photo[:, :, ::-1], MEAN), 8)
    assert np.array_equal(model.predict(photo).labels, scores[0].argmax(0).numpy())
    assert not torch.equal(scores.argmax(1), answer.argmax(1))  # the order of colours shows


def test_the_net_of_2015_keeps_its_learned_upsampling_and_its_bias(tmp_path):
    generator = torch.Generator().manual_seed(5)
    head = caffe.fcn_blobs(8)
    learned = {name: [torch.randn(21, 21, 4, 4, generator=generator) * 0.1] for name in ("upscore2", "upscore_pool4")}
    learned["upscore2"].append(torch.randn(21, generator=generator))
    trunk = caffe.vgg16_blobs()
    names = {
        "score_fr": "score-fr", "upscore2": "score2", "score_pool4": "score-pool4", "upscore_pool4": "score4",
        "score_pool3": "score-pool3", "upscore8": "upsample",
    }  # fmt: skip
    layers = trunk | {names[name]: blobs for name, blobs in (head | learned).items()}
    path = _converted(tmp_path, layers, "fcn8s_vgg16", name="fcn-8s-pascal.caffemodel", v1=True, old_shape=True)
    _agrees(path, lambda x: caffe.fcn(trunk | head | learned, x, 8))
    assert read_header(path).record["metrics"]["miou"] == 0.622  # its record, found by its name


def test_other_numbers_of_classes_are_seen(tmp_path):
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(16, classes=60)
    path = _converted(tmp_path, layers, "fcn16s_vgg16", name="pascalcontext-fcn16s-heavy.caffemodel")
    model = _agrees(path, lambda x: caffe.fcn(layers, x, 16))
    assert len(model.config.classes) == model.config.num_classes == 60
    assert model.config.classes[59] == "wood"
    assert model.config.input.mean == (104.007, 116.669, 122.679)

    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(16, classes=7)
    model = _agrees(_converted(tmp_path, layers, "fcn16s_vgg16"), lambda x: caffe.fcn(layers, x, 16))
    assert model.config.classes == ()


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_two_answers_on_one_trunk(tmp_path, stride):
    heads = caffe.fcn_blobs(stride, 33, suffix="_sem") | caffe.fcn_blobs(stride, 3, suffix="_geo")
    layers = caffe.vgg16_blobs() | heads
    path = _converted(tmp_path, layers, f"fcn{stride}s_siftflow_vgg16")
    model = _agrees(path, lambda x: caffe.fcn(layers, x, stride, suffix="_sem"))
    _agrees(path, lambda x: caffe.fcn(layers, x, stride, suffix="_geo"), key="geometric")
    assert model.config.classes[0] == "awning"
    assert model.config.input.mean == (114.578, 115.294, 108.353)


def test_two_modalities_fused_at_the_scores(tmp_path):
    layers: dict[str, list[torch.Tensor]] = {"upscore": [caffe.bilinear(40, 64)]}
    for seed, suffix in enumerate(("color", "hha")):
        layers |= caffe.vgg16_blobs(suffix=suffix, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        layers[f"score_fr{suffix}"] = caffe.conv_blobs(40, caffe.CODE, 1, generator)

    def fused(x):
        parts = {"color": x[:, :3], "hha": x[:, 3:]}
        scores = [
            caffe.conv(layers, f"score_fr{suffix}", caffe.trunk(layers, part, suffix)["fc7"])
            for suffix, part in parts.items()
        ]
        return caffe.crop(caffe.deconv(layers, "upscore", 0.5 * scores[0] + 0.5 * scores[1], 32), x, 19)

    model = _agrees(_converted(tmp_path, layers, "fcn32s_rgb_hha_vgg16"), fused, channels=6)
    assert model.config.input.order == "ANY"
    assert model.config.input.mean == (116.190, 97.203, 92.318, 132.431, 94.076, 118.477)


class TorchFCN(nn.Module):
    """torchfcn's nets: flat names, transposed convolutions without bias, whole channels dropped."""

    def __init__(self, stride: int, at_once: bool) -> None:
        super().__init__()
        channels = 3
        for block, (depth, width) in enumerate(zip(caffe.DEPTHS, caffe.WIDTHS, strict=True), 1):
            for index in range(1, depth + 1):
                padding = 100 if block == index == 1 else 1
                setattr(self, f"conv{block}_{index}", nn.Conv2d(channels, width, 3, padding=padding))
                channels = width
        self.fc6 = nn.Conv2d(channels, caffe.CODE, 7)
        self.fc7 = nn.Conv2d(caffe.CODE, caffe.CODE, 1)
        self.drop6, self.drop7 = nn.Dropout2d(), nn.Dropout2d()
        self.score_fr = nn.Conv2d(caffe.CODE, 21, 1)
        self.stride, self.scales = stride, (0.01, 0.0001) if at_once else (1.0, 1.0)
        if stride == 32:
            self.upscore = nn.ConvTranspose2d(21, 21, 64, stride=32, bias=False)
        else:
            self.upscore2 = nn.ConvTranspose2d(21, 21, 4, stride=2, bias=False)
            self.score_pool4 = nn.Conv2d(caffe.WIDTHS[3], 21, 1)
        if stride == 16:
            self.upscore16 = nn.ConvTranspose2d(21, 21, 32, stride=16, bias=False)
        if stride == 8:
            self.upscore_pool4 = nn.ConvTranspose2d(21, 21, 4, stride=2, bias=False)
            self.score_pool3 = nn.Conv2d(caffe.WIDTHS[2], 21, 1)
            self.upscore8 = nn.ConvTranspose2d(21, 21, 16, stride=8, bias=False)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.data.copy_(caffe.bilinear(21, module.kernel_size[0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, pools = x, {}
        for block, depth in enumerate(caffe.DEPTHS, 1):
            for index in range(1, depth + 1):
                h = F.relu(getattr(self, f"conv{block}_{index}")(h))
            h = pools[block] = F.max_pool2d(h, 2, stride=2, ceil_mode=True)
        h = self.score_fr(self.drop7(F.relu(self.fc7(self.drop6(F.relu(self.fc6(h)))))))
        rows, columns = x.shape[2:]
        if self.stride == 32:
            return self.upscore(h)[:, :, 19 : 19 + rows, 19 : 19 + columns]
        h = self.upscore2(h)
        h = h + self.score_pool4(pools[4] * self.scales[0])[:, :, 5 : 5 + h.size(2), 5 : 5 + h.size(3)]
        if self.stride == 16:
            return self.upscore16(h)[:, :, 27 : 27 + rows, 27 : 27 + columns]
        h = self.upscore_pool4(h)
        h = h + self.score_pool3(pools[3] * self.scales[1])[:, :, 9 : 9 + h.size(2), 9 : 9 + h.size(3)]
        return self.upscore8(h)[:, :, 31 : 31 + rows, 31 : 31 + columns]


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 3, "model_state_dict": state}])
@pytest.mark.parametrize("name", NETS)
def test_a_state_dict_of_torchfcn_answers_as_there(tmp_path, name, wrap):
    torch.manual_seed(1)
    theirs = TorchFCN(NETS[name], "atonce" in name).eval()
    torch.save(wrap(theirs.state_dict()), tmp_path / "net.pth")
    path = convert(tmp_path / "net.pth", source="torchfcn", model=name, out=tmp_path / "ours.safetensors")
    model = _agrees(path, theirs)
    assert (model.config.input.order, model.config.input.mean) == ("BGR", MEAN)
    assert model.config.classes[20] == "tvmonitor"


def test_the_same_file_gives_the_same_bytes(tmp_path):
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(8)
    first = _converted(tmp_path, layers, "fcn8s_vgg16").read_bytes()
    assert _converted(tmp_path, layers, "fcn8s_vgg16").read_bytes() == first
    assert _converted(tmp_path, layers, "fcn8s_vgg16", v1=True, packed=False).read_bytes() == first


def _without(layers, name):
    return {key: blobs for key, blobs in layers.items() if key != name}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda layers: _without(layers, "score_pool4"), "lacks decoder.score_pool4.weight, decoder.score_pool4.bias"),
        (lambda layers: _without(layers, "conv5_3"), "lacks encoder.conv5_3.weight"),
        (lambda layers: layers | {"fc8": [torch.ones(3)]}, "has fc8.weight, for which there is no place"),
        (lambda layers: layers | {"fc7": [torch.ones(3, 16, 1, 1), torch.ones(16)]}, "is of shape 3×16×1×1 there"),
        (lambda layers: layers | {"conv1_1": [torch.full((4, 3, 3, 3), torch.nan), torch.ones(4)]}, "no numbers"),
        (lambda layers: layers | {"scale_pool4": [torch.full((10,), 0.01)]}, "its scale_pool4 is of the at-once net"),
        (lambda layers: layers | {"upscore2": [torch.ones(21, 21, 4, 4)] * 3}, "no such score_pool4"),
    ],
)
def test_a_file_that_does_not_fit_exactly_is_refused(tmp_path, change, said):
    layers = change(caffe.vgg16_blobs() | caffe.fcn_blobs(16))
    with pytest.raises(CheckpointError) as caught:
        _converted(tmp_path, layers, "fcn16s_vgg16")
    assert said in str(caught.value)
    assert "net.caffemodel does not fit fcn16s_vgg16" in str(caught.value)
    assert not (tmp_path / "ours.safetensors").exists()


def test_other_factors_of_the_at_once_net_are_refused(tmp_path):
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(8, at_once=True) | {"scale_pool3": [torch.full((8,), 0.01)]}
    with pytest.raises(CheckpointError, match=r"its scale_pool3 is not 0\.0001 everywhere"):
        _converted(tmp_path, layers, "fcn8s_atonce_vgg16")


def test_a_coarser_net_is_no_finer_one(tmp_path):
    layers = caffe.vgg16_blobs() | caffe.fcn_blobs(32)
    with pytest.raises(CheckpointError, match=r"lacks decoder\.upscore2\.weight"):
        _converted(tmp_path, layers, "fcn8s_vgg16")
