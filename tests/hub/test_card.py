import re

import pytest
import yaml
from huggingface_hub import ModelCard
from page_reader import Page
from published_world import CLASSES, PALETTE

from zoo.config import ModelConfig
from zoo.hub.publishing import facts
from zoo.hub.publishing.card import card, licence_id, toml
from zoo.hub.publishing.overview import overview, readme
from zoo.hub.publishing.page import record_page
from zoo.hub.publishing.plot import Point, plot
from zoo.hub.record import Record

NASTY = '</style><script>alert("x")</script> | `code` *a* "q" \x07\u2028 🦒 --- {b}'


def record(name="net@enc.toys", **changes):
    config = ModelConfig("net@enc", "net", "enc", 3, classes=CLASSES, palette=PALETTE)
    iou = dict(zip(CLASSES, (0.9, 0.125, None), strict=True))
    table = {
        "summary": "A net",
        "model": config.to_json(),
        "data": {"name": "toys", "split": "train"},
        "metrics": {"miou": 0.5125, "pixel_acc": 0.75, "data": "toys", "split": "val", "protocol": "once", "iou": iou},
        "licence": {"weights": "MIT", "data": "CC BY-NC 4.0"},
        "recipe": {"optim": {"name": "sgd", "lr": 0.1, "betas": [0.9, 0.99], "values": {"0": 1}}},
        "files": [{"name": "net@enc.toys/x.safetensors", "bytes": 1234567, "sha256": "a" * 64}],
        "golden": {"file": {"name": "net@enc.toys/g.safetensors", "bytes": 1, "sha256": "b" * 64}, "tolerance": 1e-3},
        "parameters": 12_300_000,
        "samples": "net@enc.toys/samples.jpg",
        "page": "net@enc.toys/index.html",
        **changes,
    }
    return Record(name, table, "/hub", "/hub")


def front_matter(text):
    start, matter, _ = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(matter)


def test_the_metadata_are_what_hugging_face_reads():
    data = ModelCard(card(record())).data

    assert data.license == "mit"
    assert data.library_name == "zoo"
    assert data.pipeline_tag == "image-segmentation"
    assert data.datasets == ["toys"]
    assert data.model_name == "net@enc.toys"
    found = {result.metric_type: result for result in data.eval_results}
    assert found["mean_iou"].metric_value == 51.25
    assert found["accuracy"].metric_value == 75.0
    assert {result.dataset_split for result in found.values()} == {"val"}
    assert {result.task_type for result in found.values()} == {"image-segmentation"}


def test_metadata_of_any_text():
    table = {
        "licence": {"weights": NASTY, "data": "x"},
        "data": {"name": NASTY},
        "metrics": {"miou": 0.5, "data": NASTY},
    }

    matter = front_matter(card(record(**table)))

    assert matter["license"] == "other"
    assert re.fullmatch(r"[a-z0-9.-]+", matter["license_name"])
    assert matter["model-index"][0]["results"][0]["dataset"]["name"] == NASTY


def test_no_numbers_no_model_index():
    text = card(record(metrics={}))

    assert "model-index" not in front_matter(text)
    assert "None were measured." in text


@pytest.mark.parametrize(
    ("licence", "identifier"),
    [
        ("MIT", "mit"),
        ("CC BY-NC 4.0", "cc-by-nc-4.0"),
        ("CC0", "cc0-1.0"),
        ("Apache 2.0", "apache-2.0"),
        ("BSD-3-Clause", "bsd-3-clause"),
        ("PASCAL VOC terms", "other"),
    ],
)
def test_licences(licence, identifier):
    assert licence_id(licence) == identifier


def test_every_section_is_there():
    text = card(record())

    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections == [
        "What it is", "Numbers", "Every class", "How to use it", "Input", "Training", "Licences", "Limits", "Files",
    ]  # fmt: skip
    assert "| 51.2 | 75.0 |" in text
    assert "non-commercial" in text
    assert "Weak classes, with an IoU below 30.0 %" in text
    assert "(0.485, 0.456, 0.406)" in text
    assert "zoo predict net@enc.toys photo.jpg" in text


def test_markdown_of_any_text():
    text = card(record(summary=NASTY, recipe={"a": {"b": "```\n# not a heading"}}))

    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 4) for row in rows)
    assert text.count("```") % 2 == 0
    assert "\n# not" not in text


def test_a_recipe_is_written_as_a_recipe():
    import tomllib

    recipe = {"optim": {"lr": 0.1, "betas": [0.9, 0.99], "nothing": None, "empty": {}}, "data": {"values": {"255": 1}}}

    expected = {"optim": {"lr": 0.1, "betas": [0.9, 0.99], "empty": {}}, "data": {"values": {"255": 1}}}
    assert tomllib.loads(toml(recipe)) == expected
    assert toml({"steps": 5}) == '{\n "steps": 5\n}\n'


