import contextlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from page_reader import Page
from published_world import CLASSES, LICENCE, MODEL, numbers, pictures, weights
from safetensors.torch import load_file

import zoo
from zoo.errors import ZooError
from zoo.hub import golden
from zoo.hub.fetching.lock import locked
from zoo.hub.header import read_header
from zoo.hub.hubs import Hub
from zoo.hub.publishing.publish import publish
from zoo.hub.record import RecordError
from zoo.hub.verify import verify

pytestmark = pytest.mark.usefixtures("narrow_vgg")
NAME = f"{MODEL}.toys"


@pytest.fixture
def file(tmp_path):
    return weights(tmp_path)


@pytest.fixture
def hub(tmp_path):
    return tmp_path / "hub"


def names(folder):
    """All files of a hub, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def check(folder, *expected):
    """The hub is whole: every record is verified, and there is nothing that no record needs."""
    records = Hub(str(folder)).records()
    assert [record.name for record in records] == sorted(expected)
    for record in records:
        assert verify(record) == (record.name, "ok", "digests, loaded, golden pair replayed")
    for path in folder.rglob("*.html"):
        Page(path.read_text())


def test_a_file_becomes_a_record(file, hub, monkeypatch):
    record = publish(file, hub, summary="Toys", default=True)

    check(hub, NAME)
    assert names(hub) == sorted(
        [
            *(f"{NAME}/{file}" for file in (f"{NAME}.safetensors", "golden.safetensors", "README.md", "index.html")),
            "index.html",
            "index.json",
        ]
    )
    assert record.to_json() == Hub(str(hub)).records()[0].to_json()
    assert record.default
    assert record.summary == "Toys"
    assert record.table["licence"] == LICENCE
    assert record.table["metrics"]["miou"] == 0.5
    assert record.table["metrics"]["data"] == "toys"
    assert "confusion matrix" in record.table["metrics"]["protocol"]
    monkeypatch.setenv("ZOO_HUB", str(hub))
    x = torch.rand(1, 3, 32, 40)
    expected = zoo.load(file)(x)["out"]
    assert torch.equal(zoo.load(NAME)(x)["out"], expected)
    assert torch.equal(zoo.create_model(MODEL, weights="toys", num_classes=3).eval()(x)["out"], expected)


def test_what_the_record_says_is_in_the_file_too(file, hub):
    record = publish(file, hub, licence={"weights": "CC BY 4.0"})

    header = read_header(hub / record.files[0].name)
    assert header.record["licence"] == {"weights": "CC BY 4.0", "data": "CC0"} == record.table["licence"]
    assert header.record["metrics"] == record.table["metrics"]
    assert header.config.to_json() == record.config


def test_nothing_of_the_publisher_s_disk_is_told(file, hub, tmp_path):
    publish(file, hub, data=pictures(tmp_path / "toys"))

    for path in hub.rglob("*"):
        if path.is_file():
            assert b"/home/me" not in path.read_bytes()
            assert str(tmp_path).encode() not in path.read_bytes()


def test_the_same_file_gives_the_same_bytes(file, tmp_path):
    for folder in ("one", "two"):
        publish(file, tmp_path / folder)

    assert names(tmp_path / "one") == names(tmp_path / "two")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_run_folder(tmp_path, hub):
    run = tmp_path / "run"
    run.mkdir()
    weights(run, "best.safetensors")
    weights(run, "last.safetensors", seed=1)
    lines = [{"kind": "train", "step": step, "loss": 3.0 / step} for step in range(1, 30)]
    lines += [{"kind": "eval", "step": 30, "miou": 0.4}, {"kind": "end", "step": 30, "seconds": 120.0}]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"kind": "tr')

    record = publish(run, hub)

    assert record.table["training"] == {"steps": 30, "seconds": 120.0}
    stored, best = load_file(hub / record.files[0].name), load_file(run / "best.safetensors")
    assert stored.keys() == best.keys()
    assert all(torch.equal(stored[key], best[key]) for key in best)
    page = Page((hub / record.table["page"]).read_text())
    assert len(page.named("polyline")) == 2
    assert "30 steps, 2 minutes." in page.text


def test_a_folder_that_is_no_run(tmp_path, hub):
    with pytest.raises(ZooError, match=r"no run folder that has weights: there is no best\.safetensors"):
        publish(tmp_path, hub)

    assert not hub.exists()


def test_pictures(file, hub, tmp_path):
    record = publish(file, hub, data=pictures(tmp_path / "toys"))

    page = Page((hub / record.table["page"]).read_text())
    images = page.named("img")
    assert len(images) == 9
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    for key in ("picture", "samples"):
        assert (hub / record.table[key]).read_bytes().startswith(b"\xff\xd8")
    overview = Page((hub / "index.html").read_text())
    assert [image["src"] for image in overview.named("img")] == [record.table["picture"]]


def test_pictures_of_another_set_than_what_is_measured_on(file, hub, tmp_path):
    data, shown = pictures(tmp_path / "toys"), pictures(tmp_path / "shown", count=1)
    record = publish(file, hub, data=data, measure=True, pictures=shown)
    assert record.table["metrics"]["images"] == 4
    assert len(Page((hub / record.table["page"]).read_text()).named("img")) == 3


def test_measuring_replaces_the_numbers_and_tells_of_a_loss(tmp_path, hub):
    data = pictures(tmp_path / "toys")
    file = weights(tmp_path, metrics=numbers(0.99))
    told = []

    record = publish(file, hub, data=data, measure=True, report=told.append)

    from zoo.data.catalog import open_dataset
    from zoo.evaluation.evaluate import evaluate

    expected = evaluate(zoo.load(file), open_dataset(str(data), "val"))
    metrics = record.table["metrics"]
    assert metrics["miou"] == expected.miou
    assert metrics["iou"] == expected.iou
    assert (metrics["data"], metrics["split"], metrics["images"]) == ("toys", "val", 4)
    assert read_header(hub / record.files[0].name).record["metrics"] == metrics
    speed = record.table["speed"]
    assert speed["milliseconds"] > 0
    assert (speed["height"], speed["width"]) == open_dataset(str(data), "val")[0].image.shape[-2:]
    words = f"for a picture of {speed['width']} × {speed['height']} pixels"
    for page in (record.table["card"], record.table["page"], "index.html"):
        assert words in (hub / page).read_text()
    assert told == [f"mean IoU is {expected.miou * 100:.1f}, where the file says 99.0"]
    check(hub, NAME)


def test_measuring_needs_data(file, hub):
    with pytest.raises(ZooError, match="nothing to measure on"):
        publish(file, hub, measure=True)


def test_data_of_other_classes_leave_nothing_behind(file, hub, tmp_path):
    data = pictures(tmp_path / "toys")
    (data / "data.toml").write_text('classes = ["a", "b", "c", "d"]')

    with pytest.raises(ZooError, match="classes"):
        publish(file, hub, data=data, measure=True)

    assert not hub.exists()


def test_half_the_size(file, tmp_path, hub, monkeypatch):
    whole = publish(file, tmp_path / "whole")
    record = publish(file, hub, half=True)

    check(hub, NAME)
    assert record.bytes < 0.6 * whole.bytes
    assert record.table["storage"]["dtype"] == "float16"
    assert 0 < record.table["storage"]["deviation"] < 0.01
    assert "float16" in (hub / record.table["card"]).read_text()
    monkeypatch.setenv("ZOO_HUB", str(hub))
    model, original = zoo.load(NAME), zoo.load(file)
    assert {tensor.dtype for tensor in model.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    for key, tensor in original.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], tensor, rtol=1e-3, atol=1e-6)
    again = zoo.save(model, tmp_path / "again.safetensors")
    assert load_file(again).popitem()[1].dtype == torch.float32


def test_numbers_too_large_for_half(tmp_path, hub):
    model = zoo.load(weights(tmp_path))
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = 70_000.0
    file = zoo.save(model, tmp_path / "large.safetensors", licence=LICENCE, data={"name": "toys"})

    with pytest.raises(ZooError, match=r"65,504, the largest of float16"):
        publish(file, hub, half=True)

    publish(file, hub)
    check(hub, NAME)


def test_shards(file, hub, monkeypatch):
    record = publish(file, hub, shard_bytes=20_000)

    check(hub, NAME)
    assert len(record.files) > 2
    assert record.files[0].name == f"{NAME}/{NAME}-00001-of-{len(record.files):05}.safetensors"
    monkeypatch.setenv("ZOO_HUB", str(hub))
    x = torch.rand(1, 3, 32, 40)
    assert torch.equal(zoo.load(NAME)(x)["out"], zoo.load(file)(x)["out"])

    publish(hub / record.files[1].name, hub, force=True)  # from shards to one file
    check(hub, NAME)
    assert [name for name in names(hub) if "-of-" in name] == []


def test_names(file, hub):
    assert publish(file, hub, name="small").name == f"{MODEL}.small"
    assert publish(file, hub, name=f"{MODEL}.large").name == f"{MODEL}.large"
    check(hub, f"{MODEL}.small", f"{MODEL}.large")
    with pytest.raises(RecordError, match=rf"another model: these are weights of '{MODEL}'"):
        publish(file, hub, name="unet_l4.small")
    for wrong in ("../x", f"{MODEL}.a/b", "a b", f"{MODEL}..x", ""):
        with pytest.raises(RecordError):
            publish(file, hub, name=wrong)
    check(hub, f"{MODEL}.small", f"{MODEL}.large")


def test_weights_on_another_encoder_may_be_called_after_the_model(tmp_path, hub, monkeypatch):
    """They are then that model's, encoder and options included."""
    model = zoo.create_model("unet_l4_aspp", encoder="squeezenet1_0", num_classes=3, channels=[4] * 4, aspp_width=4)
    zoo.save(model, tmp_path / "m.safetensors")
    publish(tmp_path / "m.safetensors", hub, name="unet_l4_aspp.toys", default=True)
    check(hub, "unet_l4_aspp.toys")
    monkeypatch.setenv("ZOO_HUB", str(hub))
    x = torch.rand(1, 3, 40, 48)
    for weights_ in ("toys", "default", "unet_l4_aspp.toys"):
        again = zoo.create_model("unet_l4_aspp", weights=weights_)
        assert again.config.name == "unet_l4_aspp@squeezenet1_0"
        assert torch.equal(again.eval()(x)["out"], model.eval()(x)["out"])
    other = zoo.create_model("unet_l4_aspp", weights="toys", num_classes=7)
    assert (other.config.encoder, other.config.options["channels"]) == ("squeezenet1_0", [4] * 4)
    assert torch.equal(other.encoder.fire9.squeeze.weight, model.encoder.fire9.squeeze.weight)
    with pytest.raises(RecordError, match="name of another model"):
        publish(tmp_path / "m.safetensors", hub, name="unet_l4.toys")


