import json

import pytest
import torch
from hugging_face import hugging_face
from huggingface_hub import constants
from page_reader import Page
from published_world import MODEL, pictures, weights

import zoo
from zoo.hub.hubs import Hub
from zoo.hub.publishing.publish import publish
from zoo.hub.publishing.upload import UploadError
from zoo.hub.record import RecordError
from zoo.hub.verify import verify

pytestmark = pytest.mark.usefixtures("narrow_vgg")
NAME = f"{MODEL}.toys"
TO = "hf://org/repo"


@pytest.fixture
def site(online, monkeypatch, tmp_path):
    """Hugging Face, as far as this process can tell."""
    with hugging_face() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield server


@pytest.fixture
def file(tmp_path):
    return weights(tmp_path)


def test_a_new_repository_in_one_commit(site, file, tmp_path, monkeypatch):
    record = publish(file, TO, data=pictures(tmp_path / "toys"), default=True)

    files = site.files("org/repo")
    assert sorted(files) == sorted(
        [".gitattributes", "README.md", "index.html", "index.json"]
        + [f"{NAME}/{name}" for name in ("README.md", "golden.safetensors", "index.html", "preview.jpg", "samples.jpg")]
        + [f"{NAME}/{NAME}.safetensors"]
    )
    assert site.messages == [f"Publish {NAME}"]
    assert record.hub == TO
    assert [entry["name"] for entry in json.loads(files["index.json"])["records"]] == [NAME]
    assert f"export ZOO_HUB={TO}" in Page(files["index.html"].decode()).text
    assert f"export ZOO_HUB={TO}" in files["README.md"].decode()

    # And back again, through our own downloads.
    monkeypatch.setenv("ZOO_HUB", TO)
    x = torch.rand(1, 3, 32, 40)
    assert torch.equal(zoo.load(NAME)(x)["out"], zoo.load(file)(x)["out"])
    assert verify(Hub(TO).records()[0], fetch=True).status == "ok"


def test_the_other_records_stay(site, file):
    publish(file, TO, name="one", default=True)
    publish(file, TO, name="two", default=True)

    records = Hub(TO).records()
    assert {record.tag: record.default for record in records} == {"one": False, "two": True}
    assert [verify(record, fetch=True).status for record in records] == ["ok", "ok"]
    assert len(site.messages) == 2
    page = Page(site.files("org/repo")["index.html"].decode())
    assert {f"{MODEL}.one", f"{MODEL}.two"} <= {word.strip() for word in page.text.split()}


def test_replacing_a_record(site, file, tmp_path):
    publish(file, TO)
    other = weights(tmp_path, "other.safetensors", seed=1)
    with pytest.raises(RecordError, match="already; replace it with --force"):
        publish(other, TO)
    assert len(site.messages) == 1

    publish(other, TO, force=True)

    assert len([name for name in site.files("org/repo") if name.endswith(".safetensors")]) == 2
    assert verify(Hub(TO).records()[0], fetch=True).status == "ok"


def test_somebody_else_commits_meanwhile(site, file, tmp_path):
    publish(file, TO, name="one")
    two = weights(tmp_path, "two.safetensors", seed=2)

    def meanwhile():
        publish(two, TO, name="two")

    site.before_commit = meanwhile
    publish(file, TO, name="three")

    assert [record.tag for record in Hub(TO).records()] == ["one", "three", "two"]
    assert site.messages == [f"Publish {MODEL}.{tag}" for tag in ("one", "two", "three")]
    assert all(verify(record, fetch=True).status == "ok" for record in Hub(TO).records())


def test_others_commit_all_the_time(site, file):
    publish(file, TO, name="one")

    def meanwhile():
        site.commit("org/repo", **{"notes.txt": b"x"})
        site.before_commit = meanwhile

    site.before_commit = meanwhile
    with pytest.raises(UploadError, match="others commit to it all the time"):
        publish(file, TO, name="two")

    site.before_commit = None
    assert [record.tag for record in Hub(TO).records()] == ["one"]


def test_pages_of_somebody_s_own_stay(site, file):
    site.repos["org/repo"] = [{"README.md": b"# mine", "index.html": b"<p>mine"}]

    publish(file, TO)

    assert site.files("org/repo")["README.md"] == b"# mine"
    assert site.files("org/repo")["index.html"] == b"<p>mine"


def test_a_token(site, file, monkeypatch):
    site.token = "hf_secret"
    with pytest.raises(UploadError, match="set HF_TOKEN to a token that may write there") as caught:
        publish(file, TO)
    assert "\n" not in str(caught.value)

    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UploadError, match="set HF_TOKEN") as caught:
        publish(file, TO)
    assert "hf_wrong" not in str(caught.value)

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    publish(file, TO)
    assert list(site.repos) == ["org/repo"]


def test_a_branch_that_is_not_there(site, file):
    with pytest.raises(UploadError, match="hf://org/repo@other cannot be published to") as caught:
        publish(file, f"{TO}@other")

    assert "\n" not in str(caught.value)


def test_nobody_there(site, file, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    with pytest.raises(UploadError, match="cannot be published to") as caught:
        publish(file, TO)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", ["ZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(site, file, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")

    with pytest.raises(UploadError, match=f"{variable} forbids connections"):
        publish(file, TO)

    assert site.asked == []


@pytest.mark.parametrize("to", ["hf://org", "hf://org/repo/more", "hf:org/repo", "hf://org/../x", "hf://datasets/o/r"])
def test_addresses_that_are_none(site, file, to):
    with pytest.raises(UploadError, match="expected hf://ORGANISATION/REPOSITORY"):
        publish(file, to)

    assert site.asked == []


def test_a_damaged_index_there(site, file):
    site.repos["org/repo"] = [{"index.json": b"{"}]

    with pytest.raises(RecordError, match="damaged"):
        publish(file, TO)

    assert site.messages == []


def test_wrong_weights_are_not_uploaded(site, tmp_path):
    model = zoo.load(weights(tmp_path))
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = torch.nan
    file = zoo.save(
        model, tmp_path / "wild.safetensors", licence={"weights": "MIT", "data": "x"}, data={"name": "toys"}
    )

    with pytest.raises(zoo.errors.ZooError, match="NaN"):
        publish(file, TO)

    assert (site.messages, site.uploads) == ([], 0)
