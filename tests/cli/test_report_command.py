import pytest
import torch
from click.testing import CliRunner
from training_world import install, recipe

from zoo.cli import cli
from zoo.registry import forget, registering_as
from zoo.training.loop import train


@pytest.fixture
def trained(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with registering_as("world"):
        install()
    yield train(recipe("run.steps=2"), tmp_path / "run").out
    forget("world")
    torch.set_num_threads(threads)


def run(*args):
    result = CliRunner().invoke(cli, ["report", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_again_and_elsewhere(trained, tmp_path):
    (trained / "report.html").unlink()
    assert run(trained).stdout == f"{trained / 'report.html'}\n"
    assert (trained / "report.html").read_text().count("<img") == 12
    out = tmp_path / "other.html"
    assert run(trained, "--out", out, "--pictures", 0, "--data", "colored").stdout == f"{out}\n"
    assert "<img" not in out.read_text()


def test_errors_are_one_line(trained, tmp_path):
    for args, words in (
        ([tmp_path], "is no run folder"),
        ([trained, "--data", "colord"], "colored"),
        ([trained, "--out", tmp_path / "no" / "report.html"], "cannot write the report"),
    ):
        result = run(*args)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert words in result.stderr