def test_the_data_s_name_becomes_the_tag(tmp_path, hub):
    assert publish(weights(tmp_path, data={"name": "My Toys (v2)"}), hub).tag == "My_Toys_v2"
    assert publish(weights(tmp_path, data={}), hub).tag == "model"  # the name of the file


@pytest.mark.parametrize(
    ("stored", "given", "said"),
    [
        ({}, None, "licence of the weights and of the data is unknown"),
        ({"weights": "MIT"}, {}, "with --licence-data LICENCE"),
        ({"data": "CC0"}, {"weights": "  "}, "with --licence-weights LICENCE"),
    ],
)
def test_a_licence_is_asked_for(tmp_path, hub, stored, given, said):
    file = weights(tmp_path, licence=stored)
    told = []

    record = publish(file, hub, licence=given, report=told.append)

    assert any(said in line for line in told)
    assert record.table.get("licence", {}) == stored
    assert "unknown" in (hub / record.name / "README.md").read_text()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(tmp_path, hub, value):
    model = zoo.load(weights(tmp_path))
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = value
    file = zoo.save(model, tmp_path / "wild.safetensors", licence=LICENCE, data={"name": "toys"})

    with pytest.raises(ZooError, match="NaN or infinity"):
        publish(file, hub)

    assert not hub.exists()


