"""``zoo train --recipe``: names, files, stages."""

import json

import pytest
from click.testing import CliRunner

import zoo.hub.checkpoint
from zoo.cli.train import command
from zoo.training import prepare, shelf
from zoo.training import recipe as recipes

pytestmark = pytest.mark.usefixtures("_tiny_world")

STAGED = """
[model]
name = "tiny"
[data]
batch_size = 6
crop = 16
workers = 0
[run]
steps = 2
[[stage]]
name = "one"
[[stage]]
name = "two"
optim = { lr = 0.01 }
"""


def train(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=True)


def test_a_recipe_in_stages_is_one_command(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(STAGED)
    done = train("--recipe", file, "--data", "colored", "--out", tmp_path / "run", "-o", "stage.two.run.steps=3")
    assert done.exit_code == 0, done.output
    assert "stage one (1 of 2)" in done.output
    assert "stage two (2 of 2)" in done.output
    assert (tmp_path / "run" / "best.safetensors").is_file()
    steps = [recipes.load(tmp_path / "run" / name / "recipe.toml").run.steps for name in ("one", "two")]
    assert steps == [2, 3]
    again = train("--out", tmp_path / "run", "--resume", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["steps"] == 3


@pytest.mark.parametrize(("arguments", "says"), [
    (["tiny", "--data", "colored"], "leave out MODEL: each stage of this recipe has its own"),
    ([], "--data is missing"),
    (["--data", "colored", "-o", "stage.six.optim.lr=1"], "this recipe has the stages one, two"),
    (["--data", "colored", "-o", "optim.lrr=1"], "stage one: unknown key 'optim.lrr'. Did you mean 'lr'?"),
])  # fmt: skip
def test_faults_of_a_staged_recipe(tmp_path, arguments, says):
    file = tmp_path / "mine.toml"
    file.write_text(STAGED)
    done = train("--recipe", file, "--out", tmp_path / "run", *arguments)
    assert done.exit_code != 0
    assert says in f"{done.output}{done.exception}"
    assert not (tmp_path / "run").exists()


def test_a_shipped_recipe_by_name_with_another_model(tmp_path):
    arguments = ["tiny", "--recipe", "small_data", "--data", "colored", "--out", tmp_path / "run", "--steps", 2]
    done = train(*arguments, "-o", "data.workers=0", "-o", "run.amp=none", "-o", "data.crop=16")
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    used = recipes.load(tmp_path / "run" / "recipe.toml")
    shipped = recipes.read(shelf.find_recipe("small_data"))
    assert (used.model.name, used.optim.clip, used.run.ema) == ("tiny", shipped["optim"]["clip"], shipped["run"]["ema"])


@pytest.mark.parametrize(("fast", "chosen"), [(True, "bf16"), (False, "none")])
def test_precision_is_chosen_for_the_device_and_written_down(tmp_path, monkeypatch, fast, chosen):
    monkeypatch.setattr(prepare, "fast_in_bfloat16", lambda device: fast)
    done = train("tiny", "--data", "colored", "--out", tmp_path / "run", "--steps", 1, "-o", "data.workers=0",
                 "-o", "data.crop=16")  # fmt: skip
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    assert recipes.load(tmp_path / "run" / "recipe.toml").run.amp == chosen
    record = zoo.hub.checkpoint.read_header(tmp_path / "run" / "best.safetensors").record
    assert ("bfloat16" in record["metrics"]["protocol"]) is fast
    again = train("--out", tmp_path / "run", "--resume", "--steps", 2)
    assert again.exit_code == 0, f"{again.output}{again.exception}"


def test_an_unknown_recipe(tmp_path):
    done = train("tiny", "--recipe", "fcn8s_stagd", "--data", "colored", "--out", tmp_path / "run")
    assert "Did you mean 'fcn8s_staged'" in str(done.exception)
