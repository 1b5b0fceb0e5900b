import json

import pytest
from click.testing import CliRunner
from published_world import MODEL, numbers, pictures, weights

from zoo.cli.hub.publish import command
from zoo.errors import ZooError

pytestmark = pytest.mark.usefixtures("narrow_vgg")
NAME = f"{MODEL}.toys"


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=True)


def done(*args):
    result = run(*args)
    assert result.exit_code == 0, result.exception
    return result


def test_a_line_that_says_how_to_use_it(tmp_path):
    hub = tmp_path / "my hub"

    result = done(weights(tmp_path), "--to", hub)

    first, second = result.stdout.splitlines()
    assert first.startswith(f"{NAME}: ")
    assert first.endswith(f"KiB, mean IoU 50.0 %, in {hub}")
    assert second == f"ZOO_HUB='{hub}' zoo predict {NAME} photo.jpg --out seen"


def test_the_record_as_json(tmp_path):
    file = weights(tmp_path, licence={})

    result = done(
        *(file, "--to", tmp_path / "hub", "--name", "small", "--default", "--summary", "Little"),
        *("--licence-weights", "MIT", "--licence-data", "CC0", "--half", "--json"),
    )

    record = json.loads(result.stdout)
    assert record == json.loads((tmp_path / "hub" / "index.json").read_text())["records"][0]
    assert record["name"] == f"{MODEL}.small"
    assert record["default"] is True
    assert record["summary"] == "Little"
    assert record["licence"] == {"weights": "MIT", "data": "CC0"}
    assert record["storage"]["dtype"] == "float16"


def test_shards_in_megabytes(tmp_path):
    record = json.loads(done(weights(tmp_path), "--to", tmp_path / "hub", "--shard-size", "1", "--json").stdout)
    assert len(record["files"]) == 1  # the model is smaller than that

    assert run(weights(tmp_path), "--to", tmp_path / "hub", "--shard-size", "0").exit_code == 2


def test_measuring_warns_of_a_loss(tmp_path):
    data = pictures(tmp_path / "toys")
    file = weights(tmp_path, metrics=numbers(0.99))

    result = done(file, "--to", tmp_path / "hub", "--data", data, "--measure")

    assert "Warning: mean IoU is" in result.stderr
    assert "where the file says 99.0" in result.stderr


def test_force(tmp_path):
    file = weights(tmp_path)
    done(file, "--to", tmp_path / "hub")

    result = run(file, "--to", tmp_path / "hub")
    assert isinstance(result.exception, ZooError)
    assert "--force" in str(result.exception)

    done(file, "--to", tmp_path / "hub", "--force")


def test_a_missing_licence(tmp_path):
    result = run(weights(tmp_path, licence={}), "--to", tmp_path / "hub")

    assert result.exit_code == 0
    assert "--licence-weights LICENCE and --licence-data LICENCE" in result.stderr


def test_what_is_no_weight_file(tmp_path):
    (tmp_path / "x.safetensors").write_text("no")

    for source in (tmp_path / "x.safetensors", tmp_path / "absent.safetensors", tmp_path):
        assert isinstance(run(source, "--to", tmp_path / "hub").exception, ZooError)
    assert not (tmp_path / "hub").exists()


def test_through_the_whole_command_line(tmp_path, zoo_command):
    said = zoo_command("hub", "publish", tmp_path, "--to", tmp_path / "hub", code=1)

    assert said.stderr.count("\n") == 1
    assert "there is no best.safetensors in it" in said.stderr
