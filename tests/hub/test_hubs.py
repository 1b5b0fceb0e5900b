"""Records are found in their order, wherever their hub is, and nothing bad is loaded."""

import json
import logging
import subprocess
import sys
from dataclasses import replace

import hub_world
import loopback
import pytest
import torch

import zoo
from zoo.errors import CheckpointError, ZooError
from zoo.hub.hubs import Hub, all_records, find_record, hubs
from zoo.hub.index import write_index
from zoo.hub.pull import here, pull
from zoo.hub.record import Record, RecordError, split

X = torch.rand(1, 3, 40, 33)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub in a folder, which ZOO_HUB names."""
    folder = tmp_path / "my hub"
    folder.mkdir()
    monkeypatch.setenv("ZOO_HUB", str(folder))
    return folder


@pytest.fixture
def away(web, tmp_path, monkeypatch):
    """The same on a server; returns (folder, address)."""
    folder = tmp_path / "away"
    folder.mkdir()
    hub_world.add(folder, hub_world.model(), default=True)
    address = hub_world.serve(web, folder)
    monkeypatch.setenv("ZOO_HUB", address)
    return folder, address


def _answer(model):
    with torch.inference_mode():
        return model.eval()(X)["out"]


@pytest.mark.parametrize("default", [True, False])
def test_every_way_to_ask_gives_the_published_model(hub, default):
    weights = hub_world.model()
    hub_world.add(hub, weights, default=default)
    expected = _answer(weights)
    for asked in ("unet_l4.camvid", "unet_l4"):
        assert torch.equal(_answer(zoo.load(asked)), expected)
    for tag in ("camvid", "default", "unet_l4.camvid"):
        made = zoo.create_model("unet_l4", weights=tag)
        assert torch.equal(_answer(made), expected)
        assert made.config.classes == ("sky", "road", "tree")


def test_weights_from_a_server_are_kept_and_used_without_a_connection(away, web, monkeypatch):
    first = zoo.load("unet_l4.camvid")
    fetched = [seen.path for seen in web.seen if seen.path.endswith(".safetensors")]
    assert len(fetched) == 1
    again = zoo.load("unet_l4.camvid")
    assert [seen.path for seen in web.seen if seen.path.endswith(".safetensors")] == fetched
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    web.seen.clear()
    offline = zoo.load("unet_l4.camvid")
    assert not web.seen
    expected = _answer(hub_world.model())
    assert all(torch.equal(_answer(model), expected) for model in (first, again, offline))


def test_without_a_connection_and_a_cache_it_says_what_to_fetch_and_where_to_put_it(away, monkeypatch):
    list(all_records())  # the index is known
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(ZooError, match=r"ZOO_OFFLINE forbids.* Fetch http://127.*camvid\.safetensors.*put it there as"):
        zoo.load("unet_l4.camvid")


def test_a_server_that_is_gone_leaves_its_last_index(away, web, caplog):
    zoo.load("unet_l4.camvid")
    web.misbehave(loopback.error(404), path="hub/index.json", always=True)
    assert torch.equal(_answer(zoo.load("unet_l4.camvid")), _answer(hub_world.model()))
    assert "its index of an earlier time is used" in caplog.text


def test_the_first_hub_wins_and_a_broken_one_is_left_out(hub, tmp_path, monkeypatch, caplog):
    second, broken = tmp_path / "second", tmp_path / "broken"
    second.mkdir()
    broken.mkdir()
    hub_world.add(hub, hub_world.model(1))
    hub_world.add(second, hub_world.model(2))
    hub_world.add(second, hub_world.model(3), "other")
    (broken / "index.json").write_text("{")
    monkeypatch.setenv("ZOO_HUB", f"{broken}, {second} ;{tmp_path / 'absent'}")
    assert torch.equal(_answer(zoo.load("unet_l4.camvid")), _answer(hub_world.model(2)))
    assert "broken is damaged" in caplog.text
    assert "absent cannot be read" in caplog.text
    monkeypatch.setenv("ZOO_HUB", str(hub))
    assert torch.equal(_answer(zoo.load("unet_l4.camvid")), _answer(hub_world.model(1)))


def test_unknown_weights_are_named_with_those_there_are(hub):
    hub_world.add(hub, hub_world.model())
    hub_world.add(hub, hub_world.model(), "nuclei")
    with pytest.raises(
        RecordError, match=r"no weights tagged 'camvids'.*it has camvid, nuclei\. Did you mean 'camvid'"
    ):
        zoo.create_model("unet_l4", weights="camvids")
    with pytest.raises(RecordError, match="no default weights of 'unet_l4'; it has camvid, nuclei"):
        zoo.create_model("unet_l4", weights="default")
    with pytest.raises(CheckpointError, match=r"no weight file 'unet_l9\.camvid', and no published weights"):
        zoo.load("unet_l9.camvid")


def test_the_options_of_published_weights_shape_the_net_and_may_be_changed(hub):
    hub_world.add(hub, hub_world.model(), default=True)
    assert zoo.create_model("unet_l4", weights="default").config.options["channels"] == [4, 4, 8, 8]
    other = zoo.create_model("unet_l4", weights="default", num_classes=5, in_channels=1)
    assert (other.config.num_classes, other.config.in_channels) == (5, 1)


@pytest.mark.parametrize("shard_bytes", [3000, 20_000])
def test_shards_are_one_model(hub, shard_bytes):
    weights = hub_world.model()
    hub_world.add(hub, weights, shard_bytes=shard_bytes)
    files = sorted(hub.rglob("unet*-of-*.safetensors"))
    assert len(files) > 1
    assert torch.equal(_answer(zoo.load("unet_l4.camvid")), _answer(weights))
    assert torch.equal(_answer(zoo.load(files[-1])), _answer(weights))
    assert torch.equal(_answer(zoo.create_model("unet_l4", weights="camvid")), _answer(weights))


def test_missing_swapped_and_foreign_shards_are_refused(hub):
    hub_world.add(hub, hub_world.model(), shard_bytes=20_000)
    first, second, *_ = files = sorted(hub.rglob("unet*-of-*.safetensors"))
    kept = {file: file.read_bytes() for file in files}
    second.unlink()
    with pytest.raises(CheckpointError, match=r"00002-of-.* is missing beside it"):
        zoo.load(first)
    second.write_bytes(kept[first])
    first.write_bytes(kept[second])
    with pytest.raises(CheckpointError, match="was it swapped or renamed"):
        zoo.load(first)
    with pytest.raises(ZooError, match="expected"):
        zoo.load("unet_l4.camvid")
    first.write_bytes(kept[first])
    elsewhere = zoo.save(
        hub_world.model(1).requires_grad_(False), hub / "x.safetensors", shard_bytes=20_000, metrics={"a": 1}
    )
    second.write_bytes(elsewhere.with_name(second.name.replace(second.name.partition("-")[0], "x")).read_bytes())
    with pytest.raises(CheckpointError, match="shards of different weights"):
        zoo.load(first)


@pytest.mark.parametrize("where", ["hub", "cache"])
def test_a_flipped_bit_is_found_and_never_loaded(away, web, where, caplog):
    folder, _ = away
    kept = pull(find_record("unet_l4.camvid"))
    if where == "cache":
        damaged = bytearray(kept.read_bytes())
        damaged[-9] ^= 1
        kept.write_bytes(damaged)
        assert here(find_record("unet_l4.camvid")) is None
        assert torch.equal(_answer(zoo.load("unet_l4.camvid")), _answer(hub_world.model()))
        assert "fetching it again" in caplog.text
    else:
        kept.unlink()
        name = "hub/unet_l4.camvid/unet_l4.camvid.safetensors"
        damaged = bytearray((folder / name.removeprefix("hub/")).read_bytes())
        damaged[-9] ^= 1
        web.misbehave(loopback.serve(bytes(damaged)), path=name, always=True)
        with pytest.raises(ZooError, match="has sha256"):
            zoo.load("unet_l4.camvid")
        assert not kept.exists()


def test_a_damaged_file_of_a_folder_is_refused(hub):
    name = hub_world.add(hub, hub_world.model())
    path = hub / name / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ZooError, match=r"sha256|bytes"):
        zoo.load(name)


BAD_NAMES = ["../x.safetensors", "/etc/passwd", "a/../../x", "C:\\x", "a\\b", "//host/x", ".hidden", "a//b", ""]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_file_names_that_lead_out_of_the_hub_are_refused(hub, name):
    hub_world.add(hub, hub_world.model())
    (record,) = hub_world.records(hub)
    record["files"][0]["name"] = name
    hub_world.write(hub, [record])
    with pytest.raises(ZooError, match=r"cannot be used|cannot be fetched|no address|leads? out|trusted"):
        zoo.load("unet_l4.camvid")


@pytest.mark.parametrize(
    "name", ["../a.b", "/a.b", "a/../b.c", "unet_l4", "a.b/c", "", None, 7, "a b.c", "x." + "y" * 200]
)
def test_names_that_no_record_may_have(name, hub):
    with pytest.raises(RecordError, match="no name of a record"):
        Record(name, {})
    hub_world.write(hub, [{"name": name}])
    with pytest.raises(RecordError, match="is damaged"):
        Hub(str(hub)).records()


def test_a_record_that_claims_another_models_name_is_refused(hub):
    name = hub_world.add(hub, hub_world.model())
    (record,) = hub_world.records(hub)
    hub_world.write(hub, [{**record, "name": "unet_l5.camvid"}])
    with pytest.raises(RecordError, match="called after another model than its own, 'unet_l4'"):
        zoo.load("unet_l5.camvid")
    lying = {**record, "model": {**record["model"], "num_classes": 4}}
    hub_world.write(hub, [lying])
    with pytest.raises(CheckpointError, match=f"is not what record '{name}'"):
        zoo.load(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("<html></html>", "damaged"),
        ('{"schema": 1}', "'records' is missing"),
        ('{"schema": 2, "records": []}', "upgrade Zoo"),
        ('{"schema": 0, "records": []}', "publish it again"),
        ('{"schema": 1, "records": {}}', "no list"),
        ('{"schema": 1, "records": [3]}', "no list"),
        ('{"schema": 1, "schema": 1, "records": []}', "stands twice"),
        ('{"schema": 1, "records": [{"name": "a.b"}, {"name": "a.b"}]}', "two records called 'a.b'"),
        ("[" * 100_000, "damaged"),
        ("\udcff", "damaged"),
    ],
)  # fmt: skip
def test_broken_indexes_are_refused(hub, text, message):
    (hub / "index.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RecordError, match=message):
        Hub(str(hub)).records()


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": "x"},
        {"files": [{"name": "a"}]},
        {"files": [{"name": "a", "bytes": 1, "sha256": "00" * 4}]},
        {"files": [{"name": "a", "bytes": -1, "sha256": "00" * 32}]},
        {"files": [{"name": "a", "bytes": True, "sha256": "00" * 32}]},
        {"golden": {"file": {}, "tolerance": 1}},
        {"golden": 3},
        {"licence": "mine"},
        {"model": []},
    ],
)
def test_records_that_make_no_sense_are_refused(hub, change):
    name = hub_world.add(hub, hub_world.model())
    (record,) = hub_world.records(hub)
    hub_world.write(hub, [{**record, **change}])
    with pytest.raises(ZooError, match="cannot be used"):
        pull(find_record(name))


def test_a_plugin_that_is_not_installed_is_named(hub, monkeypatch):
    monkeypatch.setattr("zoo.hub.checkpoint.distributions", lambda config: ["zoo-acme"])
    weights = hub_world.model()
    weights.config = replace(weights.config, name="acme-net", architecture="acme/net")
    hub_world.add(hub, weights)
    with pytest.raises(CheckpointError, match=r"plugin that is not installed.*pip install zoo-acme"):
        zoo.load("acme-net.camvid")


def test_an_index_is_written_whole_and_read_back(hub):
    hub_world.add(hub, hub_world.model())
    hub_world.add(hub, hub_world.model(), "abc")
    before = Hub(str(hub)).records()
    write_index(hub, before)
    after = Hub(str(hub)).records()
    assert [record.name for record in after] == ["unet_l4.abc", "unet_l4.camvid"]
    assert {json.dumps(r.to_json(), sort_keys=True) for r in after} == {
        json.dumps(r.to_json(), sort_keys=True) for r in before
    }
    with pytest.raises(RecordError):
        write_index(hub, [Record("a.b", {})])
    assert Hub(str(hub)).records() == after


def test_hubs_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HUB", "https://example.org/hub, hf://org/repo@v1;/some/where")
    assert [hub.address for hub in hubs()][:3] == ["https://example.org/hub", "hf://org/repo@v1", "/some/where"]
    monkeypatch.setenv("ZOO_HUB", f"{tmp_path}:/other")
    assert [hub.address for hub in hubs()][:2] == [str(tmp_path), "/other"]
    monkeypatch.setenv("ZOO_HUB", "ftp://example.org")
    with pytest.raises(ZooError, match="ftp"):
        hubs()


@pytest.mark.parametrize(("name", "parts"), [("a.b", ("a", "b")), ("a@r50.x1_in1k.voc", ("a@r50.x1_in1k", "voc"))])
def test_a_tag_is_what_stands_after_the_last_dot(name, parts):
    assert split(name) == parts


def test_every_record_of_a_plugin_can_be_used():
    found = list(all_records())
    assert len(found) > 30
    for record in found:
        record.check()
        assert record.sources
        assert record.summary


def test_listing_imports_no_torch(hub, root):
    hub_world.add(hub, hub_world.model())
    code = (
        "import sys; from zoo.hub.hubs import all_records; names = [r.name for r in all_records()];"
        "assert 'unet_l4.camvid' in names; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(root), "ZOO_HUB": str(hub)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd="/")


def test_a_log_line_for_a_broken_hub_is_one_line(hub, caplog):
    (hub / "index.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        list(all_records())
    assert len(caplog.records) == 1
