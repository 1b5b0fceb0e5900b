"""Recipes in stages: what each of them does, and that they run, stop and resume as one."""

import itertools
import os
import signal
import tomllib

import pytest
import torch
from training_world import recipe as single

import zoo
from zoo.errors import OptionError, RunError, UnknownNameError
from zoo.training import recipe as recipes
from zoo.training import stages, toml
from zoo.training.interrupt import Interrupted
from zoo.training.log import read_log
from zoo.training.loop import train
from zoo.training.shelf import find_recipe
from zoo.training.staged import train_stages

pytestmark = pytest.mark.usefixtures("_tiny_world")

COMMON = {
    "model": {"name": "tiny"},
    "data": {"name": "colored", "batch_size": 6, "crop": 16, "workers": 0},
    "optim": {"lr": 0.01},
    "run": {"steps": 4, "eval_every": 2, "log_every": 1, "ema": 0.9, "amp": "none"},
}
STAGED = {
    **COMMON,
    "stage": [
        {"name": "one"},
        {"name": "two", "optim": {"lr": 0.002, "freeze": ["encoder.conv.*"]}, "run": {"epochs": 2}},
        {"name": "three", "start": "best", "model": {"options": {"dropout": 0.0}}},
    ],
}


def weights(path):
    return zoo.load(path).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_stage_overrides_what_holds_for_all():
    one, two, three = stages.resolve(STAGED)
    assert [stage.name for stage in (one, two, three)] == ["one", "two", "three"]
    assert (one.recipe.optim.lr, two.recipe.optim.lr) == (0.01, 0.002)
    assert (one.recipe.run.steps, one.recipe.run.epochs) == (4, None)
    assert (two.recipe.run.steps, two.recipe.run.epochs, two.recipe.run.ema) == (None, 2, 0.9)
    assert three.recipe.model.options == {"dropout": 0.0}
    assert [stage.recipe.model.weights for stage in (one, two, three)] == [None, "stage:one/last", "stage:two/best"]


def test_weights_of_the_encoder_are_for_the_first_stage():
    tables = {**STAGED, "model": {"name": "tiny", "weights": "x", "options": {"encoder_weights": "imagenet"}}}
    one, two, _ = stages.resolve(tables)
    assert (one.recipe.model.weights, one.recipe.model.options) == ("x", {"encoder_weights": "imagenet"})
    assert (two.recipe.model.weights, two.recipe.model.options) == ("stage:one/last", {})
    fresh = {**tables, "stage": [{"name": "one"}, {"name": "two", "start": "none"}]}
    assert stages.resolve(fresh)[1].recipe.model == stages.resolve(fresh)[0].recipe.model


def test_a_recipe_without_stages_is_one():
    (only,) = stages.resolve(COMMON)
    assert only == ("", recipes.build(COMMON))


@pytest.mark.parametrize(("change", "says"), [
    ({"stage": []}, r"mine: stages are written as \[\[stage\]\]"),
    ({"stage": {"name": "one"}}, r"stages are written as \[\[stage\]\]"),
    ({"stage": [{}]}, r"stage 1 has the name None"),
    ({"stage": [{"name": "a/b"}]}, r"stage 1 has the name 'a/b'"),
    ({"stage": [{"name": "a"}, {"name": "a"}]}, r"stage 2 has the name 'a'"),
    ({"stage": [{"name": "a", "optm": {}}]}, r"unknown key 'stage\.a\.optm'\. Did you mean 'optim'"),
    ({"stage": [{"name": "a", "start": "frist"}]}, r"stage\.a\.start is 'frist'; expected one of last, best, none"),
    ({"stage": [{"name": "a", "optim": {"lrr": 1}}]}, r"mine, stage a: unknown key 'optim\.lrr'\. Did you mean 'lr'"),
])  # fmt: skip
def test_faults_name_the_stage(change, says):
    with pytest.raises(OptionError, match=says):
        stages.resolve({**COMMON, **change}, "mine")


def test_options_hold_for_all_stages_or_for_one():
    everywhere = recipes.override(STAGED, "run.steps=7")
    assert [stage.recipe.run.steps for stage in stages.resolve(everywhere)] == [7, 7, 7]
    everywhere = recipes.override(recipes.override(STAGED, "optim.lr=0.5"), "model.options.dropout=0.1")
    assert [stage.recipe.optim.lr for stage in stages.resolve(everywhere)] == [0.5, 0.5, 0.5]
    assert [stage.recipe.model.options["dropout"] for stage in stages.resolve(everywhere)] == [0.1, 0.1, 0.1]
    assert stages.resolve(everywhere)[1].recipe.optim.freeze == ("encoder.conv.*",)
    one = recipes.override(STAGED, "stage.two.run.steps=3")
    assert [stage.recipe.run.steps for stage in stages.resolve(one)] == [4, 3, 4]
    assert STAGED["stage"][1]["run"] == {"epochs": 2}
    with pytest.raises(OptionError, match=r"stage\.four\.optim\.lr: this recipe has the stages one, two, three"):
        recipes.override(STAGED, "stage.four.optim.lr=1")
    with pytest.raises(OptionError, match="this recipe has no stages"):
        recipes.override(COMMON, "stage.one.optim.lr=1")


def test_text_and_back():
    assert stages.resolve(tomllib.loads(toml.dump(STAGED))) == stages.resolve(STAGED)


