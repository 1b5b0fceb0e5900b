import csv
import json

import pytest
from click.testing import CliRunner

from zoo.cli.bench import command

SMALL = ["--size", "32x40", "--rounds", "1", "--classes", "3"]


def bench(*arguments: str):
    return CliRunner().invoke(command, [*arguments, *SMALL])


def test_a_table_and_csv() -> None:
    shown = bench("lraspp_mobilenet_v3_large", "--no-memory")
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.output.splitlines()] == ["model", "lraspp_mobilenet_v3_large"]
    rows = list(csv.DictReader(bench("lraspp_mobilenet_v3_large", "--no-memory", "--csv").output.splitlines()))
    assert rows[0]["backend"] == "plain"
    assert float(rows[0]["milliseconds"]) > 0


def test_another_type_needs_a_backend() -> None:
    done = bench("lraspp_mobilenet_v3_large", "--no-memory", "--dtype", "bfloat16", "--json")
    assert [(record["backend"], record["dtype"]) for record in json.loads(done.output)] == [("eager", "bfloat16")]


def test_beside_torchvision_with_memory() -> None:
    done = bench("lraspp_mobilenet_v3_large", "--against", "torchvision", "--backend", "eager", "--json")
    assert done.exit_code == 0, done.output
    theirs, ours = json.loads(done.output)
    assert (theirs["library"], ours["library"]) == ("torchvision", "zoo")
    assert theirs["times_faster"] is None
    assert ours["times_faster"] == pytest.approx(theirs["milliseconds"] / ours["milliseconds"], abs=0.01)
    assert ours["flops"] == theirs["flops"] > 0
    assert min(ours["peak_memory"], theirs["peak_memory"]) > 50 * 2**20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["unet_l4", "--against", "torchvision", "--no-memory"], "torchvision has no 'unet_l4'"),
        (["unet_l4", "--against", "smp", "--no-memory"], "smp/ARCHITECTURE@smp/ENCODER"),
        (["unet_l44", "--no-memory"], "unet_l4"),
        (["unet_l4", "--json", "--csv"], "give one of them"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments: list[str], said: str) -> None:
    done = bench(*arguments)
    assert done.exit_code == 1
    assert said in str(done.exception)