@pytest.mark.usefixtures("fresh_registry")
def test_a_model_of_this_process_only(tmp_path, hub):
    @zoo.register("model", "mine")
    def mine(num_classes, in_channels=3):
        from training_world import tiny

        return tiny(num_classes, in_channels)

    file = zoo.save(zoo.create_model("mine", num_classes=3), tmp_path / "mine.safetensors", data={"name": "toys"})

    with pytest.raises(ZooError, match="registered in this process only"):
        publish(file, hub, licence=LICENCE)


@pytest.mark.usefixtures("fresh_registry")
def test_a_model_of_a_plugin_says_what_to_install(tmp_path, hub, install, monkeypatch):
    manifest = 'api = 1\nnamespace = "acme"\n[[model]]\nname = "net"\ntarget = "zoo_acme.net:net"\nsummary = "A net"\n'
    net = (
        "from training_world import tiny\ndef net(num_classes, in_channels=3): return tiny(num_classes, in_channels)\n"
    )
    monkeypatch.syspath_prepend(install("zoo_acme", manifest, code="", modules={"net": net}))
    file = zoo.save(zoo.create_model("acme/net", num_classes=3), tmp_path / "net.safetensors", data={"name": "toys"})

    record = publish(file, hub, licence=LICENCE)

    check(hub, "acme/net.toys")
    assert record.table["needs"] == ["zoo-acme"]
    assert read_header(hub / record.files[0].name).record["needs"] == ["zoo-acme"]
    assert "pip install zoo-acme" in (hub / "acme/net.toys/README.md").read_text()
    page = Page((hub / "acme/net.toys/index.html").read_text())
    assert [link["href"] for link in page.named("a")] == ["../../index.html"]
    assert "acme/net.toys/index.html" in [link["href"] for link in Page((hub / "index.html").read_text()).named("a")]


