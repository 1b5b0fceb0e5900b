import tomllib

import pytest

from zoo.errors import OptionError
from zoo.training import recipe as recipes
from zoo.training.recipe import Recipe, build, differences, load, override, parse_value, put, read

BASE = {"model": {"name": "fcn8s"}, "data": {"name": "shapes"}}


def built(*options):
    tables = BASE
    for option in options:
        tables = override(tables, option)
    return build(tables)


def test_everything_but_the_names_has_a_default():
    recipe = build(BASE)
    assert (recipe.run.epochs, recipe.run.steps) == (50, None)
    assert recipe.optim.name == "adamw"
    assert recipe.data.crop == "auto"


def test_text_and_back(tmp_path):
    recipe = built(
        "optim.lr=1e-5", "data.values={0=0,255=1}", "data.crop=[96, 128]", "data.root=a \"quoted\" C:\\path\té",
        "model.options.depth=3", "model.options.inner={a=[1.5, true], b='x'}", "run.steps=7",
    )  # fmt: skip
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load(path) == recipe
    assert tomllib.loads(recipe.to_toml())["optim"]["lr"] == 1e-5
    assert "epochs" not in tomllib.loads(recipe.to_toml())["run"]


@pytest.mark.parametrize(("text", "value"), [
    ("3e-4", 3e-4), ("12", 12), ("true", True), ("[1, 2]", [1, 2]), ("{a = 1}", {"a": 1}), ("'quoted'", "quoted"),
    ("sgd", "sgd"), ("/some/path", "/some/path"), ("a = b", "a = b"), (" spaced ", "spaced"), ("", ""),
    ("1\nother = 2", "1\nother = 2"), ("2024-01-01x", "2024-01-01x"),
])  # fmt: skip
def test_values_are_toml_or_text(text, value):
    assert parse_value(text) == value


def test_overriding_does_not_touch_the_original():
    tables = {"model": {"name": "a", "options": {"x": 1}}}
    changed = override(override(tables, "model.options.x=2"), "optim.lr=3")
    assert tables == {"model": {"name": "a", "options": {"x": 1}}}
    assert changed == {"model": {"name": "a", "options": {"x": 2}}, "optim": {"lr": 3}}
    assert put(tables, "run.steps", 5)["run"] == {"steps": 5}


def test_one_length_replaces_the_other():
    assert built("run.steps=5").run.epochs is None
    assert built("run.steps=5", "run.epochs=2").run.steps is None
    with pytest.raises(OptionError, match="not both"):
        build({**BASE, "run": {"steps": 5, "epochs": 2}})


@pytest.mark.parametrize(("option", "says"), [
    ("optim.lrr=1", r"unknown key 'optim\.lrr'\. Did you mean 'lr'\? optim has: name, lr, "),
    ("optm.lr=1", r"unknown key 'optm'\. Did you mean 'optim'\? a recipe has: model, data"),
    ("data.lr=1", r"unknown key 'data\.lr'\. Did you mean 'optim\.lr'\?"),
    ("lr=1", r"reads table\.key=value.*Did you mean 'optim\.lr'\?"),
    ("optim.lr", r"reads table\.key=value"),
    (".lr=1", r"reads table\.key=value"),
    ("optim.lr=-1", r"optim\.lr: .* greater than 0, got -1"),
    ("optim.lr=nan", r"optim\.lr: .*finite"),
    ("optim.lr=fast", r"optim\.lr: .* got 'fast'"),
    ("optim.name=adams", r"optim\.name: input should be 'adamw', 'sgd', 'adam' or 'rmsprop', got 'adams'"),
    ("optim.lr.x=1", r"optim\.lr: .* number"),
    ("data.crop=0", r"data\.crop: .* greater than or equal to 1"),
    ("data.crop=[1,2,3]", r"data\.crop"),
    ("data.scale=[2, 1]", r"data: scale goes from small to large, got \[2\.0, 1\.0\]$"),
    ("data.batch_size=0", r"data\.batch_size"),
    ("data.values={cat=1}", r"data\.values"),
    ("run.amp=fp8", r"run\.amp: input should be 'none', 'bf16', 'fp16' or 'auto'"),
    ("run.steps=0", r"run\.steps"),
    ("schedule.warmup=1.5", r"schedule: warmup counts whole steps, or is a share of the run below 1"),
    ("schedule.at=[0.5, 10.5]", r"schedule: at counts whole steps"),
    ("schedule.name=step", r"schedule: name = 'step' needs every"),
    ("schedule.name=multistep", r"schedule: name = 'multistep' needs at"),
    ("optim.nesterov=true", r"optim: nesterov goes with name = 'sgd'"),
    ("optim.groups=[{match=['*'], lrr=2}]", r"unknown key 'optim\.groups\.0\.lrr'\. Did you mean 'lr'\? .* has: match"),
    ("loss.terms=[{nam='dice'}]", r"unknown key 'loss\.terms\.0\.nam'\. Did you mean 'name'\?"),
    ("loss.terms=[{name='dise'}]", r"loss\.terms\.0\.name: there is no loss named 'dise'\. Did you mean 'dice'\?"),
    ("loss.class_weights=[1, -1]", r"loss\.class_weights"),
    ("run.ema=1", r"run\.ema: .* less than 1"),
    ("run.metric=mIoU", r"run\.metric: input should be 'miou'"),
])  # fmt: skip
def test_faults_are_named_by_their_path(option, says):
    with pytest.raises(OptionError, match=says):
        built(option)


def test_a_value_is_no_table():
    with pytest.raises(OptionError, match=r"model.name is a value, not a table"):
        override(BASE, "model.name.first=x")


def test_missing_names():
    with pytest.raises(OptionError, match=r"mine: model\.name is missing; data is missing"):
        build({"model": {}}, source="mine")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OptionError, match=r"cannot read the recipe .*none.toml: No such file"):
        read(tmp_path / "none.toml")
    path = tmp_path / "broken.toml"
    path.write_text("[run\nsteps = 1")
    with pytest.raises(OptionError, match=r"broken\.toml is not TOML"):
        read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match=r"is not TOML"):
        read(path)
    path.write_text("[model]\nname = 'x'\n[data]\nname = 'y'\n[run]\nstep = 3\n")
    with pytest.raises(OptionError, match=r"broken\.toml: unknown key 'run\.step'\. Did you mean 'steps'"):
        load(path)


def test_differences_are_named_with_both_values():
    assert differences(built(), built()) == []
    found = differences(built(), built("optim.lr=0.5", "run.steps=3", "data.values={0=1}"))
    assert found == [
        "data.values: {} → { 0 = 1 }", "optim.lr: 0.001 → 0.5", "run.epochs: 50 → not set", "run.steps: not set → 3",
    ]  # fmt: skip


def test_every_key_that_is_free_on_resume_exists():
    assert set(recipes.known_keys()) >= recipes.FREE_ON_RESUME


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Recipe.model_validate(BASE).run.seed = 3


def test_reading_recipes_does_not_import_torch(tmp_path):
    import subprocess
    import sys

    code = "import sys, zoo.training.recipe, zoo.training.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