def test_each_stage_starts_where_the_one_before_ended(tmp_path):
    seen = []
    result = train_stages(STAGED, tmp_path / "run", report=seen.append)
    names = [(record["name"], record["number"], record["of"]) for record in seen if record["kind"] == "stage"]
    assert names == [("one", 1, 3), ("two", 2, 3), ("three", 3, 3)]
    assert result.out == tmp_path / "run"
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "run" / "three" / name).read_bytes()
    first, second = (weights(tmp_path / "run" / name / "last.safetensors") for name in ("one", "two"))
    frozen = {name for name in first if name.startswith("encoder.conv") and "running" not in name and "num" not in name}
    assert all(torch.equal(first[name], second[name]) for name in frozen)
    assert not same(first, second)
    # by hand: the same stage as a run of its own
    alone = single(
        "optim.lr=0.002", "optim.freeze=['encoder.conv.*']", "run.epochs=2", "run.ema=0.9", "run.eval_every=2",
        f"model.weights={tmp_path}/run/one/last.safetensors",
    )  # fmt: skip
    train(alone, tmp_path / "alone")
    assert same(second, weights(tmp_path / "alone" / "last.safetensors"))


@pytest.mark.parametrize("stops", [[("one", 1)], [("one", 4), ("two", 3)], [("two", 1), ("three", 1), ("three", 3)]])
def test_a_staged_run_continues_bit_for_bit(tmp_path, stops):
    train_stages(STAGED, tmp_path / "straight")
    for place, (name, step) in enumerate(stops):
        at = []

        def watch(record, name=name, step=step, at=at):
            if record["kind"] == "stage":
                at.append(record["name"])
            if record["kind"] == "step" and (at[-1], record["step"]) == (name, step):
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(Interrupted):
            train_stages(STAGED, tmp_path / "stopped", resume=place > 0, report=watch)
    read = recipes.read(tmp_path / "stopped" / "recipe.toml")
    train_stages(read, tmp_path / "stopped", resume=True)
    for name in ("one", "two", "three", "."):
        for file in ("last.safetensors", "best.safetensors"):
            pair = (weights(tmp_path / run / name / file) for run in ("straight", "stopped"))
            assert same(*pair), (name, file)


def test_a_stage_killed_before_its_first_save_starts_from_the_one_before(tmp_path):
    train_stages(STAGED, tmp_path / "straight")
    at = []

    def kill(record):
        at.append(record.get("name"))
        if record["kind"] == "step" and "two" in at:
            raise MemoryError

    with pytest.raises(MemoryError):
        train_stages(STAGED, tmp_path / "killed", report=kill)
    assert not (tmp_path / "killed" / "two" / "state.pt").exists()
    (tmp_path / "killed").rename(tmp_path / "moved")
    train_stages(STAGED, tmp_path / "moved", resume=True)
    pair = (weights(tmp_path / run / "last.safetensors") for run in ("straight", "moved"))
    assert same(*pair)


def test_finished_stages_are_not_touched_again(tmp_path):
    train_stages(STAGED, tmp_path / "run")
    seen = []
    result = train_stages(STAGED, tmp_path / "run", resume=True, report=seen.append)
    assert [record["name"] for record in seen if record["kind"] == "stage"] == ["three"]
    assert result.images_per_second is None
    assert read_log(tmp_path / "run" / "three" / "metrics.jsonl")[-1]["kind"] == "end"


def test_a_staged_run_is_never_overwritten_nor_changed(tmp_path):
    train_stages(STAGED, tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        train_stages(STAGED, tmp_path / "run")
    with pytest.raises(RunError, match=r"other settings \(stage\.two\.optim\.lr: 0\.002 → 0\.5\)"):
        train_stages(recipes.override(STAGED, "stage.two.optim.lr=0.5"), tmp_path / "run", resume=True)
    fewer = {**STAGED, "stage": STAGED["stage"][:1]}
    with pytest.raises(RunError, match=r"begun with other stages \(one, two, three\)"):
        train_stages(fewer, tmp_path / "run", resume=True)


def test_a_fault_in_the_last_stage_is_found_before_the_first_begins(tmp_path):
    with pytest.raises(UnknownNameError, match="tinny"):
        train_stages(recipes.override(STAGED, "stage.three.model.name=tinny"), tmp_path / "deep" / "run")
    with pytest.raises(UnknownNameError, match="coloured"):
        train_stages(recipes.override(STAGED, "data.name=coloured"), tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


@pytest.mark.usefixtures("narrow_vgg")
def test_fcn_from_32s_to_16s_to_8s(tmp_path):
    """The shipped recipe on a narrow VGG, from nothing: scores and trunk go on, what is new is zero."""
    tables = recipes.read(find_recipe("fcn8s_staged"))
    for option in ("data.name=colored", "model.options={}", "run.steps=2", "run.eval_every=2", "data.workers=0"):
        tables = recipes.override(tables, option)
    started = {}

    def watch(record):
        if record["kind"] == "start":
            started[record["model"]] = None

    train_stages(tables, tmp_path / "run", report=watch)
    assert list(started) == ["fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16"]
    first, second, third = (weights(tmp_path / "run" / name / "last.safetensors") for name in ("32s", "16s", "8s"))
    # at rates of 1e-12 and less two steps move nothing that shows
    for name in ("encoder.fc6.weight", "decoder.score_fr.weight", "decoder.score_fr.bias"):
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-6)
        torch.testing.assert_close(second[name], third[name], rtol=0, atol=1e-6)
        assert first[name].abs().max() > 0
    assert third["decoder.score_pool3.weight"].abs().max() < 1e-6
    images = torch.rand(1, 3, 40, 50)
    answers = [zoo.load(tmp_path / "run" / name / "last.safetensors")(images)["out"] for name in ("32s", "16s", "8s")]
    for one, other in itertools.pairwise(answers):  # they differ by how they are interpolated
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.99
