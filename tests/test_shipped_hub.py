"""The weights that are in the repository: they are what their records say, and small enough to be there."""

import importlib.util
import json
import subprocess
import sys
import tomllib

import pytest

import zoo
from zoo.demo.seeing import FIRST, SHOWN
from zoo.hub.hubs import Hub, shipped_folder
from zoo.hub.verify import verify
from zoo.training import recipe, stages
from zoo.training.prepare import check_model

MIB = 2**20


@pytest.fixture(scope="module")
def records(root):
    assert shipped_folder() == root / "hub"
    return Hub(str(root / "hub")).records()


def _bytes(record):
    return sum(file.bytes for file in record.files)


def test_every_record_is_verified(records):
    for record in records:
        assert verify(record) == (record.name, "ok", "digests, loaded, golden pair replayed")


def test_sizes(records, root):
    assert all(_bytes(record) <= 32 * MIB for record in records)
    assert next(_bytes(record) for record in records if record.name == FIRST) <= 12 * MIB
    assert sum(path.stat().st_size for path in (root / "hub").rglob("*") if path.is_file()) <= 96 * MIB


def test_what_they_may_be_used_for_is_said(records):
    for record in records:
        licence = record.table["licence"]
        assert licence["weights"]
        if record.table["data"]["name"] == "camvid":
            assert "NC" in licence["data"]
            assert "NC" in licence["weights"]


def test_numbers_say_how_they_were_measured(records):
    for record in records:
        metrics = record.table["metrics"]
        assert 0.3 < metrics["miou"] < 1
        assert metrics["split"] == "val"
        assert metrics["protocol"]


def test_every_one_has_its_recipe_and_its_log(records, root):
    for record in records:
        plan = stages.resolve(recipe.read(root / "hub" / "recipes" / f"{record.name}.toml"))
        last = [check_model(stage.recipe) for stage in plan][-1]
        assert record.model == plan[-1].recipe.model.name
        assert (last.encoder, last.options) == (record.config["encoder"], record.config["options"])
        log = (root / "hub" / "logs" / record.name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        best = max(entry["miou"] for entry in map(json.loads, log) if entry["kind"] == "eval")
        assert record.table["metrics"]["miou"] == pytest.approx(best, abs=0.001)  # what is stored in half lost nothing


@pytest.mark.parametrize("page", ["README.md", "hub/README.md"])
def test_the_gallery_is_what_its_tool_writes(root, page):
    spec = importlib.util.spec_from_file_location("make_gallery", root / "tools" / "make_gallery.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (root / page).read_text(encoding="utf-8") == tool.written(page), "run tools/make_gallery.py"


def test_the_wheel_carries_the_first(root):
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["hooks"]["custom"]["shipped"] == FIRST
    assert f"/hub/{FIRST}" in build["sdist"]["include"]


def test_the_demo_s_pictures_are_known_to_shipped_weights(records):
    names = {record.name for record in records}
    assert FIRST in names
    assert set(SHOWN.values()) <= names


@pytest.mark.slow
def test_torch_hub_without_a_network(root, tmp_path):
    code = (
        "import torch\n"
        f"model = torch.hub.load({str(root)!r}, 'unet_l4_aspp', source='local', pretrained=True).eval()\n"
        "print(tuple(model(torch.rand(1, 3, 90, 120))['out'].shape), model.config.classes[3])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "ZOO_OFFLINE": "1", "TORCH_HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "(1, 11, 90, 120) Road", done.stderr


def test_a_bare_name_gets_them():
    model = zoo.create_model("unet_l4_aspp", weights="camvid")
    assert (model.config.encoder, len(model.config.classes)) == ("squeezenet1_0", 11)
