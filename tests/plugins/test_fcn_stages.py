"""FCN in stages, in training, and on other encoders than VGG."""

import pytest
import torch
import torch.nn.functional as F

import zoo
from zoo.errors import IncompatibleError


def _shake(model):
    """Random scores (the published zeros would hide everything behind them)."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".score_" in name:
                parameter.normal_(0, 0.5)
    return model.eval()


@pytest.mark.parametrize("name", ["fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn8s_atonce_vgg16"])
def test_scores_start_at_zero(name, narrow_vgg):
    model = zoo.create_model(name, num_classes=3)
    assert not model(torch.rand(2, 3, 20, 30))["out"].any()


def _interpolate(x, factor):
    """Bilinear upsampling of a map surrounded by zeros, channel by channel, written as a convolution."""
    taps = 2 * factor
    tent = 1 - (torch.arange(taps, dtype=x.dtype) - (factor - 0.5)).abs() / factor
    kernel = (tent[:, None] * tent).expand(x.shape[1], 1, taps, taps)
    return F.conv_transpose2d(x, kernel, stride=factor, groups=x.shape[1])


def _second_difference(x, dim):
    padding = (0, 0, 2, 2) if dim == -2 else (2, 2, 0, 0)
    return F.pad(x, padding).diff(n=2, dim=dim).abs().max()


def test_a_coarser_stage_starts_the_finer_ones(tmp_path, narrow_vgg):
    """FCN-32s → 16s → 8s: each begins as the one before it, interpolated in more steps."""
    torch.manual_seed(0)
    stages = [_shake(zoo.create_model("fcn32s_vgg16", num_classes=4))]
    for name in ("fcn16s_vgg16", "fcn8s_vgg16"):
        path = zoo.save(stages[-1], tmp_path / f"{name}.safetensors")
        stages.append(zoo.create_model(name, weights=path).eval())
    x = torch.rand(1, 3, 75, 101)
    with torch.inference_mode():
        outs = [stage(x)["out"] for stage in stages]
        scores = stages[0].decoder(stages[0].encoder(x, ["fc7"]))
    assert torch.equal(scores, stages[2].decoder.score_fr(stages[2].encoder(x, ["fc7"]).maps["fc7"]))

    # By hand, from the 32s scores: where a map begins follows from the crops 19, 5, 27, 9 and 31 alone.
    once = _interpolate(scores, 32)[..., 19 : 19 + 75, 19 : 19 + 101]
    twice = _interpolate(_interpolate(scores, 2), 16)[..., 27 : 27 + 75, 27 : 27 + 101]
    thrice = _interpolate(_interpolate(_interpolate(scores, 2), 2), 8)[..., 31 : 31 + 75, 31 : 31 + 101]
    for out, wanted in zip(outs, (once, twice, thrice), strict=True):
        torch.testing.assert_close(out, wanted, rtol=0, atol=1e-6)

    # One step and two differ only around cells, by an eighth of the map's second difference there at most:
    # between the neighbours a quarter of a cell away the two-step line cuts the corner that the other one turns.
    bound = (_second_difference(scores, -1) + _second_difference(scores, -2)) / 8
    assert 0 < (outs[0] - outs[1]).abs().max() <= bound
    finer = _interpolate(scores, 2)
    bound = (_second_difference(finer, -1) + _second_difference(finer, -2)) / 8
    assert 0 < (outs[1] - outs[2]).abs().max() <= bound


def test_skips_change_nothing_until_they_learn(tmp_path, narrow_vgg):
    stage = _shake(zoo.create_model("fcn16s_vgg16", num_classes=3))
    finer = zoo.create_model("fcn8s_vgg16", weights=zoo.save(stage, tmp_path / "16s.safetensors")).train()
    assert torch.equal(finer.decoder.score_pool4.weight, stage.decoder.score_pool4.weight)
    finer(torch.rand(1, 3, 40, 40))["out"].square().sum().backward()
    assert finer.decoder.score_pool3.weight.grad.abs().max() > 0


TIMM = ["resnet18", "mobilenetv3_small_100"]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("encoder", TIMM)
def test_on_a_timm_encoder_any_size_and_channels(encoder, channels):
    model = _shake(zoo.create_model("fcn8s", encoder=encoder, num_classes=3, in_channels=channels))
    for size in [(1, 1), (33, 47), (97, 131), (64, 64)]:
        with torch.inference_mode():
            out = model(torch.rand(1, channels, *size))["out"]
        assert out.shape == (1, 3, *size)
        assert out.isfinite().all()


@pytest.mark.parametrize("encoder", TIMM)
def test_fcn32s_on_a_timm_encoder_is_interpolated_scores(encoder):
    """Cells tile the picture; within the outermost centres that is what `interpolate` does."""
    torch.manual_seed(0)
    model = _shake(zoo.create_model("fcn32s", encoder=encoder, num_classes=3))
    x = torch.rand(1, 3, 160, 128)
    with torch.inference_mode():
        out = model(x)["out"]
        scores = model.decoder(model.encoder(x, model.taps))
    wanted = F.interpolate(scores, scale_factor=32, mode="bilinear", align_corners=False)
    torch.testing.assert_close(out[..., 16:-16, 16:-16], wanted[..., 16:-16, 16:-16], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_100", "vgg16_bn"])
def test_a_training_step_on_a_batch_of_one(encoder, narrow_vgg):
    torch.manual_seed(0)
    model = zoo.create_model("fcn8s", encoder=encoder, num_classes=3)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    x, target = torch.rand(1, 3, 64, 96), torch.arange(96).expand(1, 64, 96) // 32
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x)["out"], target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == ("upscore" in name), name


def test_kernels_learn_on_request(narrow_vgg):
    model = _shake(zoo.create_model("fcn8s_vgg16", num_classes=3, learn_upsampling=True))
    model(torch.rand(1, 3, 40, 40))["out"].square().sum().backward()
    kernels = {name: parameter for name, parameter in model.named_parameters() if "upscore" in name}
    assert len(kernels) == 3
    assert all(parameter.grad.abs().max() > 0 for parameter in kernels.values())


def test_an_encoder_without_the_strides_is_refused(narrow_vgg):
    with pytest.raises(IncompatibleError, match="no tap at stride 32"):
        zoo.create_model("fcn8s", encoder="resnet18", output_stride=16)
    with pytest.raises(IncompatibleError, match="lacks a tap at stride 8"):
        zoo.create_model("fcn8s", encoder="vit_tiny_patch16_dinov3_qkvb")
