"""Labels against those of the whole logits, bit for bit."""

import pytest
import torch

import zoo
from zoo.heads import PixelHead, ResizeHead, ScoreHead, UpscoreHead
from zoo.inference.class_map import class_map
from zoo.inference.forward import answering, logits
from zoo.interfaces import FeatureSpec


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("classes", [2, 3, 5, 21])
@pytest.mark.parametrize(("cells", "factor", "width"), [((12, 15), 32, 480), ((33, 40), 4, 157), ((9, 65), 2, 130)])
def test_rows_of_resized_scores(layout, classes, cells, factor, width):
    torch.manual_seed(0)
    head = ResizeHead()
    scores = torch.randn(2, classes, *cells).to(memory_format=layout)
    size = (cells[0] * factor, width)
    whole = head(scores, size)
    assert head.row_step(scores, size) == factor
    for rows in (factor, 3 * factor):
        parts = [head.some_rows(scores, size, top, min(top + rows, size[0])) for top in range(0, size[0], rows)]
        assert torch.equal(torch.cat(parts, 2), whole)


def test_when_rows_cannot_be_had_alone():
    scores = torch.randn(1, 3, 10, 20)
    for size in [(81, 160), (30, 160), (80, 100)]:  # no whole factor; no power of two; small
        assert ResizeHead().row_step(scores, size) is None
    assert ScoreHead(3, 2, align_corners=True).row_step(scores, (80, 160)) is None
    head = UpscoreHead(FeatureSpec("score", 3, 8, 3.5), "up")
    assert head.row_step(scores, (80, 160)) == 1
    assert head.row_step(scores, (90, 160)) is None  # the last rows are repeated ones


@pytest.mark.parametrize("rows", [1, 7, 16, 50])
@pytest.mark.parametrize("offset", [3.5, 0.0, -20.5])
def test_rows_of_convolved_scores(rows, offset):
    torch.manual_seed(0)
    head = UpscoreHead(FeatureSpec("score", 3, 8, offset), "up", learnable=True)
    torch.nn.init.normal_(head.up.weight)
    scores = torch.randn(2, 3, 14, 10)
    with torch.no_grad():
        for size in [(80, 60), (77, 71)]:
            assert head.row_step(scores, size) == 1
            whole = head(scores, size)
            parts = [head.some_rows(scores, size, top, min(top + rows, size[0])) for top in range(0, size[0], rows)]
            assert torch.allclose(torch.cat(parts, 2), whole, rtol=1e-5, atol=1e-5)


MODELS = [
    ("fcn32s@resnet18", {}, UpscoreHead),
    ("fcn@resnet18", {}, ScoreHead),
    ("deeplabv3plus@resnet18", {}, ScoreHead),
    ("pspnet@resnet18", {}, ScoreHead),
]


@pytest.mark.parametrize("size", [(160, 192), (97, 151)])
@pytest.mark.parametrize(("name", "options", "kind"), MODELS, ids=lambda value: str(value)[:12])
def test_labels_of_a_model(name, options, kind, size):
    torch.manual_seed(0)
    model = zoo.create_model(name, num_classes=21, **options)
    with torch.no_grad():  # fresh score layers answer with zeros
        for parameter in (*model.decoder.parameters(), *model.head.parameters()):
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    assert isinstance(model.head, kind)
    picture = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with answering(model):
        expected = logits(model, picture).argmax(1)
        labels, broken = class_map(model, picture, held=21 * size[1] * 40)
        plain, _ = class_map(model, picture)
    assert len(expected.unique()) >= 3
    assert torch.equal(labels, expected)
    assert torch.equal(plain, expected)
    assert not broken


def test_only_so_many_logits_are_held(monkeypatch):
    """The most elements that any stretch of logits has."""
    largest = []
    original = ResizeHead.some_rows

    def spy(self, *args):
        rows = original(self, *args)
        largest.append(rows.numel())
        return rows

    monkeypatch.setattr(ScoreHead, "some_rows", spy)
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=5)
    with answering(model):
        class_map(model, torch.rand(1, 3, 256, 256), held=5 * 256 * 16)
    assert max(largest) <= 5 * 256 * 16
    assert len(largest) == 16


@pytest.mark.parametrize("size", [(64, 160), (61, 151)])
def test_nan_is_seen(size):
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=21)
    torch.nn.init.constant_(model.head.score.bias[20:], float("nan"))
    with answering(model):
        _, broken = class_map(model, torch.rand(1, 3, *size), held=1)
    assert broken


def test_a_model_with_hooks_is_called_as_a_whole():
    model = zoo.create_model("deeplabv3plus@resnet18", num_classes=5)
    seen = []
    model.register_forward_pre_hook(lambda module, args: seen.append(1))
    with answering(model):
        class_map(model, torch.rand(1, 3, 64, 160), held=1)
    assert seen == [1]


def test_heads_say_what_they_lack():
    for call in (lambda: PixelHead().scores(torch.zeros(1)), lambda: PixelHead().to_pixels(torch.zeros(1), (1, 1))):
        with pytest.raises(TypeError, match="PixelHead does not define"):
            call()
