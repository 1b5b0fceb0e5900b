import pytest

HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "numpy",
    "pydantic",
    "PIL",
    "rich",
    "safetensors",
}


def _imported(done):
    """Names of the modules that a run with ``-X importtime`` imported."""
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}


@pytest.mark.parametrize(
    "args",
    [
        ["list"],
        ["list", "--json"],
        ["list", "--kind", "encoder"],
        ["list", "--kind", "encoder", "--for", "fcn8s"],
        ["plugins"],
        ["plugins", "--json"],
        ["--help"],
        ["list", "--help"],
        ["--version"],
        ["info", "fcn8s_vgg16"],
        ["info", "fcn8s@resnet18"],
    ],
    ids=" ".join,
)
def test_listing_imports_nothing_heavy(zoo_command, args):
    done = zoo_command(*args, flags=["-X", "importtime"])
    imported = _imported(done)
    assert "zoo.cli" in imported
    assert not imported & HEAVY
    assert "importlib.metadata" not in imported, "no plugin is announced, so there is nothing to read"


def test_neither_does_info_of_a_file(zoo_command, tmp_path, narrow_vgg):
    import zoo

    path = zoo.save(zoo.create_model("fcn8s_vgg16", num_classes=2), tmp_path / "m.safetensors")
    for options in ([], ["--json"]):
        done = zoo_command("info", path, *options, flags=["-X", "importtime"])
        assert not _imported(done) & HEAVY


def test_a_third_party_is_not_imported_by_listing(zoo_command, install):
    site = install("zoo_good", 'api = 1\nnamespace = "good"\n')
    done = zoo_command("list", path=[site], flags=["-X", "importtime"])
    assert "zoo_good" not in _imported(done)
    assert not _imported(done) & HEAVY


def test_importing_zoo_is_light(zoo_command):
    done = zoo_command("--version", flags=["-X", "importtime"])
    assert "zoo" in done.stdout
    assert not {name for name in _imported(done) if name.startswith("zoo.")} - {
        "zoo.cli",
        "zoo.cli._group",
        "zoo.errors",
        "zoo.__main__",
    }
