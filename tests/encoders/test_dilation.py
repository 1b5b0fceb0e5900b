import pytest
import torch
from random_networks import filled, random_state, relative_difference
from torch import nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter

from zoo.assembly import find_encoder
from zoo.encoders.dilation import build_dilated, choose_output_stride, find_stage, offered_at, set_dilation
from zoo.errors import IncompatibleError, OptionError
from zoo.plan import Plan

LAYERS = ["layer1", "layer2", "layer3", "layer4"]


def _plan(name, **options):
    return Plan(find_encoder(name), name, 3, options)


def _dilations(encoder, stage):
    return [block.conv2.dilation[0] for block in find_stage(encoder, stage)]


@pytest.mark.parametrize(("output_stride", "replaced"), [(8, (False, True, True)), (16, (False, False, True))])
def test_dilated_resnet_is_torchvisions(output_stride, replaced):
    def theirs():
        trunk = resnet50(weights=None, replace_stride_with_dilation=replaced)
        return IntermediateLayerGetter(trunk, {layer: layer for layer in LAYERS})

    with torch.device("meta"):
        skeleton = theirs()
    state = random_state(skeleton)
    reference = filled(theirs, state)
    ours = filled(
        lambda: build_dilated(_plan("resnet50"), LAYERS, output_stride),
        {f"model.{name}": tensor for name, tensor in state.items()},
    )
    with torch.inference_mode():
        for size in [(65, 97), (47, 33), (1, 1)]:
            x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
            wanted, got = reference(x), ours(x, LAYERS).maps
            for layer in LAYERS:
                assert relative_difference(got[layer], wanted[layer]) < 1e-6, layer


@pytest.mark.parametrize(
    ("output_stride", "options", "layer3", "layer4"),
    [
        (16, {}, [1] * 6, [1, 2, 2]),
        (16, {"whole_stages": True}, [1] * 6, [2, 2, 2]),
        (16, {"multi_grid": (1, 2, 4)}, [1] * 6, [2, 4, 8]),
        (8, {}, [1] + [2] * 5, [2, 4, 4]),
        (8, {"whole_stages": True}, [2] * 6, [4, 4, 4]),
        (8, {"multi_grid": (1, 2, 4)}, [2] * 6, [4, 8, 16]),
        (8, {"multi_grid": [1, 2, 1]}, [2] * 6, [4, 8, 4]),
        (32, {"multi_grid": (1, 2, 4)}, [1] * 6, [1, 2, 4]),
    ],
)
def test_dilations_of_a_resnet(output_stride, options, layer3, layer4):
    """§3 of the DeepLabV3 paper: the rate of a unit is the rate of its stage times its factor of the grid."""
    with torch.device("meta"):
        encoder = build_dilated(_plan("resnet50"), LAYERS, output_stride, **options).eval()
        maps = encoder(torch.empty(1, 3, 65, 97), LAYERS).maps
    assert _dilations(encoder, "layer3") == layer3
    assert _dilations(encoder, "layer4") == layer4
    for tap in encoder.features:
        assert maps[tap.name].shape[-2:] == (-(-65 // tap.stride), -(-97 // tap.stride))


@pytest.mark.parametrize("encoder", ["convnext_atto", "regnetx_002", "tf_efficientnet_b0"])
def test_multi_grid_elsewhere(encoder):
    """Also where convolutions are 7×7, or pad themselves when they run."""
    plan = _plan(encoder)
    deepest = offered_at(plan, 16)[-1]
    with torch.device("meta"):
        plain = build_dilated(plan, [deepest.name], 16)
        stage = find_stage(plain, deepest.name)
        units = len(list(getattr(stage, "blocks", stage).children()))
        built = build_dilated(plan, [deepest.name], 16, multi_grid=range(1, units + 1)).eval()
        shape = built(torch.empty(1, 3, 96, 128), [deepest.name]).maps[deepest.name].shape
    assert shape == (1, deepest.channels, 6, 8)
    widest = {layer.dilation[0] for layer in built.modules() if isinstance(layer, nn.Conv2d)}
    assert set(range(2, 2 * units + 1, 2)) <= widest


def test_multi_grid_needs_units_of_the_right_number():
    with torch.device("meta"):
        with pytest.raises(OptionError, match=r"multi_grid=\[1, 2\]: expected a list of 3 whole numbers"):
            build_dilated(_plan("resnet50"), LAYERS, 16, multi_grid=[1, 2])
        for encoder in ("test_vit", "mobilenetv3_small_050"):  # a transformer; a last stage of one 1×1 convolution
            with pytest.raises(IncompatibleError, match=rf"in '{encoder}', 'blocks.5' is no row of units"):
                build_dilated(_plan(encoder), ["blocks.5"], 16, multi_grid=[1])


def test_dilated_convolution_is_the_one_with_zeros_between_its_taps():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    wide = nn.Conv2d(3, 4, 7, padding=3)
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[..., ::3, ::3] = layer.weight
        wide.bias.copy_(layer.bias)
    set_dilation(nn.Sequential(layer, nn.ReLU()), 3)
    x = torch.randn(1, 3, 9, 11)
    torch.testing.assert_close(layer(x), wide(x), rtol=1e-5, atol=1e-5)


def test_choosing_an_output_stride():
    assert choose_output_stride(_plan("resnet18"), None, (8, 16)) == 8
    assert choose_output_stride(_plan("resnet18"), None, (16, 8)) == 16
    assert choose_output_stride(_plan("resnet18"), 32, (16, 8)) == 32
    assert choose_output_stride(_plan("test_vit"), None, (8, 16)) == 16
    with pytest.raises(IncompatibleError, match="'vgg16' cannot have an output stride of 8 or 16; it can have 32"):
        choose_output_stride(_plan("vgg16"), None, (8, 16))


@pytest.mark.parametrize(("name", "stride"), [("xcit_nano_12_p8_224", 8), ("test_vit", 16)])
def test_nets_that_are_no_coarser_by_nature_are_built_as_they_are(name, stride):
    plan = _plan(name)
    assert plan.output_strides == (stride,)
    with torch.device("meta"):
        built = build_dilated(plan, [plan.offers()[-1].name], stride)
    assert built.features[-1].stride == stride
