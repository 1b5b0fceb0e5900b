"""What a step does: accumulation, averaging, clipping, precision, recomputation, compilation."""

import copy
import random

import pytest
import torch
from torch import nn
from training_world import recipe, tiny

from zoo.config import ModelConfig
from zoo.data.loader import Batch
from zoo.training.average import Average
from zoo.training.engine import Engine, NotFiniteError
from zoo.training.recompute import recompute_blocks

CPU = torch.device("cpu")
PLAIN = ("schedule.name=constant", "schedule.warmup=0", "optim.weight_decay=0")


def model(dropout=0.0, norms=True):
    torch.manual_seed(0)
    net = tiny(4, dropout=dropout)
    net.config = ModelConfig("tiny", "tiny", None, 4)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and not norms:
            module.eval().requires_grad_(False)
    return net


def batch(seed, size=2):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (size, 3, 12, 10), generator=generator).to(torch.uint8)
    masks = torch.randint(0, 4, (size, 12, 10), generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < 0.3 * (seed % 4)] = 255
    return Batch(images, masks)


def engine(net, *options):
    made = Engine(recipe(*PLAIN, *options), net, CPU)
    made.training()
    return made


def weights(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("options", [(), ("loss.reduction=sum", "optim.lr=1e-5"), ("loss.label_smoothing=0.1",)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_accumulated_batches_are_one_big_batch(options, optimizer):
    """Without norms in training and without dropout; the parts have different numbers of labelled pixels."""
    options = (f"optim.name={optimizer}", "optim.freeze_norms=true", *options)
    small = engine(model(norms=False), *options, "run.accumulate=3")
    large = engine(model(norms=False), *options)
    for step in range(3):
        parts = [batch(10 * step + part) for part in range(3)]
        whole = Batch(*(torch.cat(items) for items in zip(*parts, strict=True)))
        losses = [small.step(parts, step, 3)[0], large.step([whole], step, 3)[0]]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, value in small.model.state_dict().items():
        torch.testing.assert_close(value, large.model.state_dict()[name], rtol=1e-4, atol=2e-5, msg=name)


def test_the_average_is_the_recurrence():
    net = model()
    made = engine(net, "run.ema=0.5")
    expected = {name: tensor.double().clone() for name, tensor in net.state_dict().items()}
    for step in range(12):
        made.step([batch(step)], step, 12)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, tensor in net.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor if tensor.is_floating_point() else tensor
    for name, tensor in made.served.state_dict().items():
        torch.testing.assert_close(tensor, expected[name].to(tensor.dtype), msg=name)
    assert made.served is not made.model
    assert not any(parameter.requires_grad for parameter in made.served.parameters())


def test_no_average_serves_the_model():
    made = engine(model())
    assert made.served is made.model


def test_an_average_follows_counters():
    net = nn.BatchNorm2d(2)
    average = Average(net, 0.9)
    net.num_batches_tracked.fill_(7)
    average.update(net, 0)
    assert average.model.num_batches_tracked == 7


def test_long_gradients_are_shortened():
    net = model()
    before = weights(net)
    made = engine(net, "optim.name=sgd", "optim.momentum=0", "optim.lr=1", "optim.clip=0.01")
    made.step([batch(0)], 0, 1)
    moved = [parameter.detach() - before[name] for name, parameter in net.named_parameters()]
    assert torch.cat([part.flatten() for part in moved]).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_loss_that_is_not_finite_moves_nothing():
    net = model()
    made = engine(net)
    with torch.no_grad():
        net.head.layers[1].bias.fill_(float("inf"))
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    with pytest.raises(NotFiniteError):
        made.step([batch(0)], 0, 1)
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


def test_a_gradient_that_is_not_finite_moves_nothing_where_it_is_clipped():
    net = model()
    made = engine(net, "optim.clip=1")
    net.head.layers[1].weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    with pytest.raises(NotFiniteError, match="the gradient is nan"):
        made.step([batch(0)], 0, 1)
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_half_precision_trains(amp):
    net = model()
    made = engine(net, f"run.amp={amp}")
    full = engine(model())
    for step in range(3):
        loss = made.step([batch(step)], step, 3)[0]
        assert loss == pytest.approx(full.step([batch(step)], step, 3)[0], rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert ("scaler" in made.snapshot().extra) == (amp == "fp16")


def blocks():
    def block(width):
        return nn.Sequential(nn.Conv2d(4, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5),
                             nn.Conv2d(width, 4, 3, padding=1), nn.BatchNorm2d(4))  # fmt: skip

    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(block(5), block(6)), nn.ModuleList([block(3)])[0])


def test_recomputing_changes_neither_gradients_nor_statistics():
    kept, again = blocks(), blocks()
    assert recompute_blocks(again) == 2
    x = torch.rand(2, 3, 8, 8)
    for _ in range(2):
        for net in (kept, again):
            torch.manual_seed(3)
            net(x).square().mean().backward()
    for (name, one), other in zip(kept.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(kept.named_buffers(), again.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)
    assert kept.state_dict().keys() == again.state_dict().keys()


def test_recomputing_keeps_less():
    def saved(net):
        held = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (held.append(t.numel()), t)[1], lambda t: t):
            net(torch.rand(2, 3, 32, 32))
        return sum(held)

    again = blocks()
    recompute_blocks(again)
    assert saved(again) < 0.5 * saved(blocks())


def test_recomputing_in_a_run_of_a_real_net(tmp_path):
    import zoo

    results = []
    for option in ("run.recompute=false", "run.recompute=true"):
        torch.manual_seed(0)
        net = zoo.create_model("deeplabv3@resnet18", num_classes=4, output_stride=16)
        made = engine(net, option, "run.ema=0.9", "optim.name=sgd")
        results.append([made.step([batch(step)], step, 2)[0] for step in range(2)] + [made.served.state_dict()])
    assert results[0][:2] == pytest.approx(results[1][:2], rel=1e-5)
    for name, value in results[0][2].items():
        torch.testing.assert_close(value, results[1][2][name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_a_compiled_model_takes_the_same_steps():
    random.seed(0)
    plain, compiled = engine(model()), engine(model(), "run.compile=true")
    for step in range(2):
        one, other = (made.step([batch(step)], step, 2)[0] for made in (plain, compiled))
        assert one == pytest.approx(other, rel=1e-4)
    assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()


def test_state_comes_back_whole():
    options = ("run.ema=0.9", "run.amp=fp16", "optim.name=rmsprop", "run.accumulate=2")
    made = engine(model(), *options)
    for step in range(3):
        made.step([batch(step), batch(step + 9)], step, 5)
    from dataclasses import asdict

    from zoo.training.state import Progress

    saved = copy.deepcopy({
        "model": made.model.state_dict(), "optimizer": made.optimizer.state_dict(), "progress": asdict(Progress(3)),
        **made.snapshot().extra,
    })  # fmt: skip
    other = engine(model(), *options)
    assert other.restore(saved).step == 3
    for which in (made, other):
        for step in (3, 4):
            which.step([batch(step), batch(step + 9)], step, 5)
    for one, two in ((made.model, other.model), (made.served, other.served)):
        assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    assert made.snapshot().extra["scaler"] == other.snapshot().extra["scaler"]


def test_a_state_may_have_another_layout_in_memory():
    """As one has that was put together from the pieces of several processes."""
    from dataclasses import asdict

    from zoo.training.state import Progress

    made, other = (engine(model(), "optim.name=sgd", "run.channels_last=true") for _ in range(2))
    made.step([batch(0)], 0, 2)
    saved = copy.deepcopy({
        "model": made.model.state_dict(), "optimizer": made.optimizer.state_dict(), "progress": asdict(Progress(1)),
        **made.snapshot().extra,
    })  # fmt: skip
    for entry in saved["optimizer"]["state"].values():
        entry["momentum_buffer"] = entry["momentum_buffer"].contiguous()
    other.restore(saved)
    for which in (made, other):
        which.step([batch(1)], 1, 2)
    assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in made.model.state_dict().items())
