import json
import sys

import pytest

from zoo.errors import PluginError
from zoo.manifest import KINDS, Spec, read_manifest

GOOD = """
api = 1
namespace = "acme"
summary = "Acme's nets"

[[architecture]]
name = "net"
target = "zoo_acme.net:net"
summary = "The Acme net"
encoder = "resnet18"
needs = { strides = [8, 16, 32], output_stride = [8] }
papers = ["Acme: A net (2020)"]

[[model]]
name = "net_small"
architecture = "net"
encoder = "resnet18"
summary = "A small one"
num_classes = 5
options = { width = 3 }

[[encoder]]
name = "trunk"
target = "zoo_acme.net:Trunk"
summary = "The Acme trunk"
offers = { strides = [8], taps = ["a", "b"], pools = ["p"], output_strides = [8] }
"""
HEAD = 'api = 1\nnamespace = "acme"\n'


def _write(tmp_path, text):
    path = tmp_path / "plugin.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_good_one_is_read(tmp_path):
    manifest = read_manifest(_write(tmp_path, GOOD))
    assert manifest.namespace == "acme"
    assert manifest.summary == "Acme's nets"
    net, small, trunk = manifest.specs
    assert (net.kind, net.name, net.plugin, net.target) == ("architecture", "acme/net", "acme", "zoo_acme.net:net")
    assert net.needs == {"strides": [8, 16, 32], "output_stride": [8]}
    assert net.meta == {"encoder": "resnet18", "papers": ["Acme: A net (2020)"]}
    assert net.folder == tmp_path
    assert (small.name, small.target, small.meta["options"]) == ("acme/net_small", "", {"width": 3})
    assert trunk.offers["taps"] == ["a", "b"]


def test_built_ins_keep_their_bare_names(tmp_path):
    manifest = read_manifest(_write(tmp_path, GOOD), bare_names=True)
    assert [spec.name for spec in manifest.specs] == ["net", "net_small", "trunk"]


def test_a_built_in_may_ask_for_its_prefix(tmp_path):
    table = '[[family]]\nkind = "encoder"\ntarget = "a:b"\nsummary = "s"\ntable = "table.json"\n'
    (tmp_path / "table.json").write_text('{"entries": {}}')
    manifest = read_manifest(_write(tmp_path, "prefix = true\n" + GOOD + table), bare_names=True)
    assert [spec.name for spec in manifest.specs] == ["acme/net", "acme/net_small", "acme/trunk"]
    assert manifest.families[0].prefix == "acme/"
    assert read_manifest(_write(tmp_path, GOOD + table), bare_names=True).families[0].prefix == ""
    assert read_manifest(_write(tmp_path, GOOD + table)).families[0].prefix == "acme/"


def test_every_spec_is_json(tmp_path):
    for spec in read_manifest(_write(tmp_path, GOOD)).specs:
        record = json.loads(json.dumps(spec.to_json()))
        assert record["name"] == spec.name
        assert record["kind"] in KINDS


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(PluginError, match=r"no plugin\.toml in"):
        read_manifest(tmp_path / "plugin.toml")


