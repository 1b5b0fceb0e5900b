import json
import subprocess
import sys
import tomllib

import pytest

from zoo.errors import OptionError, ZooError
from zoo.inference.test_time import TestTime
from zoo.pipeline import Crf, Member, PipelineConfig, Proposals
from zoo.pipeline.files import read_config, write_config

EVERYTHING = PipelineConfig(
    "everything",
    (
        Member("a", "a.safetensors", "0" * 64, test_time=TestTime((0.5, 1), mirror=True), tile=64, overlap=0.25),
        Member("b", "net.voc", frame=(500, 400), test_time=TestTime(output_stride=8)),
        Member("c", "./c.safetensors", proposals=Proposals("file", "b.csv", 1.0, None, 8, 96, "mean", True, True)),
        Member("d", proposals=Proposals()),
    ),
    summary="All there is",
    crf=Crf("deconvnet", 3, 1e-4),
)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_there_and_back(tmp_path, suffix):
    path = write_config(EVERYTHING, tmp_path / f"p.{suffix}")
    assert read_config(path) == EVERYTHING
    text = path.read_text()
    record = tomllib.loads(text) if suffix == "toml" else json.loads(text)
    assert record["model"][1] == {
        "name": "b", "weights": "net.voc", "frame": [500, 400], "test_time": {"output_stride": 8}
    }  # fmt: skip
    assert record["model"][3] == {"name": "d", "proposals": {"source": "windows"}}
    assert record["crf"] == {"preset": "deconvnet", "iterations": 3, "clip": 1e-4}


def test_in_words():
    said = EVERYTHING.describe()
    for part in (
        *("scales 0.5, 1; mirrored too", "tiles of 64 pixels", "output stride 8; framed to 500×400"),
        *("all boxes of b.csv", "at least 8 pixels, warped to 96×96; mean of the scores; scores below 0 taken for 0"),
        *("mean of their probabilities", "dense CRF (parameters: deconvnet, 3 iterations)"),
    ):
        assert part in said


BAD = [
    ({}, "has no model|'name' is missing"),
    ([], "expected a table"),
    ({"pipeline": {"name": "p"}, "model": []}, "has no model"),
    ({"pipeline": {"name": "p"}, "models": [{}]}, "unknown key 'models'. Did you mean 'model'"),
    ({"pipeline": {"name": "p"}, "model": {"name": "a"}}, r"write \[\[model\]\]"),
    ({"pipeline": {"name": "p"}, "model": [{"wieghts": "x"}]}, "unknown key 'wieghts'. Did you mean 'weights'"),
    ({"pipeline": {"name": "p"}, "model": [{"weights": "x"}]}, "'name' is missing"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a"}, {"name": "a"}]}, "different names"),
    ({"pipeline": {"name": "p", "combine": "sum"}, "model": [{"name": "a"}]}, "expected one of mean, product"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "sha256": "12"}]}, "64 letters"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "tile": "big"}]}, "side of a tile"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "frame": 500}]}, "height and width"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "test_time": {"scale": 2}}]}, "Did you mean 'scales'"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {"source": "edgebox"}}]}, "selective_search"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {"source": "file"}}]}, "go together"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {"enlarge": 0.5}}]}, "factor in 1…4"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {"least": 0}}]}, "at least 1"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {"clipped": 1}}]}, "true or false"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {}, "tile": 64}]}, "cannot go with tile"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a", "proposals": {}, "frame": [9, 9]}]}, "cannot go together"),
    ({"pipeline": {"name": "p", "combine": "product"}, "model": [{"name": "a", "tile": 9}]}, "multiplies raw scores"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a"}], "crf": {"iterations": -1}}, "iterations"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a"}], "crf": {"clip": 2}}, "probability"),
    ({"pipeline": {"name": "p"}, "model": [{"name": "a"}], "crf": {"sxy": 2}}, r"\[crf\]: unknown key 'sxy'"),
]


@pytest.mark.parametrize(("record", "said"), BAD)
def test_what_makes_no_sense(tmp_path, record, said):
    with pytest.raises(OptionError, match=said):
        PipelineConfig.from_json(record)
    (tmp_path / "p.json").write_text(json.dumps(record))
    with pytest.raises(ZooError, match=r"p\.json: "):
        read_config(tmp_path / "p.json")


def test_files_that_are_none(tmp_path):
    with pytest.raises(ZooError, match="there is no pipeline file"):
        read_config(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text("[pipeline")
    with pytest.raises(ZooError, match="cannot be read as a pipeline"):
        read_config(tmp_path / "p.toml")
    with pytest.raises(ZooError, match=r"\.toml or \.json"):
        write_config(EVERYTHING, tmp_path / "p.yaml")
    with pytest.raises(ZooError, match="cannot write"):
        write_config(EVERYTHING, tmp_path / "gone" / "p.toml")


def test_descriptions_need_no_torch():
    code = (
        "import sys; from zoo.pipeline.opening import describe; "
        "print(describe('edeconvnet_crf').combine, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["product", "False"]