def test_an_existing_record_is_not_replaced_unasked(file, hub, tmp_path):
    publish(file, hub)
    before = {name: (hub / name).read_bytes() for name in names(hub)}

    with pytest.raises(RecordError, match="already; replace it with --force"):
        publish(weights(tmp_path, "other.safetensors", seed=1), hub)

    assert {name: (hub / name).read_bytes() for name in names(hub)} == before


def test_replacing_leaves_nothing_of_the_old_one(file, hub, tmp_path):
    old = publish(file, hub)
    new = publish(weights(tmp_path, "other.safetensors", seed=1), hub, force=True)
    check(hub, NAME)
    assert new.files[0].sha256 != old.files[0].sha256
    assert len([name for name in names(hub) if name.endswith(".safetensors")]) == 2

    publish(file, hub, force=True)
    publish(file, hub, force=True)
    check(hub, NAME)
    assert len([name for name in names(hub) if name.endswith(".safetensors")]) == 2


def test_a_damaged_hub_is_repaired_by_publishing_again(file, hub):
    record = publish(file, hub)
    path = hub / record.files[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert verify(Hub(str(hub)).records()[0]).status == "wrong"

    publish(file, hub, force=True)

    check(hub, NAME)


def test_one_default_per_model(file, hub):
    publish(file, hub, name="one", default=True)
    publish(file, hub, name="two", default=True)
    publish(file, hub, name="three")

    assert {record.tag: record.default for record in Hub(str(hub)).records()} == {
        "one": False,
        "three": False,
        "two": True,
    }
    check(hub, *(f"{MODEL}.{tag}" for tag in ("one", "two", "three")))


def test_a_page_of_somebody_s_own_stays(file, hub):
    hub.mkdir()
    (hub / "index.html").write_text("<p>my page</p>")
    (hub / "notes.txt").write_text("mine")

    publish(file, hub)

    assert (hub / "index.html").read_text() == "<p>my page</p>"
    assert (hub / "notes.txt").read_text() == "mine"


def test_a_damaged_index_is_not_overwritten(file, hub):
    hub.mkdir()
    (hub / "index.json").write_text('{"schema": 1, "records": [')

    with pytest.raises(RecordError, match="damaged"):
        publish(file, hub)

    assert names(hub) == ["index.json"]


def test_places_that_cannot_be_published_to(file, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RecordError, match="cannot be published to"):
        publish(file, tmp_path / "taken" / "hub")
    with pytest.raises(RecordError, match="published to a folder, or to hf://"):
        publish(file, "https://example.org/hub")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(file, hub):
    hub.mkdir(mode=0o500)
    with pytest.raises(RecordError, match="cannot be published to: Permission denied"):
        publish(file, hub)


class _Stopped(BaseException):
    """As a signal would."""


def _stop_at(monkeypatch, count, act):
    """Do something at the `count`-th change of the disk; returns the list of all changes so far."""
    changes = []
    for owner, name in ((os, "replace"), (os, "rename"), (os, "unlink"), (os, "mkdir"), (os, "rmdir")):
        real = getattr(owner, name)

        def instead(*args, _real=real, _name=name, **kwargs):
            changes.append(_name)
            if len(changes) == count:
                act()
            return _real(*args, **kwargs)

        monkeypatch.setattr(owner, name, instead)
    return changes


@pytest.mark.parametrize("replacing", [False, True])
def test_an_interruption_at_any_point_leaves_the_old_hub_or_the_new_one(tmp_path, hub, monkeypatch, replacing):
    old, new = weights(tmp_path, "old.safetensors"), weights(tmp_path, "new.safetensors", seed=1)
    publish(old, hub, name="other")
    if replacing:
        publish(old, hub)
    expected = [f"{MODEL}.other", *([NAME] if replacing else [])]
    seen, count = set(), 0

    def stop():
        raise _Stopped

    while count < 100:
        count += 1
        with monkeypatch.context() as patch:
            changes = _stop_at(patch, count, stop)
            with contextlib.suppress(_Stopped):
                publish(new, hub, force=True)
            if len(changes) < count:
                break
        there = {record.name: record.files[0].sha256 for record in Hub(str(hub)).records()}
        assert set(there) in ({*expected}, {*expected, NAME})
        for record in Hub(str(hub)).records():
            assert verify(record).status == "ok"
        seen.add(there.get(NAME))
        if NAME in there:
            publish(old, hub, force=True)

    assert 10 < count < 100
    assert len(seen) == 2
    publish(new, hub, force=True)
    check(hub, f"{MODEL}.other", NAME)
    assert [name for name in names(hub) if "/." in f"/{name}"] == []
    assert len([name for name in names(hub) if name.endswith(".safetensors")]) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kill_9_at_any_point(tmp_path, hub, monkeypatch):
    old, new = weights(tmp_path, "old.safetensors"), weights(tmp_path, "new.safetensors", seed=1)
    digests = {publish(old, hub).files[0].sha256, publish(new, tmp_path / "elsewhere").files[0].sha256}
    seen = set()
    for count in range(1, 60):
        child = os.fork()
        if child == 0:
            _stop_at(monkeypatch, count, lambda: os.kill(os.getpid(), signal.SIGKILL))
            try:
                publish(new, hub, force=True)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        record = Hub(str(hub)).records()[0]
        assert record.files[0].sha256 in digests
        assert verify(record).status == "ok"
        seen.add(record.files[0].sha256)
        if not os.WIFSIGNALED(status):
            break
        publish(old, hub, force=True)  # the next publisher clears away what the killed one has left
        assert [name for name in names(hub) if "/." in f"/{name}"] == []
        assert len(list(hub.rglob("*.safetensors"))) == 2
    else:
        pytest.fail("it never came to an end")

    assert seen == digests
    check(hub, NAME)


def test_two_publishers_at_once(tmp_path, hub):
    files = {tag: weights(tmp_path, f"{tag}.safetensors", seed=seed) for seed, tag in enumerate("abcd")}
    failures = []

    def work(tag):
        try:
            publish(files[tag], hub, name=tag)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(tag,)) for tag in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    check(hub, *(f"{MODEL}.{tag}" for tag in files))
    assert [name for name in names(hub) if "/." in f"/{name}"] == []


