import copy
import pickle

import pytest
import torch
from torch import nn

from zoo.config import ModelConfig
from zoo.heads import ScoreHead
from zoo.interfaces import Decoder, Encoder, Features, FeatureSpec, Head, Pool
from zoo.model import SegmentationModel


class _Encoder(Encoder):
    features = (FeatureSpec("half", 4, 2, 0.5), FeatureSpec("quarter", 6, 4, 1.5))
    pools = ("pool",)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2, 2)
        self.deep = nn.Conv2d(4, 6, 2, 2)
        self.asked = []

    def forward(self, x, taps, with_pools=False):
        self.asked.append((tuple(taps), with_pools))
        half = self.conv(x)
        maps = {"half": half, "quarter": self.deep(half)}
        return Features({name: maps[name] for name in taps}, {"pool": Pool(half, (1, 1))} if with_pools else {})


class _Decoder(Decoder):
    taps = ("quarter",)
    out = FeatureSpec("quarter", 6, 4, 1.5)

    def __init__(self, with_pools=False):
        super().__init__()
        self.with_pools = with_pools

    def forward(self, features):
        assert ("pool" in features.pools) == self.with_pools
        return features.maps["quarter"]


@pytest.mark.parametrize("with_pools", [True, False])
def test_encoder_decoder_head(with_pools):
    model = SegmentationModel(_Encoder(), _Decoder(with_pools), ScoreHead(6, 5))
    x = torch.rand(2, 3, 9, 14)
    y = model(x)
    assert list(y) == ["out"]
    assert y["out"].shape == (2, 5, 9, 14)
    assert model.encoder.asked == [(("quarter",), with_pools)]
    by_hand = model.head(model.encoder.deep(model.encoder.conv(x)), (9, 14))
    assert torch.equal(y["out"], by_hand)


def test_auxiliary_heads_answer_while_training_only():
    model = SegmentationModel(_Encoder(), _Decoder(), ScoreHead(6, 5), {"aux": ("half", ScoreHead(4, 5))})
    assert model.taps == ("quarter", "half")
    bare = copy.deepcopy(model)
    bare.drop_auxiliary()
    assert bare.taps == ("quarter",)
    assert list(bare(torch.rand(1, 3, 8, 8))) == ["out"]
    x = torch.rand(1, 3, 8, 8)
    y = model(x)
    assert {key: tuple(value.shape) for key, value in y.items()} == {"out": (1, 5, 8, 8), "aux": (1, 5, 8, 8)}
    (y["out"].sum() + y["aux"].sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert list(model.eval()(x)) == ["out"]


def test_further_answers_are_always_there():
    model = SegmentationModel(
        _Encoder(), _Decoder(), ScoreHead(6, 5), further={"other": (_Decoder(with_pools=True), ScoreHead(6, 2))}
    ).eval()
    with pytest.raises(AssertionError):
        model(torch.rand(1, 3, 8, 8))  # this decoder wants no pools, the other one does
    model = SegmentationModel(
        _Encoder(), _Decoder(), ScoreHead(6, 5), further={"other": (_Decoder(), ScoreHead(6, 2))}
    ).eval()
    assert {key: value.shape[1] for key, value in model(torch.rand(1, 3, 8, 8)).items()} == {"out": 5, "other": 2}


def test_models_copy_and_pickle():
    model = SegmentationModel(_Encoder(), _Decoder(), ScoreHead(6, 5)).eval()
    model.config = ModelConfig("net", "net", None, 5, classes=tuple("abcde"))
    x = torch.rand(1, 3, 8, 8)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.config == model.config
        assert torch.equal(other(x)["out"], model(x)["out"])


def test_the_interfaces_say_who_forgot_what():
    with pytest.raises(TypeError, match=r"_Lazy does not define forward\(x, taps"):
        type("_Lazy", (Encoder,), {})()(torch.rand(1, 3, 4, 4), [])
    with pytest.raises(TypeError, match=r"_Lazy does not define forward\(features\)"):
        type("_Lazy", (Decoder,), {})()(Features({}, {}))
    with pytest.raises(TypeError, match=r"_Lazy does not define forward\(x, size\)"):
        type("_Lazy", (Head,), {})()(torch.rand(1, 3, 4, 4), (4, 4))


def test_an_encoder_tells_its_taps_without_being_built():
    class Mine(Encoder):
        def __init__(self, width=4):
            super().__init__()
            self.layer = nn.Linear(10_000, 10_000)
            assert self.layer.weight.is_meta
            self.features = (FeatureSpec("a", width, 1, 0.0),)

    assert Mine.offers(width=7) == (FeatureSpec("a", 7, 1, 0.0),)
