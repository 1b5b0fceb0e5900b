"""The records of published weights in manifests: what is refused, and that ours are sound."""

import re
from urllib.parse import urlsplit

import pytest

from zoo.assembly import resolve
from zoo.classes import KNOWN, named_classes
from zoo.config import InputSpec
from zoo.errors import CheckpointError, PluginError
from zoo.hub.converter import Converter, find_converter
from zoo.manifest import read_manifest
from zoo.published import digests
from zoo.registry import registry

GOOD = """
[[weights]]
name = "net.voc"
summary = "The Acme net, trained on PASCAL VOC"
model = "net"
default = true
classes = "voc"
input = { order = "BGR", scale = 255.0, mean = [1.0, 2.0, 3.0], std = [1.0, 1.0, 1.0] }
data = { name = "voc2012", split = "train" }
metrics = { miou = 0.655, protocol = "one scale" }
licence = { weights = "MIT", data = "PASCAL VOC" }
sources = [
  { from = "torchvision", name = "net.pth", urls = ["https://acme.example/net.pth"], bytes = 7, sha256 = "0a1b2c3d" },
  { from = "caffe", name = "net.caffemodel", urls = ["http://a.example", "http://b.example"], md5 = ["ZEROS", "ONES"] },
]
""".replace("ZEROS", "0" * 32).replace("ONES", "1" * 32)


def _read(tmp_path, text):
    path = tmp_path / "plugin.toml"
    path.write_text('api = 1\nnamespace = "acme"\n' + text)
    return read_manifest(path)


