import json

import pytest

PRESETS = {"fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn8s_atonce_vgg16"}
GOOD = (
    'api = 1\nnamespace = "good"\n[[architecture]]\nname = "net"\ntarget = "zoo_good.net:net"\n'
    'summary = "A good net"\nneeds = { strides = [8], pools = ["pool3"] }\n'
    '[[model]]\nname = "net_small"\narchitecture = "net"\nencoder = "vgg16"\nsummary = "A small one"\n'
)


def _names(done):
    return [row["name"] for row in json.loads(done.stdout)]


def test_lists_models(zoo_command):
    done = zoo_command("list")
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} >= PRESETS
    (line,) = [line for line in lines if line.startswith("fcn8s_vgg16 ")]
    assert "134.5 M" in line
    assert "FCN-8s" in line


def test_json_is_the_same_list(zoo_command):
    records = json.loads(zoo_command("list", "--json").stdout)
    names = [record["name"] for record in records]
    assert set(names) >= PRESETS
    assert names == sorted(names)
    assert len(names) == len(zoo_command("list").stdout.splitlines())
    (record,) = [record for record in records if record["name"] == "fcn8s_vgg16"]
    assert record["kind"] == "model"
    assert record["plugin"] == "fcn"
    assert record["parameters"] == 134_489_759


def test_patterns_kinds_and_plugins(zoo_command):
    assert _names(zoo_command("list", "fcn8s_[av]*", "--json")) == ["fcn8s_atonce_vgg16", "fcn8s_vgg16"]
    encoders = _names(zoo_command("list", "--kind", "encoder", "--json"))
    assert {"vgg16", "vgg19_bn", "resnet18", "convnext_tiny"} <= set(encoders)
    assert {"shapes", "camvid", "voc2012"} <= set(_names(zoo_command("list", "--kind", "data set", "--json")))
    assert "fcn8s" in _names(zoo_command("list", "--kind", "architectures", "--plugin", "fcn", "--json"))
    assert "vgg16" not in _names(zoo_command("list", "--kind", "encoder", "--plugin", "fcn", "--json"))
    done = zoo_command("list", "nothing*")
    assert (done.stdout, "nothing" in done.stderr) == ("", True)
    assert json.loads(zoo_command("list", "nothing*", "--json").stdout) == []


@pytest.mark.parametrize("target", ["fcn8s", "fcn8s_vgg16"])
def test_encoders_for_an_architecture(zoo_command, target):
    names = set(_names(zoo_command("list", "--kind", "encoder", "--for", target, "--json")))
    assert {"vgg16", "resnet18"} <= names
    assert "convmixer_768_32" not in names
    assert "convmixer_768_32" in _names(zoo_command("list", "--kind", "encoder", "convmixer*", "--json"))


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--kind", "modell"], 2, "'modell' is none of architecture, model"),
        (["--for", "fcn8s"], 1, "--kind encoder"),
        (["--kind", "encoder", "--for", "fcn8"], 1, "'fcn8s'"),
        (["--colour"], 2, "--colour"),
    ],
)
def test_mistakes_are_named(zoo_command, args, code, said):
    assert said in zoo_command("list", *args, code=code).stderr


def test_an_unknown_command_is_named(zoo_command):
    assert "'list'" in zoo_command("lst", code=2).stderr


def test_a_terminal_without_the_letters_gets_the_list(zoo_command):
    done = zoo_command("list", "--kind", "head", env={"PYTHONIOENCODING": "cp1253"})
    assert "1?1 convolution" in done.stdout


def test_a_third_party_is_listed_and_not_imported(zoo_command, install):
    path = [install("zoo_good", GOOD)]
    assert "good/net_small" in zoo_command("list", path=path).stdout
    assert _names(zoo_command("list", "net_small", "--json", path=path)) == ["good/net_small"]
    for target in ("good/net", "net", "net_small"):
        encoders = _names(zoo_command("list", "--kind", "encoder", "--for", target, "--json", path=path))
        assert "vgg16" in encoders
        assert "resnet18" not in encoders