ENTRY = '[[encoder]]\nname = "e"\ntarget = "a.b:c"\nsummary = "s"\n'
MODEL = '[[model]]\nname = "m"\narchitecture = "net"\nsummary = "s"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("this is = = not toml", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        ("", "api = None"),
        ('api = 999\nnamespace = "future"\n', "api = 999"),
        ("api = 1\n", "namespace = None"),
        (HEAD + "prefix = false\n", "prefix = False"),
        (HEAD + 'prefix = "p/"\n', "prefix = 'p/'"),
        ('api = 1\nnamespace = "a/b"\n', "namespace = 'a/b'"),
        (HEAD + "[[architectures]]\n", "Did you mean 'architecture'"),
        (HEAD + 'encoder = "resnet18"\n', "array of tables"),
        (HEAD + '[encoder]\nname = "e"\n', "array of tables"),
        (HEAD + '[[encoder]]\ntarget = "a:b"\n', "name = None"),
        (HEAD + ENTRY.replace('"e"', '"a b"'), "name = 'a b'"),
        (HEAD + ENTRY.replace('"a.b:c"', '"a.b"'), "'package.module:name'"),
        (HEAD + ENTRY.replace('"a.b:c"', "3"), "target = 3"),
        (HEAD + ENTRY.replace('target = "a.b:c"\n', ""), "'target' is missing"),
        (HEAD + ENTRY.replace('"s"', '"two\\nlines"'), "one line"),
        (HEAD + ENTRY.replace('summary = "s"\n', ""), "one line"),
        (HEAD + ENTRY + "offer = { strides = [8] }\n", "Did you mean 'offers'"),
        (HEAD + ENTRY + "offers = { stride = [8] }\n", "strides = [int, …]"),
        (HEAD + ENTRY + "offers = { strides = 8 }\n", "strides = [int, …]"),
        (HEAD + ENTRY + 'offers = { strides = ["8"] }\n', "strides = [int, …]"),
        (HEAD + ENTRY + 'needs = { taps = "pool4" }\n', "taps = [str, …]"),
        (HEAD + ENTRY + 'needs = ["pool4"]\n', "expected a table"),
        (HEAD + ENTRY + ENTRY, "defined twice"),
        (HEAD + ENTRY + 'parameters = "many"\n', "parameters = 'many'"),
        (HEAD + MODEL + 'target = "a:b"\n', "not both"),
        (HEAD + MODEL.replace('architecture = "net"\n', ""), "not both"),
        (HEAD + MODEL.replace('"net"', "5"), "architecture = 5"),
        (HEAD + MODEL + "encoder = 5\n", "encoder = 5"),
        (HEAD + MODEL + "options = [1]\n", "options = [1]"),
        (HEAD + MODEL + "num_classes = true\n", "num_classes = True"),
        (HEAD + MODEL + 'in_channels = "3"\n', "in_channels = '3'"),
        (
            HEAD + '[[architecture]]\nname = "n"\nsummary = "s"\ntarget = "a:b"\nmin_in_channels = "2"\n',
            "min_in_channels = '2'",
        ),
        (HEAD + MODEL + "published = [2020-01-01]\n", "JSON"),
        (HEAD + MODEL + "published = [nan]\n", "JSON"),
        (HEAD + '[[recipe]]\nname = "r"\nsummary = "s"\nfile = 5\n', "file = 5"),
        (HEAD + '[[family]]\nkind = "encoder"\n', "exactly the keys"),
        (
            HEAD + '[[family]]\nkind = "encoder"\ntarget = "a:b"\nsummary = "s"\ntable = 5\n',
            "exactly the keys",
        ),
        (
            HEAD + '[[family]]\nkind = "encoder"\ntarget = "a:b"\nsummary = "s"\ntable = "none.json"\n',
            "no such file",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = _write(tmp_path, text)
    with pytest.raises(PluginError) as caught:
        read_manifest(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def _spec(target):
    return Spec("architecture", "acme/net", "s", "acme", target)


def test_load_imports_the_target():
    assert _spec("json.decoder:JSONDecoder.decode").load() is json.JSONDecoder.decode


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise RuntimeError('oh')", "RuntimeError: oh"),
        ("x = (", "SyntaxError"),
        ("nett = 1", "AttributeError"),
    ],
)
def test_what_breaks_at_import_is_a_plugin_error(tmp_path, monkeypatch, code, said):
    (tmp_path / "acme_broken.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    with pytest.raises(PluginError, match="acme/net") as caught:
        _spec("acme_broken:net").load()
    assert said in str(caught.value)
    assert caught.value.__cause__ is not None
    sys.modules.pop("acme_broken", None)


def test_control_c_during_an_import_is_not_swallowed(tmp_path, monkeypatch):
    (tmp_path / "acme_slow.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _spec("acme_slow:net").load()