def test_a_good_record_is_read(tmp_path):
    (spec,) = _read(tmp_path, GOOD).specs
    assert (spec.kind, spec.name) == ("weights", "acme/net.voc")
    assert spec.meta["sources"][0]["from"] == "torchvision"
    assert digests(spec.meta["sources"][1]["md5"]) == ("0" * 32, "1" * 32)
    assert (digests("ab"), digests(None)) == (("ab",), ())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('model = "net"', "", "either 'model' or 'encoder'"),
        ('model = "net"', 'model = "net"\nencoder = "trunk"', "either 'model' or 'encoder'"),
        ('model = "net"', "model = 5", "model = 5"),
        ("default = true", 'default = "yes"', "default = 'yes'"),
        ('classes = "voc"', 'classes = "vco"', "Did you mean 'voc'"),
        ('classes = "voc"', "classes = [1, 2]", "expected a list of names"),
        ("scale = 255.0, ", "", "input = "),
        ("std = [1.0, 1.0, 1.0]", "std = [1.0, 0.0, 1.0]", "input = "),
        ('data = { name = "voc2012", split = "train" }', 'data = "voc"', "expected a table"),
        ('from = "torchvision", ', "", "from = None"),
        ('from = "torchvision"', 'from = "Torch Vision"', "from = 'Torch Vision'"),
        ('name = "net.pth"', 'name = "../net.pth"', "a plain file name"),
        ('name = "net.pth"', 'name = "/net.pth"', "a plain file name"),
        ('urls = ["https://acme.example/net.pth"]', "urls = []", "a list of addresses"),
        ('urls = ["https://acme.example/net.pth"]', 'urls = "https://acme.example/net.pth"', "a list of addresses"),
        ("bytes = 7", "bytes = -7", "bytes = -7"),
        ("bytes = 7", "byte = 7", "Did you mean 'bytes'"),
        ('sha256 = "0a1b2c3d"', 'sha256 = "0a1b2c3"', "8 or more hex digits"),
        ('sha256 = "0a1b2c3d"', 'sha256 = "0A1B2C3D"', "8 or more hex digits"),
        ("0" * 32, "0" * 31, "expected 32 hex digits"),
        ("md5 = [", "md5 = [7, ", "a digest, or a list"),
    ],
)
def test_what_is_wrong_with_a_record_is_named(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(PluginError) as caught:
        _read(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(caught.value)
    assert "[[weights]] net.voc" in str(caught.value)


def test_a_record_without_any_file_is_refused(tmp_path):
    with pytest.raises(PluginError, match="give 'files'"):
        _read(tmp_path, GOOD[: GOOD.index("sources")])
    with pytest.raises(PluginError, match=r"files\[0\] = 'net\.safetensors': expected a table"):
        _read(tmp_path, GOOD + 'files = ["net.safetensors"]\n')


NET = '[[architecture]]\nname = "net"\ntarget = "a.b:c"\nsummary = "s"\nfrom = %s\n'
FAMILY = '[[family]]\nkind = "encoder"\ntarget = "a:b"\nsummary = "s"\ntable = "t.json"\nfrom = %s\n'


@pytest.mark.parametrize("table", [NET, FAMILY])
def test_converters_are_named_like_targets(tmp_path, table):
    (tmp_path / "t.json").write_text('{"entries": {}}')
    manifest = _read(tmp_path, table % '{ caffe = "a.b:c.d" }')
    (found,) = (*manifest.specs, *manifest.families)
    assert found.converters == {"caffe": "a.b:c.d"}
    wrongs = {
        '"caffe"': "expected a table",
        '{ caffe = "a.b" }': "package.module:name",
        "{ caffe = 1 }": "package.module:name",
        '{ "Caffe 2" = "a:b" }': "no name of a format",
    }
    for wrong, said in wrongs.items():
        with pytest.raises(PluginError, match=said):
            _read(tmp_path, table % wrong)


def test_a_plain_function_is_a_converter_too(tmp_path, monkeypatch):
    (tmp_path / "acme_names.py").write_text("def rename(state, model):\n    return dict(state)\n")
    monkeypatch.syspath_prepend(tmp_path)
    (spec,) = _read(tmp_path, NET % '{ caffe = "acme_names:rename", timm = "acme_names:nothing" }').specs
    converter = find_converter("caffe", spec)
    assert isinstance(converter, Converter)
    assert converter.translate({"a": 1}, None) == {"a": 1}
    assert spec.to_json()["from"] == ["caffe", "timm"]
    with pytest.raises(PluginError, match="acme_names:nothing"):
        find_converter("timm", spec)
    with pytest.raises(CheckpointError, match=r"only from caffe, timm, zoo\. Did you mean 'caffe'"):
        find_converter("cafe", spec)


RECORDS = {spec.name: spec for spec in registry().find("weights") if spec.plugin != "acme"}


@pytest.mark.parametrize("name", RECORDS)
def test_our_records_are_sound(name):
    spec = RECORDS[name]
    target = spec.meta.get("model") or spec.meta["encoder"]
    assert name.startswith(f"{target}.")
    assert spec.meta["data"]
    assert spec.meta["licence"]["data"]
    sources = spec.meta["sources"]
    if "model" in spec.meta:
        model = registry().get("model", target)
        architecture = registry().get("architecture", model.meta["architecture"])
        classes = named_classes(spec.meta["classes"])
        config = resolve(target, num_classes=len(classes))
        channels = config.in_channels
        lookup = [model, architecture]
        assert 0 < spec.meta.get("metrics", {"miou": 0.5})["miou"] < 1
    else:
        lookup = [registry().get("encoder", target)]
        channels = 3
    for source in sources:
        assert isinstance(find_converter(source["from"], *lookup), Converter)
        for url in source["urls"]:
            assert urlsplit(url).scheme in ("http", "https")
            assert source["name"] in url or "drive.google.com/uc?id=" in url
        named = re.fullmatch(r".*-([0-9a-f]{8})\.pth", source["name"])
        assert (named is None) == (source["from"] != "torchvision")
        assert named is None or named[1] == source["sha256"]
    if "input" in spec.meta:
        assert InputSpec.from_json(spec.meta["input"]).channels == channels


def test_every_upstream_file_has_its_record():
    files = {source["name"] for spec in RECORDS.values() for source in spec.meta["sources"]}
    berkeley = {f"fcn{s}s-heavy-pascal" for s in (32, 16, 8)} | {"fcn8s-atonce-pascal", "fcn-alexnet-pascal"}
    berkeley |= {f"nyud-fcn32s-{kind}-heavy" for kind in ("color", "hha", "color-hha")} | {"fcn-8s-pascal"}
    berkeley |= {f"{data}-fcn{s}s-heavy" for data in ("siftflow", "pascalcontext") for s in (32, 16, 8)}
    berkeley |= {"bvlc_reference_caffenet", "bvlc_googlenet", "DeconvNet_trainval_inference"}
    assert {f"{name}.caffemodel" for name in berkeley} <= files
    assert {f"fcn{s}_from_caffe.pth" for s in ("32s", "16s", "8s", "8s-atonce")} | {"vgg16_from_caffe.pth"} <= files
    for name in ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"):
        assert any(file.startswith(f"{name}_coco-") for file in files)
    assert {"deeplabv3_mobilenet_v3_large-fc3c493d.pth", "lraspp_mobilenet_v3_large-d234d4ea.pth"} <= files


def test_a_model_has_one_default_at_most():
    defaults = [spec.meta.get("model") or spec.meta["encoder"] for spec in RECORDS.values() if spec.meta.get("default")]
    assert len(defaults) == len(set(defaults))
    for model in ("fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn8s_atonce_vgg16", "deconvnet_vgg16"):
        assert RECORDS[f"{model}.voc"].meta["default"] is True
    source = next(source for source in RECORDS["fcn8s_vgg16.voc"].meta["sources"] if source["from"] == "caffe")
    assert source["md5"] == "c03b2953ebd846c270da1a8e8f200c09"
    assert source["sha1"] == "c449ea74dd7d83751d1357d6a8c323fcf4038962"


def test_class_tables_have_as_many_names_as_classes():
    counts = {"camvid": 11, "nyud": 40, "pascal_context": 60, "siftflow": 33, "voc": 21}
    assert {name: len(classes) for name, classes in KNOWN.items()} == counts
    assert all(len(set(classes)) == len(classes) for classes in KNOWN.values())
    with pytest.raises(CheckpointError, match="there is no table of classes 'vco'"):
        named_classes("vco")