def test_ambiguous_names_list_both(zoo_command, install):
    install("zoo_good", GOOD)
    path = [install("zoo_other", GOOD.replace('"good"', '"other"'))]
    done = zoo_command("list", "--kind", "encoder", "--for", "net", path=path, code=1)
    assert "'good/net' or 'other/net'" in done.stderr
    done = zoo_command("info", "net", path=path, code=1)
    assert "'good/net' or 'other/net'" in done.stderr
    assert "other/net" in zoo_command("info", "other/net", path=path).stdout
    assert "architecture" in zoo_command("info", "other/net_small", path=path).stdout


def test_broken_distributions_do_no_harm(zoo_command, install):
    install("zoo_ghost", None)
    install("zoo_garbled", "this is = = not toml")
    install("zoo_future", 'api = 999\nnamespace = "future"\n')
    install("zoo_value", "", entry_points="[zoo.plugins]\nzoo_value = ???\n")
    install("zoo_points", "", entry_points="[zoo.plugins]\nno equals sign\n")
    path = [install("zoo_good", GOOD)]
    done = zoo_command("list", path=path)
    assert "fcn8s_vgg16" in done.stdout
    assert "good/net_small" in done.stdout
    lines = [line for line in done.stderr.splitlines() if "built-in" not in line]
    assert len(lines) == 5
    for name in ("ghost", "garbled", "future", "value", "points"):
        assert sum(line.startswith(f"zoo: plugin 'zoo_{name}'") for line in lines) == 1, name
    assert "ZOO_STRICT" in zoo_command("list", path=path, env={"ZOO_STRICT": "1"}, code=1).stderr
    done = zoo_command("list", path=path, env={"ZOO_PLUGINS": "none"})
    assert "garbled" not in done.stderr
    assert "good/net_small" not in done.stdout
    done = zoo_command("list", path=path, env={"ZOO_PLUGINS": "good"})
    assert "garbled" not in done.stderr
    assert "good/net_small" in done.stdout


SINGLE = """
import zoo

@zoo.register("model", "tiny_mine")
def tiny_mine(num_classes=21, in_channels=3, dropout=0.5):
    \"\"\"My own.\"\"\"
    return zoo.create_model("fcn8s_vgg16", num_classes=num_classes, in_channels=in_channels)
"""


def test_a_single_file_plugin(zoo_command, tmp_path):
    (tmp_path / "mine.py").write_text(SINGLE)
    done = zoo_command("--plugin", tmp_path / "mine.py", "list", "--json")
    (record,) = [record for record in json.loads(done.stdout) if record["name"].endswith("tiny_mine")]
    assert (record["name"], record["summary"], record["plugin"]) == ("mine/tiny_mine", "My own.", "mine")
    assert "mine" in zoo_command("--plugin", "mine.py", "plugins").stdout
    assert "dropout" in zoo_command("--plugin", "mine.py", "info", "tiny_mine").stdout
    assert "mine" not in zoo_command("list").stdout


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import nothing_at_all", "def f(:"])
def test_a_broken_single_file_plugin_does_no_harm(zoo_command, tmp_path, code):
    (tmp_path / "mine.py").write_text(SINGLE)
    (tmp_path / "broken.py").write_text(code)
    done = zoo_command("--plugin", "broken.py", "--plugin", "mine.py", "list")
    assert "fcn8s_vgg16" in done.stdout
    assert "mine/tiny_mine" in done.stdout
    assert "broken" in done.stderr
    zoo_command("--plugin", "broken.py", "list", env={"ZOO_STRICT": "1"}, code=1)
    assert "no such Python file" in zoo_command("--plugin", "absent.py", "list").stderr


def test_a_net_with_a_trunk_of_its_own_takes_no_encoder(zoo_command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import zoo\n\n@zoo.register('architecture', 'lonely')\ndef lonely(num_classes, in_channels=3):\n    ...\n"
    )
    plugin = str(tmp_path / "mine.py")
    done = zoo_command("--plugin", plugin, "list", "--kind", "encoder", "--for", "lonely", code=1)
    assert "takes no encoder" in done.stderr
