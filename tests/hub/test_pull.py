"""Weights of other libraries, from the server to the answer; and what the cache keeps, checks and forgets."""

import hashlib
import json
import subprocess
import sys
import warnings

import hub_world
import loopback
import pytest
import torch
from click.testing import CliRunner

import zoo
from zoo.cli import cli
from zoo.errors import ZooError
from zoo.hub.fetching.cache import cache_folder
from zoo.hub.garbage import collect
from zoo.hub.hubs import find_record, of_plugins
from zoo.hub.pull import converted_folder, here, pull
from zoo.hub.verify import verify

torchvision = pytest.importorskip("torchvision")
NAME = "lraspp_mobilenet_v3_large.coco_voc"
FILE = "lraspp_mobilenet_v3_large-d234d4ea.pth"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """torchvision's net with random weights, and the file as torchvision publishes it."""
    torch.manual_seed(0)
    net = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21)
    path = tmp_path_factory.mktemp("foreign") / FILE
    torch.save(net.state_dict(), path)
    return net.eval(), path


@pytest.fixture
def published(foreign, web, tmp_path, monkeypatch):
    """The file under its published name on a server; the record is that of our plugin but for host and digest."""
    _, path = foreign
    content = path.read_bytes()
    web.misbehave(loopback.serve(content), path=FILE, always=True)
    record = next(record for record in of_plugins() if record.name == NAME).to_json()
    (source,) = record["sources"]
    assert source["name"] == FILE
    assert source["urls"][0] == f"https://download.pytorch.org/models/{FILE}"
    source = {**source, "urls": [web.url(FILE)], "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    hub = tmp_path / "hub"
    hub.mkdir()
    hub_world.write(hub, [{**record, "sources": [source]}])
    monkeypatch.setenv("ZOO_HUB", str(hub))
    return hub


def _fetched(web):
    return [seen.path for seen in web.seen].count(f"/{FILE}")


@pytest.mark.parametrize("way", ["load", "create", "hubconf", "command"])
def test_published_weights_answer_as_the_foreign_model(published, foreign, way, root, tmp_path):
    net, _ = foreign
    x = torch.rand(1, 3, 65, 97)
    if way == "load":
        model = zoo.load(NAME)
    elif way == "create":
        model = zoo.create_model("lraspp_mobilenet_v3_large", weights="default")
    elif way == "command":
        result = CliRunner().invoke(cli, ["hub", "pull", NAME, "--json"])
        assert result.exit_code == 0, result.output
        model = zoo.load(json.loads(result.stdout)[NAME])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.hub.load(str(root), "lraspp_mobilenet_v3_large", source="local", pretrained=True)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(x)["out"], net(x)["out"], rtol=1e-5, atol=1e-5)
    assert model.config.classes[15] == "person"
    assert model.config.input.mean == (0.485, 0.456, 0.406)


def test_it_is_fetched_and_converted_once_and_pinned(published, foreign, web, monkeypatch, caplog):
    first = pull(find_record(NAME))
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    pin = json.loads((first.parent / "pins.json").read_text())
    assert pin["sha256"] == digest
    assert pin["from"]["sha256"] == hashlib.sha256(foreign[1].read_bytes()).hexdigest()
    before = first.stat().st_mtime_ns
    assert pull(find_record(NAME)) == first
    assert first.stat().st_mtime_ns == before
    assert _fetched(web) == 1
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert pull(find_record(NAME)) == first
    damaged = bytearray(first.read_bytes())
    damaged[-100] ^= 4
    first.write_bytes(damaged)
    assert here(find_record(NAME)) is None
    again = pull(find_record(NAME))  # from the file that was fetched
    assert hashlib.sha256(again.read_bytes()).hexdigest() == digest
    assert "it is made again" in caplog.text
    assert _fetched(web) == 1


