import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from training_world import Colored, install

import zoo
from zoo.cli import cli
from zoo.data.images import voc_palette, write_labels
from zoo.registry import forget, registering_as
from zoo.training import recipe as recipes

QUICK = ["--steps", "4", "-o", "data.batch_size=6", "-o", "data.workers=0", "-o", "run.eval_every=2"]


@pytest.fixture(autouse=True)
def _tiny_world():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with registering_as("world"):
        install()
    yield
    forget("world")
    torch.set_num_threads(threads)


def run(*arguments):
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def weights(path):
    return zoo.load(path).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_from_start_to_finish(tmp_path):
    out = tmp_path / "run"
    result = run("tiny", "--data", "colored", "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "world/tiny on colored: 0.0 M parameters (12 frozen), 5 classes, 12 + 3 pictures, 4 steps"
    )
    assert [line.split(":")[0] for line in lines[1:3]] == ["step 2", "step 4"]
    assert f"{out}/best.safetensors" in result.stdout
    assert "images/s, peak memory" in result.stdout
    assert zoo.load(out / "best.safetensors").config.classes == Colored.classes


def test_json(tmp_path):
    result = run("tiny", "--data", "colored", "--out", tmp_path / "run", *QUICK, "--json")
    record = json.loads(result.stdout)
    assert record["steps"] == 4
    assert record["best_miou"] >= record["miou"]
    assert set(record["iou"]) == set(Colored.classes)
    assert record["images_per_second"] > 0
    assert "step 4" in result.stderr


