"""Every check of `zoo.testing.check` finds the fault that it is there for, in a plugin that is right but for it."""

import re
from pathlib import Path

import pytest
from plugin_world import write_plugin

from zoo.testing import CHECKS, check
from zoo.testing.mending import MEND

T, N, R, M, B, D = "plugin.toml", "net.py", "net_quick.toml", "merge.py", "blocks.py", "trunk.py"
RETURN = "    offered = {tap.stride: tap for tap in encoder.offers()}\n"
TOP = "from zoo.errors import"

# kind, check, what it says, (file, old, new)…
DEFECTS = {
    "a typing mistake in the manifest": ("arch", "manifest", "unknown key 'encodr'", (T, "encoder =", "encodr =")),
    "a manifest for a newer Zoo": ("arch", "manifest", "made for a newer one", (T, "api = 1", "api = 2")),
    "no manifest": ("arch", "manifest", "there is no plugin.toml", (T, "api = 1", "")),
    "a recipe that is not shipped": (
        "arch",
        "manifest",
        "there is no .*quik",
        (T, "/net_quick.toml", "/net_quik.toml"),
    ),
    "code at start-up": ("arch", "listing", "imports PKG", ("", "sitecustomize.py", "import PKG")),
    "a target that is not there": ("arch", "targets", "no attribute 'nett'", (T, ":net", ":nett")),
    "a function for a class": ("decoder", "targets", "no class derived from Decoder", (T, ":MergeDecoder", ":merge")),
    "options that swallow": ("arch", "targets", r"takes \*\*kwargs", (N, "dropout: float = 0.1)", "**rest: int)")),
    "a preset of nothing": ("arch", "targets", "no architecture 'NS/nets'", (T, '"NS/net"\nenc', '"NS/nets"\nenc')),
    "a key that no recipe has": ("arch", "recipes", "'optim.lrr'.* Did you mean 'lr'", (R, "lr =", "lrr =")),
    "an option that the net lacks": ("arch", "recipes", "no option 'widht'", (R, "{ width", "{ widht")),
    "not a number": ("arch", "sizes", "not finite", (N, "return merged", 'return merged * float("nan")')),
    "a norm of one value": (
        "arch",
        "batch_of_one",
        "more than 1 value per channel",
        (N, "nn.AdaptiveAvgPool2d(1), ", "nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(deep.channels), "),
    ),
    "a default that no file can hold": (
        "arch",
        "options",
        "a weight file's header cannot hold",
        (N, "dropout: float = 0.1)", "norm: type = nn.ReLU)"),
        (N, ", dropout))", "))"),
    ),
    "an option without a name": (
        "arch",
        "options",
        "is positional",
        (N, "num_classes: int, *, width: int = 128", "num_classes: int, width: int"),
        (T, 'encoder = "resnet18"', 'encoder = "resnet18" #'),
    ),
    "other classes than the manifest says": (
        "arch",
        "declared",
        "num_classes = 7 where its manifest says 4",
        (
            N,
            "def net(",
            'def fixed() -> object:\n    import zoo\n\n    return zoo.create_model("NS/net", num_classes=7)'
            "\n\n\ndef net(",
        ),
        (
            T,
            "[[recipe]]",
            '[[model]]\nname = "own"\ntarget = "PKG.net:fixed"\nsummary = "s"\nnum_classes = 4\n\n[[recipe]]',
        ),
    ),
    "a decoder's stride": ("arch", "maps", "out.stride is 32", (N, "self.out = fine", "self.out = deep")),
    "a decoder's channels": ("arch", "maps", "its out.channels is", (N, "channels=width)", "channels=width + 1)")),
    "a need that is not declared": ("arch", "needs", "cannot be built|KeyError", (T, "[8, 32]", "[32]")),
    "a need that is none": ("arch", "needs", r"needs a tap at stride \[4\]", (T, "[8, 32]", "[4, 8, 32]")),
    "an encoder by its name": (
        "arch",
        "pairs",
        "not for vgg",
        (N, RETURN, RETURN + '    if "vgg" in encoder.name:\n        raise RuntimeError("not for vgg")\n'),
    ),
    "an idle layer": (
        "arch",
        "backward",
        r"reaches decoder\.idle\.weight",
        (N, "self.out =", "self.idle = nn.Linear(2, 2)\n        self.out ="),
    ),
    "a seed": (
        "arch",
        "global_state",
        "seeds torch's generator",
        (N, RETURN, RETURN + "    torch.manual_seed(0)\n"),
        (N, TOP, f"import torch\n{TOP}"),
    ),
    "a number of threads": (
        "arch",
        "global_state",
        "changes the number of torch's threads",
        (N, RETURN, RETURN + "    torch.set_num_threads(1)\n"),
        (N, TOP, f"import torch\n{TOP}"),
    ),
    "a filter of warnings": (
        "arch",
        "global_state",
        "adds to the filters of warnings",
        (N, RETURN, RETURN + '    warnings.simplefilter("ignore")\n'),
        (N, TOP, f"import warnings\n{TOP}"),
    ),
    "another generator": (
        "arch",
        "global_state",
        "changes Python's random generator",
        (N, RETURN, RETURN + "    random.random()\n"),
        (N, TOP, f"import random\n{TOP}"),
    ),
    "a limit that is none": (
        "arch",
        "bf16",
        "but it can: take it out",
        (T, 'encoder = "resnet18"', 'cannot = ["bf16"]\nencoder = "resnet18"'),
    ),
    "a limit that is not declared": (
        "arch",
        "channels_last",
        "view size is not compatible",
        (N, "return merged", "return merged.view(-1).view_as(merged)"),
    ),
    "a stride that it lacks": (
        "encoder",
        "offers",
        r"strides \[2\]",
        (T, "[4, 8, 16, 32], taps", "[2, 4, 8, 16, 32], taps"),
    ),
    "a tap that it lacks": ("encoder", "offers", r"taps \['stage5'\]", (T, '"stage4"]', '"stage4", "stage5"]')),
    "a tap that it conceals": ("encoder", "offers", r"taps at strides \[4\]", (T, "strides = [4, 8", "strides = [8")),
    "other taps than it says": (
        "encoder",
        "offers",
        r"offers\(\) says",
        (D, "self.features = offered[: deepest + 1]", "self.features = offered[1:]"),
        (D, "x = self.stem(x)", "x = self.stem(x)"),
    ),
    "a stride that is another": ("encoder", "taps", "says stride 4", (D, "stride=step", "stride=1")),
    "cells that lie elsewhere": (
        "encoder",
        "taps",
        "it sees rows",
        (D, "output_stride), 0.0)", "output_stride), 900.0)"),
    ),
    "channels that are others": (
        "encoder",
        "taps",
        r"says 8 channels|says 32 channels",
        (D, "maps[tap.name] = x", "maps[tap.name] = x[:, 1:]"),
    ),
    "depth that nobody asked for": (
        "encoder",
        "some_taps",
        "as large as built for all",
        (D, "offered[: deepest + 1]", "offered"),
    ),
    "an output stride that it cannot have": (
        "encoder",
        "output_strides",
        "output stride 4|Expected|expected",
        (T, "[32, 16, 8]", "[32, 16, 8, 4]"),
    ),
    "switches that it lacks": (
        "encoder",
        "pools",
        r"switches of \['p'\]",
        (T, "output_strides", 'pools = ["p"], output_strides'),
    ),
    "a wrong number": ("encoder", "parameters", "where its manifest says 1,182,497", (T, "1182496", "1182497")),
    "input channels": ("encoder", "in_channels", "channels", (D, "conv_norm_act(in_channels,", "conv_norm_act(3,")),
    "a decoder that it does not suit": (
        "encoder",
        "pairs",
        "only for me",
        (
            D,
            "x = self.stem(x)",
            'if "stage1" not in taps:\n            raise RuntimeError("only for me")\n        x = self.stem(x)',
        ),
    ),
    "no place of the map": ("decoder", "contract", "its `out` is None", (M, "self.out =", "self.place =")),
    "a map of other channels": ("decoder", "maps", "out.channels is 65", (M, "channels=width)", "channels=width + 1)")),
    "a tap that it does not read": (
        "decoder",
        "backward",
        "no gradient reaches|does not",
        (M, "in others", "in others[:1]"),
    ),
    "a norm in the decoder": (
        "decoder",
        "batch_of_one",
        "more than 1 value",
        (M, "conv_norm_act(width, width)", "nn.BatchNorm2d(width)"),
    ),
    "something that it remembers": (
        "decoder",
        "state_dict",
        "answers differently",
        (M, "self.merge =", "self.secret = torch.rand(1)\n        self.merge ="),
        (M, "return merged", "return merged * self.secret"),
        (M, "from torch import", "import torch\nfrom torch import"),
    ),
    "no root": ("dataset", "contract", "takes no root", (B, "        root: Path | None = None,\n", "")),
    "more classes than the manifest says": (
        "dataset",
        "classes",
        "3 classes; its manifest says 4",
        (T, "classes = 3", "classes = 4"),
    ),
    "a split by another name": (
        "dataset",
        "classes",
        "opened at its split 'val', it says that it is 'train'",
        (B, "        self.split = split\n", '        self.split = "train"\n'),
    ),
    "a mask of another type": (
        "dataset",
        "samples",
        "expected a tv_tensors.Mask, int64",
        (B, "astype(np.int64)", "astype(np.int32)"),
    ),
    "a label that is no class": (
        "dataset",
        "samples",
        r"labels \[7\]",
        (B, ").astype(np.int64)", ").astype(np.int64)\n        mask[0, 0] = 7"),
    ),
    "always in colour": (
        "dataset",
        "channels",
        "asked for 1 channels",
        (B, "self.channels)\n        mask", "3)\n        mask"),
    ),
    "another picture each time": (
        "dataset",
        "repeatable",
        "another one when it is read again",
        (B, "default_rng([split, index])", "default_rng()"),
    ),
    "a lambda in a data set": (
        "dataset",
        "repeatable",
        "sent to a worker",
        (B, "self.split = split", "self.split = split\n        self.f = lambda: 0"),
    ),
    "no end": ("dataset", "shortcuts", "behind the last", (B, "if not -len(self) <= index < len(self)", "if False")),
    "any split": (
        "dataset",
        "splits",
        "ValueError",
        (B, "            raise DataError(\n", "            raise ValueError(\n"),
    ),
    "a seed in a data set": (
        "dataset",
        "global_state",
        "changes NumPy's random generator",
        (B, "self.split = split", "self.split = split\n        np.random.seed(0)"),
    ),
    "a default type": (
        "arch",
        "global_state",
        "changes torch's default dtype",
        (N, RETURN, RETURN + "    torch.set_default_dtype(torch.float64)\n"),
        (N, TOP, f"import torch\n{TOP}"),
    ),
}


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize("what", DEFECTS)
def test_a_defect_is_found(what: str, tmp_path: Path) -> None:
    kind, name, message, *changes = DEFECTS[what]
    project = write_plugin(tmp_path, kind, *changes)
    if what == "no manifest":
        next(project.rglob("plugin.toml")).unlink()
    package, namespace = next((project / "src").glob("zoo_*")).name, project.name.removeprefix("zoo-")
    report = check(project, only=[name])
    failures = [finding for finding in report.failures if finding.check == name]
    assert failures, str(report)
    expected = message.replace("PKG", package).replace("NS", namespace)
    assert any(re.search(expected, finding.message) for finding in failures), str(report)
    for finding in failures:
        assert finding.mend
        assert str(project) in finding.where
    assert not report.ok


def test_every_check_has_a_defect() -> None:
    """Those of models are tried in test_kit.py and here, the imports and weights in test_check.py."""
    tried = {name for _, name, *_ in DEFECTS.values()}
    elsewhere = {"importing", "weights"}
    assert set(CHECKS["plugin"]) - elsewhere <= tried
    assert set(CHECKS["dataset"]) <= tried
    assert set(CHECKS["decoder"]) <= tried
    own = set(CHECKS["encoder"]) - set(CHECKS["architecture"]) - {"contract"}
    assert own <= tried
    assert {name for checks in CHECKS.values() for name in checks} <= set(MEND)