def test_another_publisher_is_waited_for(file, hub):
    hub.mkdir()
    done = threading.Event()
    thread = threading.Thread(target=lambda: (publish(file, hub), done.set()))
    with locked(hub / "index.json"):
        thread.start()
        assert not done.wait(1.5)
        assert not (hub / "index.json").exists()
    thread.join()

    check(hub, NAME)


def test_the_golden_pair_is_of_what_was_published(file, hub):
    record = publish(file, hub, half=True)
    pair, tolerance = record.golden

    assert tolerance == golden.TOLERANCE
    assert record.table["golden"]["deviation"] < 1e-4
    assert golden.replay(zoo.load(hub / record.files[0].name), hub / pair.name, 0.0) is None


def test_the_pages_do_not_repeat_what_would_run(file, hub, tmp_path):
    record = publish(file, hub, summary="<img src=x onerror=alert(1)> & ]]>", data=pictures(tmp_path / "toys"))

    for name in ("index.html", record.table["page"]):
        text = (hub / name).read_text()
        page = Page(text)
        assert "<script" not in text
        assert "onerror" not in {key for _, attributes in page.tags for key in attributes}
        assert "<img src=x onerror=alert(1)> & ]]>" in page.text
        assert all(known in page.text for known in CLASSES)


def test_links_lead_to_files(file, hub):
    publish(file, hub)

    for path in hub.rglob("*.html"):
        for link in Page(path.read_text()).named("a"):
            assert (path.parent / link["href"]).resolve().is_file(), link
    assert Path(hub / "index.json").is_file()
