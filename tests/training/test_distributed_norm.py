"""BatchNorm over two processes, against torch's over the joint batch."""

import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from ranks_world import finish, start
from torch import nn

SIZES = (3, 2)  # pictures of each process


def net() -> nn.Module:
    from timm.layers import BatchNormAct2d

    from zoo.ops import BatchNorm2d

    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4, momentum=None),
        nn.Conv2d(4, 4, 1),
        BatchNormAct2d(4),
        nn.Conv2d(4, 4, 1),
        BatchNorm2d(4, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.BatchNorm2d(4, track_running_stats=False),
    )
    for norm in (made[1], made[3]):
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)
    return made


def pictures() -> torch.Tensor:
    return torch.randn(sum(SIZES), 3, 7, 9, generator=torch.Generator().manual_seed(1)) * 3 + 1


def learn(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two batches; what is left of them, and the gradients."""
    model.train()
    for _ in range(2):
        x = x.detach().requires_grad_()
        out = model(x.contiguous(memory_format=torch.channels_last))
        (out * torch.linspace(-1, 2, out.shape[1]).view(-1, 1, 1)).pow(2).sum().backward()
    found = {f"grad {name}": parameter.grad for name, parameter in model.named_parameters()}
    return {**found, **model.state_dict(), "out": out.detach(), "input": x.grad}


def test_it_is_one_norm_over_all_pictures(tmp_path):
    results = finish(start(2, [__file__, str(tmp_path)]))
    assert [code for code, *_ in results] == [0, 0], results
    made = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    expected = learn(net().double(), pictures().double())
    for name, tensor in expected.items():
        one, two = (each[name] for each in made)
        if name in ("out", "input"):
            found = torch.cat([one, two])
        elif name.startswith("grad"):
            found = one + two
        else:
            assert torch.equal(one, two)
            found = one
        assert torch.allclose(found.to(tensor.dtype), tensor, rtol=2e-4, atol=2e-4), name
    assert json.loads((tmp_path / "rest.json").read_text()) == {
        "evaluation": True, "copy": True, "changed": 4, "averaged": [0.5, 2.0], "idle": ["spare.weight", "spare.bias"]
    }  # fmt: skip


def main(out: Path) -> None:
    """One of the two processes."""
    from training_world import tiny

    from zoo.config import ModelConfig
    from zoo.training.parallel.norm import average_statistics, synchronise_norms
    from zoo.training.parallel.replicas import idle_parameters
    from zoo.training.parallel.team import joined

    with joined() as team:
        model, plain = net(), net()
        changed = synchronise_norms(model)
        torch.save(learn(model, pictures().split(SIZES)[team.rank]), out / f"{team.rank}.pt")
        plain.load_state_dict(model.state_dict())
        twin = copy.deepcopy(model)
        alone = nn.BatchNorm2d(1)
        nn.init.constant_(alone.running_mean, team.rank)
        nn.init.constant_(alone.running_var, 1 + 2 * team.rank)
        average_statistics(alone, team.size)
        whole = tiny(3)
        whole.config = ModelConfig("tiny", "tiny", None, 3)
        whole.spare = nn.Conv2d(1, 1, 1)
        before = copy.deepcopy(whole.state_dict())
        idle = idle_parameters(whole)
        assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
        x = pictures()
        record = {
            "evaluation": torch.equal(model.eval()(x), plain.eval()(x)),
            "copy": torch.equal(twin.eval()(x), plain(x)),
            "changed": changed,
            "averaged": [alone.running_mean.item(), alone.running_var.item()],
            "idle": idle,
        }
        if team.lead:
            (out / "rest.json").write_text(json.dumps(record))


def test_nothing_changes_in_one_process():
    from training_world import recipe, tiny

    from zoo.training.parallel.spread import Spread, spread
    from zoo.training.parallel.team import ALONE, joined

    model = tiny(3)
    made = spread(model, None, recipe(), ALONE, torch.device("cpu"))
    assert type(made) is Spread
    assert made.forward is model
    with joined() as team:
        assert team is ALONE
        with pytest.raises(KeyError), team.together():
            raise KeyError


if __name__ == "__main__":
    main(Path(sys.argv[1]))