def test_torch_hub_is_named_where_it_has_a_function():
    found = dict(facts.commands(record("fcn8s_vgg16.voc")))

    assert 'torch.hub.load("OWNER/zoo", "fcn8s_vgg16", pretrained="voc")' in found["torch.hub"]
    assert "torch.hub" not in dict(facts.commands(record()))


def test_a_plugin_is_named():
    assert "`pip install zoo-acme`" in card(record(needs=["zoo-acme"]))
    assert "pip install zoo-acme" in Page(record_page(record(needs=["zoo-acme"]))).text
    assert "pip install" not in card(record(needs=["x; rm -rf /"]))


def test_pages_of_any_text():
    nasty = record(
        summary=NASTY,
        licence={"weights": NASTY, "data": NASTY},
        metrics={"miou": 0.5, "data": NASTY, "split": NASTY, "protocol": NASTY, "iou": dict.fromkeys(CLASSES, 2.5)},
        data={"name": NASTY},
        recipe={NASTY: {NASTY: NASTY}},
        environment={NASTY: NASTY},
        picture='x" onerror="alert(1)',
        page="javascript:alert(1)",
    )

    for text in (record_page(nasty), overview([nasty], 'http://x/"><script>')):
        page = Page(text)
        assert "script" not in {tag for tag, _ in page.tags}
        assert "<style" in text
        assert text.count("</style>") == 1
        for _, attributes in page.tags:
            assert not [key for key in attributes if key.startswith("on")]
            assert not str(attributes.get("href", "")).startswith("javascript")
        assert 'alert("x")' in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {}},
        {"model": {"name": "net@enc"}},
        {"metrics": {"miou": "high", "iou": {"x": "y"}, "pixel_acc": True}},
        {"licence": "MIT"},
        {"parameters": "many"},
        {"files": []},
        {"picture": "../../etc/passwd", "page": 5},
        {"metrics": {"iou": [1, 2]}},
        {"storage": {"dtype": "float16"}},
        {"needs": "zoo"},
    ],
)
def test_the_overview_bears_with_records_of_others(changes):
    page = Page(overview([record(**changes)]))

    assert "net@enc.toys" in page.text
    assert all(".." not in image["src"] for image in page.named("img"))


def test_the_overview_lists_defaults_first():
    page = Page(overview([record("a.x"), record("b.x"), record("c.x", default=True)]))

    assert [page.text.index(name) for name in ("c.x", "a.x", "b.x")] == sorted(
        page.text.index(name) for name in ("a.x", "b.x", "c.x")
    )


def test_an_overview_of_nothing():
    assert "0 records" in Page(overview([])).text


def test_no_page_asks_for_anything_from_elsewhere():
    for text in (record_page(record()), overview([record()], "hf://org/repo")):
        assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
        assert "@import" not in text
        assert "url(" not in text
        assert "prefers-color-scheme: dark" in text


def test_the_readme_of_a_repository():
    text = readme([record(), record("net@enc.other", metrics={})], "hf://org/repo")

    matter = front_matter(text)
    assert matter["license"] == "mit"
    assert [entry["name"] for entry in matter["model-index"]] == ["net@enc.toys"]
    assert "[net@enc.toys](net%40enc.toys/README.md)" in text
    ModelCard(text)
    assert front_matter(readme([record(), record("a.b", licence={"weights": "CC0"})], "x"))["license"] == "other"


def test_classes_and_bars():
    page = Page(record_page(record()))

    widths = [attributes["style"] for attributes in page.named("div") if "width" in (attributes.get("style") or "")]
    assert widths == ["width: 90.0%", "width: 12.5%", "width: 0.0%"]
    assert "–" in page.text  # the class without a value
    assert "rgb(200, 30, 30)" in str(page.tags)


def test_plots():
    assert plot([]) == ""
    assert plot([Point(0, 1.0), Point(0, 2.0), Point(0, 3.0)]) == ""
    points = [Point(step, 5.0 / step, None) for step in range(1, 5000)] + [Point(5000, None, 0.7)]
    page = Page(plot(points))
    assert len(page.named("polyline")[0]["points"].split()) <= 400
    assert len(page.named("circle")) == 1
    assert "5,000 steps" in page.text


def test_sizes_in_words():
    assert [facts.size(count) for count in (None, 12, 1500, 44_938_724)] == [
        "unknown size",
        "12 bytes",
        "1 KiB",
        "42.9 MiB",
    ]
    assert [facts.amount(count) for count in (None, 12, 34_000, 11_200_000)] == ["", "12", "34 k", "11.2 M"]