def test_settings_come_from_arguments_options_and_files(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[model]\nname = "tiny"\n[optim]\nlr = 0.5\nname = "sgd"\n[run]\nepochs = 9\n')
    run(
        "--recipe",
        file,
        "--data",
        "colored",
        "--out",
        tmp_path / "run",
        *QUICK,
        "-o",
        "optim.lr=0.25",
        "--device",
        "cpu",
    )
    recipe = recipes.load(tmp_path / "run" / "recipe.toml")
    assert (recipe.model.name, recipe.data.name) == ("tiny", "colored")
    assert (recipe.optim.name, recipe.optim.lr, recipe.run.steps, recipe.run.epochs) == ("sgd", 0.25, 4, None)
    assert recipe.run.device == "cpu"


def test_resuming_needs_the_folder_only(tmp_path):
    run("tiny", "--data", "colored", "--out", tmp_path / "straight", *QUICK, "-o", "schedule.name=constant")
    constant = ["-o", "schedule.name=constant", "-o", "schedule.warmup=0"]
    for name, steps in (("straight", 4), ("longer", 2)):
        out = tmp_path / name / "run"
        run("tiny", "--data", "colored", "--out", out, *QUICK, *constant, "--steps", steps)
    result = run("--out", tmp_path / "longer" / "run", "--resume", "--steps", "4")
    assert result.exit_code == 0, result.output
    assert "resumed after step 2" in result.stdout
    assert same(*(weights(tmp_path / name / "run" / "last.safetensors") for name in ("straight", "longer")))
    again = run("--out", tmp_path / "longer" / "run", "--resume")
    assert "The run is complete; a longer one goes on with --resume" in again.stdout


@pytest.mark.parametrize(("arguments", "says"), [
    (["--data", "colored"], "MODEL is missing"),
    (["tiny"], "--data is missing"),
    (["tiny", "--data", "colored", "--steps", "3", "--epochs", "2"], "give --epochs or --steps, not both"),
    (["tiny", "--data", "colored", "--steps", "0"], "--steps"),
    (["tiny", "--data", "colored", "-o", "optim.rate=1"], "unknown key 'optim.rate'"),
    (["tiny", "--data", "coloured"], "Did you mean"),
    (["fcn8", "--data", "colored"], "Did you mean"),
    (["tiny", "--data", "colored", "--resume"], "nothing to resume in"),
    (["--resume"], "nothing to resume in"),
    (["tiny", "--data", "colored", "--recipe", "none.toml"], "cannot read the recipe none.toml"),
])  # fmt: skip
def test_faults_are_one_line(tmp_path, arguments, says):
    result = run(*arguments, "--out", tmp_path / "run")
    assert result.exit_code in (1, 2)
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run(tmp_path):
    run("tiny", "--data", "colored", "--out", tmp_path / "run", *QUICK)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result = run("tiny", "--data", "colored", "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 1
    assert "already holds a run: continue it with --resume, or give another --out" in result.stderr
    changed = run("tiny", "--data", "colored", "--out", tmp_path / "run", "--resume", "-o", "optim.lr=0.9")
    assert changed.exit_code == 1
    assert "optim.lr: 0.001 → 0.9" in changed.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def folder(root: Path, values=(0, 1, 2)) -> Path:
    """Pictures and masks of (24, 32) in stripes."""
    import numpy as np
    from PIL import Image

    for split, count in (("train", 4), ("val", 2)):
        for part in (split, f"{split}annot"):
            (root / part).mkdir(parents=True)
        for number in range(count):
            labels = np.repeat(np.array(values, dtype=np.uint8), 32 // len(values) + 1)[:32]
            labels = np.tile(labels, (24, 1))
            shade = labels * 60 + number + 10 * len(split)  # no picture is in both splits
            Image.fromarray(np.stack([shade] * 3, -1)).save(root / split / f"{number}.png")
            write_labels(root / f"{split}annot" / f"{number}.png", labels, voc_palette(256))
    return root


def test_a_folder_is_remembered_by_its_full_path(tmp_path, monkeypatch):
    folder(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    quick = ["-o", "data.workers=0", "-o", "data.batch_size=2"]
    assert run("tiny", "--data", "data", "--out", "run", "--steps", "2", *quick).exit_code == 0
    assert recipes.load("run/recipe.toml").data.name == str(tmp_path / "data")
    header = zoo.hub.checkpoint.read_header("run/last.safetensors").record
    assert str(tmp_path) not in json.dumps(header)
    monkeypatch.chdir(tmp_path / "data")
    result = run("--out", "../run", "--resume", "--steps", "3")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path)
    result = run("tiny", "--data", "./data", "--out", "run", "--resume", "--epochs", "2")
    assert result.exit_code == 0, result.output


def test_a_bad_label_is_named_before_any_work(tmp_path):
    data = folder(tmp_path / "data")
    (data / "data.toml").write_text('classes = ["a", "b"]\n')
    result = run("tiny", "--data", data, "--out", tmp_path / "run", "--steps", "2")
    assert result.exit_code == 1
    assert "0.png" in result.stderr
    assert "2" in result.stderr
    assert not (tmp_path / "run").exists()


def test_the_command_starts_light():
    code = "import sys, zoo.cli.train; sys.exit(bool({'torch', 'numpy', 'pydantic', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# a real process and real signals


def start(tmp_path, out, *arguments):
    """``zoo train`` in a process group of its own, as a terminal runs it."""
    tests = Path(__file__).parents[1]
    plugin = tmp_path / "world.py"
    plugin.write_text("from training_world import install\ninstall()\n")
    paths = os.pathsep.join([str(tests), str(tests.parent)])
    command = [sys.executable, "-m", "zoo", "--plugin", str(plugin), "train", "--out", str(out), *arguments]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


LONG = ["tiny", "--data", "colored", "--steps", "4000", "-o", "data.batch_size=6", "-o", "data.workers=2",
        "-o", "run.eval_every=20", "-o", "run.log_every=1"]  # fmt: skip


def wait_for(path, process):
    for _ in range(1200):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path, number):
    process = start(tmp_path, tmp_path / "run", *LONG)
    wait_for(tmp_path / "run" / "best.safetensors", process)
    os.killpg(process.pid, number)  # the whole group, workers included
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    *before, last = errors.splitlines()
    assert before == ["stopping after this step ..."]
    assert last.startswith("Stopped after step ")
    assert last.endswith(f"train --out {tmp_path / 'run'} --resume")
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["progress"]["step"] >= 20
    assert same(state["model"], weights(tmp_path / "run" / "last.safetensors"))


@pytest.mark.slow
def test_a_killed_run_continues_bit_for_bit(tmp_path):
    process = start(tmp_path, tmp_path / "killed", *LONG, "--steps", "60")
    wait_for(tmp_path / "killed" / "state.pt", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for out, arguments in (("killed", ["--resume"]), ("straight", [*LONG, "--steps", "60"])):
        process = start(tmp_path, tmp_path / out, *arguments)
        output = process.communicate(timeout=300)
        assert process.returncode == 0, output
    assert same(*(weights(tmp_path / out / "last.safetensors") for out in ("killed", "straight")))
    assert not list((tmp_path / "killed").glob(".*"))