def test_mirrors_and_formats_are_tried_in_turn(published, foreign, web):
    (record,) = hub_world.records(published)
    (source,) = record["sources"]
    gone = {**source, "urls": [web.url("gone"), web.url("gone2")]}
    other = {**source, "from": "torchvision", "name": "broken.pth", "urls": [web.url("broken.pth")]}
    junk = b"PK\x03\x04 not a checkpoint" * 100
    other |= {"bytes": len(junk), "sha256": hashlib.sha256(junk).hexdigest()}
    web.misbehave(loopback.error(404), path="gone", always=True)
    web.misbehave(loopback.error(404), path="gone2", always=True)
    web.misbehave(loopback.serve(junk), path="broken.pth", always=True)
    hub_world.write(published, [{**record, "sources": [gone, other, source]}])
    assert pull(find_record(NAME)).is_file()
    hub_world.write(published, [{**record, "name": f"{record['model']}.x", "sources": [gone, other]}])
    with pytest.raises(ZooError, match=r"cannot be had: .*404.*404.*broken\.pth"):
        pull(find_record(f"{record['model']}.x"))
    assert not list(converted_folder().glob("*.x/*.safetensors"))


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(published, web, tmp_path):
    marker = tmp_path / "it ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path = tmp_path / FILE
    torch.save({"state_dict": Evil()}, path)
    content = path.read_bytes()
    web.misbehave(loopback.serve(content), path=FILE, always=True)
    (record,) = hub_world.records(published)
    (source,) = record["sources"]
    source = {**source, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    hub_world.write(published, [{**record, "sources": [source]}])
    with pytest.raises(ZooError, match="cannot be had"):
        pull(find_record(NAME))
    assert not marker.exists()
    assert not list(converted_folder().rglob("*.safetensors"))


def test_two_processes_fetch_and_convert_once(published, web, root):
    code = f"from zoo.hub.hubs import find_record; from zoo.hub.pull import pull; print(pull(find_record({NAME!r})))"
    import os

    environment = {**os.environ, "PYTHONPATH": str(root)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, cwd="/")
        for _ in range(2)
    ]
    paths = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(paths) == 1
    assert _fetched(web) == 1


def test_verify_replays_what_is_here(published, tmp_path):
    name = hub_world.add(published, hub_world.model())
    runner = CliRunner()
    result = runner.invoke(cli, ["hub", "verify"])
    assert result.exit_code == 0, result.output
    assert "golden pair replayed" in result.output
    assert "1 right, 0 wrong" in result.output
    assert verify(find_record(NAME)).status == "not here"
    assert verify(find_record(NAME), fetch=True).status == "ok"
    golden = published / name / "golden.safetensors"
    entry = hub_world.entry_of(golden, published)
    other = hub_world.model(5)
    hub_world.write_golden(other, golden)
    records = hub_world.records(published)
    records[1]["golden"]["file"] = hub_world.entry_of(golden, published)
    assert entry != records[1]["golden"]["file"]
    hub_world.write(published, records)
    result = runner.invoke(cli, ["hub", "verify", "--json"])
    assert result.exit_code == 1
    (wrong,) = [outcome for outcome in json.loads(result.stdout) if outcome["status"] == "wrong"]
    assert wrong["name"] == name
    (published / name / f"{name}.safetensors").unlink()
    for arguments in (["--hub", str(published)], [str(published)]):
        result = runner.invoke(cli, ["hub", "verify", *arguments])
        assert result.exit_code == 1
        assert "1 wrong" in result.output


def test_gc_removes_what_nobody_needs_and_nothing_else(published, foreign, web, tmp_path, monkeypatch):
    away = tmp_path / "away"
    away.mkdir()
    hub_world.add(away, hub_world.model())
    address = hub_world.serve(web, away)
    monkeypatch.setenv("ZOO_HUB", f"{published},{address}")
    converted, kept = pull(find_record(NAME)), pull(find_record("unet_l4.camvid"))
    source = cache_folder() / "sources" / NAME / FILE
    assert source.is_file()
    assert collect(remove=False).keys() == {source}
    assert source.is_file()
    web.misbehave(loopback.error(500), path="hub/index.json", always=True)
    runner = CliRunner()
    result = runner.invoke(cli, ["hub", "gc"])
    assert result.exit_code == 0, result.output
    assert not source.exists()
    assert converted.is_file()
    assert kept.is_file()
    monkeypatch.setenv("ZOO_HUB", str(published))
    assert collect().keys() == {kept}
    assert not kept.exists()
    result = runner.invoke(cli, ["hub", "gc", "--all", "--json"])
    assert converted.name in result.stdout
    assert not list(cache_folder().rglob("*.safetensors"))
    assert collect() == {}


