"""Caffe nets other than FCN-VGG16: FCN-AlexNet, ImageNet trunks, DeconvNet; and semseg's PSPNet."""

import caffe_world as caffe
import pytest
import torch
import torch.nn.functional as F
from fcn_world import assert_close, picture, plain_lrn, plain_pool
from random_networks import filled, random_state, relative_difference, sleeping_train
from semseg_world import Reference
from torchvision.models import resnet50

import zoo
from zoo.errors import CheckpointError
from zoo.hub.convert import convert
from zoo.hub.encoder_file import load_encoder


def _caffenet(matrices: bool) -> dict[str, list[torch.Tensor]]:
    """bvlc_reference_caffenet with its classifier, as matrices or as convolutions."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv1": (96, 3, 11, 1), "conv2": (256, 96, 5, 2), "conv3": (384, 256, 3, 1), "conv4": (384, 384, 3, 2)}
    shapes |= {"conv5": (256, 384, 3, 2), "fc6": (4096, 256, 6, 1), "fc7": (4096, 4096, 1, 1)}
    layers = {
        name: caffe.conv_blobs(out, into, size, generator, groups) for name, (out, into, size, groups) in shapes.items()
    }
    if matrices:
        for name in ("fc6", "fc7"):
            layers[name][0] = layers[name][0].flatten(1)
        layers["fc8"] = [torch.ones(10, 4096), torch.ones(10)]
    return layers


def _caffenet_fc7(layers, x, padding):
    x = F.relu(F.conv2d(x, *layers["conv1"], stride=4, padding=padding))
    x = plain_lrn(plain_pool(x))
    x = plain_lrn(plain_pool(F.relu(F.conv2d(x, *layers["conv2"], padding=2, groups=2))))
    x = F.relu(F.conv2d(x, *layers["conv3"], padding=1))
    x = F.relu(F.conv2d(x, *layers["conv4"], padding=1, groups=2))
    x = plain_pool(F.relu(F.conv2d(x, *layers["conv5"], padding=1, groups=2)))
    x = F.relu(F.conv2d(x, layers["fc6"][0].reshape(4096, 256, 6, 6), layers["fc6"][1]))
    return F.relu(F.conv2d(x, layers["fc7"][0].reshape(4096, 4096, 1, 1), layers["fc7"][1]))


def test_fcn_alexnet_answers_as_in_caffe(tmp_path):
    layers = _caffenet(matrices=False)
    layers["score_fr"] = caffe.conv_blobs(21, 4096, 1, torch.Generator().manual_seed(1))
    layers["upscore"] = [caffe.bilinear(21, 63)]
    path = tmp_path / "fcn-alexnet-pascal.caffemodel"
    path.write_bytes(caffe.caffemodel(layers))
    out = convert(path, source="caffe", model="fcn32s_alexnet", out=tmp_path / "net.safetensors")
    model = zoo.load(out)
    x = picture(33, 97)
    with torch.inference_mode():
        score = caffe.conv(layers, "score_fr", _caffenet_fc7(layers, x, 100))
        assert_close(model(x)["out"], caffe.crop(caffe.deconv(layers, "upscore", score, 32), x, 18))
    assert (model.config.input.order, model.config.input.scale) == ("BGR", 255.0)
    assert model.config.classes[1] == "aeroplane"


def test_the_classifier_of_caffe_becomes_an_encoder(tmp_path):
    layers = _caffenet(matrices=True)
    path = tmp_path / "bvlc_reference_caffenet.caffemodel"
    path.write_bytes(caffe.caffemodel(layers, v1=True, old_shape=True))
    out = convert(path, source="caffe", model="caffenet", out=tmp_path / "net.safetensors")
    from zoo.plugins.fcn.caffenet import CaffeNet

    encoder = CaffeNet(classifier=True, first_padding=100, encoder_weights=str(out)).eval()
    x = picture(33, 47)
    with torch.inference_mode():
        assert_close(encoder(x, ["fc7"]).maps["fc7"], _caffenet_fc7(layers, x, 100))
    assert not hasattr(CaffeNet(taps=["conv2"], encoder_weights=str(out)), "conv3")


def test_googlenet_becomes_an_encoder(tmp_path):
    from zoo.plugins.fcn.googlenet import GoogLeNet

    theirs = GoogLeNet()
    layers: dict[str, list[torch.Tensor]] = {"loss3/classifier": [torch.ones(10, 1024), torch.ones(10)]}
    for name, tensor in random_state(theirs).items():
        layers.setdefault(name.rpartition(".")[0].replace(".", "/"), []).append(tensor)
    assert "inception_3a/5x5_reduce" in layers
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(layers, v1=True, old_shape=True))
    out = convert(tmp_path / "net.caffemodel", source="caffe", model="googlenet_bvlc", out=tmp_path / "net.safetensors")
    model = zoo.create_model("fcn32s_googlenet", num_classes=2, encoder_weights=str(out))
    assert torch.equal(model.encoder.inception_5b.pool_proj.weight, layers["inception_5b/pool_proj"][0])
    assert model.config.input.order == "BGR"
    assert not load_encoder(theirs, tmp_path / "net.caffemodel", first="", in_channels=3)


# DeconvNet


def _deconvnet() -> dict[str, list[torch.Tensor]]:
    """The released net in narrow: every layer but the last with a folded batch norm."""
    generator = torch.Generator().manual_seed(0)
    layers: dict[str, list[torch.Tensor]] = {}

    def norm(name, channels):
        scale = torch.rand(1, channels, 1, 1, generator=generator) + 0.5
        layers[name] = [scale, torch.randn(1, channels, 1, 1, generator=generator) * 0.2]

    def deconv(name, into, out, size):
        weight, bias = caffe.conv_blobs(out, into, size, generator)
        layers[name] = [weight.transpose(0, 1).contiguous(), bias]

    for name, blobs in caffe.vgg16_blobs().items():
        layers[name] = blobs
        norm(name.replace("conv", "bn") if name.startswith("conv") else f"bn{name}", len(blobs[0]))
    deconv("fc6-deconv", caffe.CODE, caffe.WIDTHS[4], 7)
    norm("fc6-deconv-bn", caffe.WIDTHS[4])
    channels = caffe.WIDTHS[4]
    for block in range(5, 0, -1):
        finer = caffe.WIDTHS[max(block - 2, 0)]
        for index in range(1, caffe.DEPTHS[block - 1] + 1):
            width = finer if index == caffe.DEPTHS[block - 1] else channels
            deconv(f"deconv{block}_{index}", channels, width, 3)
            norm(f"debn{block}_{index}", width)
            channels = width
    layers["seg-score-voc"] = caffe.conv_blobs(21, channels, 1, generator)
    return layers


def _deconvnet_scores(layers, x):
    def finished(x, norm):
        scale, shift = layers[norm]
        return F.relu(x * scale + shift)

    switches = []
    for block, depth in enumerate(caffe.DEPTHS, 1):
        for index in range(1, depth + 1):
            x = finished(caffe.conv(layers, f"conv{block}_{index}", x, 1), f"bn{block}_{index}")
        size = x.shape[-2:]
        x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        switches.append((indices, size))
    x = finished(caffe.conv(layers, "fc6", x), "bnfc6")
    x = finished(caffe.conv(layers, "fc7", x), "bnfc7")
    x = finished(F.conv_transpose2d(x, *layers["fc6-deconv"]), "fc6-deconv-bn")
    for block in range(5, 0, -1):
        indices, size = switches[block - 1]
        x = F.max_unpool2d(x, indices, 2, 2, output_size=size)
        for index in range(1, caffe.DEPTHS[block - 1] + 1):
            x = F.conv_transpose2d(x, *layers[f"deconv{block}_{index}"], padding=1)
            x = finished(x, f"debn{block}_{index}")
    return caffe.conv(layers, "seg-score-voc", x)


def test_deconvnet_answers_as_in_caffe(tmp_path, narrow_vgg):
    layers = _deconvnet()
    path = tmp_path / "DeconvNet_trainval_inference.caffemodel"
    path.write_bytes(caffe.caffemodel(layers, v1=True, old_shape=True))
    out = convert(path, source="deconvnet", model="deconvnet_vgg16", out=tmp_path / "net.safetensors")
    model = zoo.load(out)
    for seed in range(2):
        x = picture(224, 224, seed=seed)
        with torch.inference_mode():
            wanted = _deconvnet_scores(layers, x)
            assert wanted.std(dim=(2, 3)).min() > 0
            assert_close(model(x)["out"], wanted)
    assert (model.config.input.order, model.config.input.scale) == ("BGR", 255.0)
    assert model.config.input.mean == (104.00698793, 116.66876762, 122.67891434)
    assert len(model.config.classes) == 21
    again = convert(path, source="deconvnet", model="deconvnet_vgg16", out=tmp_path / "again.safetensors")
    assert again.read_bytes() == out.read_bytes()


def test_half_a_deconvnet_is_refused(tmp_path, narrow_vgg):
    layers = {name: blobs for name, blobs in _deconvnet().items() if name != "debn3_2"}
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(layers, v1=True))
    with pytest.raises(CheckpointError, match=r"lacks decoder\.debn3_2\.weight, decoder\.debn3_2\.bias"):
        convert(
            tmp_path / "net.caffemodel", source="deconvnet", model="deconvnet_vgg16", out=tmp_path / "o.safetensors"
        )


def test_semsegs_pspnet_answers_as_there(tmp_path):
    with torch.device("meta"):
        state = random_state(Reference(resnet50))
    theirs = filled(lambda: Reference(resnet50), state)
    path = tmp_path / "train_epoch_50.pth"
    torch.save({"epoch": 50, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    ours = zoo.load(convert(path, source="semseg", model="pspnet_resnet50", out=tmp_path / "net.safetensors"))
    x = torch.randn(1, 3, 65, 49)
    with torch.inference_mode():
        wanted = theirs(x)
        got = sleeping_train(ours)(x)
    assert relative_difference(got["out"], wanted[0]) < 1e-5
    assert relative_difference(got["aux"], wanted[1]) < 1e-5