def test_a_cache_that_cannot_be_written_is_named(published, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(ZooError, match="ZOO_CACHE"):
        pull(find_record(NAME))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "nothing.voc"], "zoo hub list"),
        (["pull", "lraspp_mobilenet_v3_large.voc"], "it has coco_voc"),
        (["info", "fcn8s_vgg16.vok"], "it has"),
        (["lst"], "Did you mean 'list'"),
        (["list", "--hub", "/nowhere"], "cannot be read"),
        (["verify", "x"], "no default weights of 'x'"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    result = CliRunner().invoke(cli, ["hub", *arguments])
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output


def test_list_and_info(published):
    hub_world.add(published, hub_world.model())
    runner = CliRunner()
    listed = runner.invoke(cli, ["hub", "list", "unet*"])
    assert listed.exit_code == 0
    assert "unet_l4.camvid" in listed.output
    assert "50.0 % mIoU" in listed.output
    assert runner.invoke(cli, ["hub", "list", str(published)]).output.count("\n") == 2
    records = json.loads(runner.invoke(cli, ["hub", "list", "--json"]).stdout)
    assert {"fcn8s_vgg16.voc", "unet_l4.camvid", NAME} <= {record["name"] for record in records}
    shown = json.loads(runner.invoke(cli, ["hub", "info", "unet_l4.camvid", "--json"]).stdout)
    assert shown["here"].endswith("unet_l4.camvid.safetensors")
    assert shown["licence"]["weights"] == "CC0-1.0"
    text = runner.invoke(cli, ["hub", "info", "fcn8s_vgg16.voc"])
    assert text.exit_code == 0, text.output
    assert "c03b2953ebd846c270da1a8e8f200c09" in text.output


def test_published_weights_of_an_encoder_by_tag(web, tmp_path, monkeypatch):
    """`encoder_weights` takes a tag; "imagenet" of an encoder of ours is torchvision's."""
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v3_large(weights=None)
    record = next(record for record in of_plugins() if record.name == "mobilenet_v3_large.torchvision").to_json()
    (source,) = record["sources"]
    path = tmp_path / source["name"]
    torch.save(net.state_dict(), path)
    content = path.read_bytes()
    web.misbehave(loopback.serve(content), path=source["name"], always=True)
    source = {**source, "urls": [web.url(source["name"])], "sha256": hashlib.sha256(content).hexdigest()}
    hub = tmp_path / "hub"
    hub.mkdir()
    hub_world.write(hub, [{**record, "sources": [source]}])
    monkeypatch.setenv("ZOO_HUB", str(hub))
    expected = net.features[0][0].weight
    for asked in ("imagenet", "torchvision", "mobilenet_v3_large.torchvision"):
        model = zoo.create_model("lraspp_mobilenet_v3_large", encoder_weights=asked)
        assert torch.equal(model.encoder.model[0][0].weight, expected)
    assert [seen.path for seen in web.seen].count(f"/{source['name']}") == 1
    grey = zoo.create_model("lraspp_mobilenet_v3_large", encoder_weights="torchvision", in_channels=1)
    torch.testing.assert_close(grey.encoder.model[0][0].weight, expected.sum(1, keepdim=True))
    with pytest.raises(ZooError, match="expected None, 'imagenet' or the path"):
        zoo.create_model("lraspp_mobilenet_v3_large", encoder_weights="torchvison")
