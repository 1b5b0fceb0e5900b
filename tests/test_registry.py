import json
import logging
import sys
import types

import pytest

import zoo
from zoo import registry
from zoo.errors import PluginError, UnknownNameError
from zoo.manifest import KINDS

pytestmark = pytest.mark.usefixtures("fresh_registry")


def _manifest(namespace, *components, extra=""):
    tables = "".join(
        f'[[{kind}]]\nname = "{name}"\ntarget = "zoo_{namespace}:thing"\nsummary = "of {namespace}"\n'
        for kind, name in components
    )
    return f'api = 1\nnamespace = "{namespace}"\n{extra}{tables}'


@pytest.fixture
def installed(install, monkeypatch):
    def put(namespace, *components, extra="", tables=types.MappingProxyType({})):
        site = install(f"zoo_{namespace}", _manifest(namespace, *components, extra=extra))
        for name, text in tables.items():
            (site / f"zoo_{namespace}" / name).write_text(text)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(site)

    return put


def test_find_takes_wildcards_and_sorts():
    names = zoo.list_models("fcn*s_vgg16")
    assert {"fcn8s_vgg16", "fcn16s_vgg16", "fcn32s_vgg16"} <= set(names)
    assert names == sorted(names)
    assert zoo.list_models() == [spec.name for spec in zoo.find()]
    assert zoo.list_models("nothing*") == []
    assert [spec.name for spec in zoo.find(kind="encoder", match="vgg1[16]", plugin="zoo")] == ["vgg11", "vgg16"]
    assert {spec.plugin for spec in zoo.find("architecture", plugin="fcn")} == {"fcn"}
    assert zoo.find("model", plugin="nobody") == []


def test_find_knows_the_kinds():
    for kind in KINDS:
        assert all(spec.kind == kind for spec in zoo.find(kind))
    with pytest.raises(UnknownNameError, match="the kinds are architecture, model"):
        zoo.find("modell")


def test_built_in_names_are_bare_and_complete():
    for kind in KINDS:
        for spec in zoo.find(kind):
            assert spec.summary
            assert json.dumps(spec.to_json())
            assert registry.registry().get(kind, spec.name) == spec


def test_an_unknown_name_gets_did_you_mean():
    with pytest.raises(UnknownNameError, match=r"no model named 'fcn8s_vg16'.*'fcn8s_vgg16'"):
        registry.registry().get("model", "fcn8s_vg16")
    with pytest.raises(UnknownNameError, match=r"no data set named 'camvit'.*'camvid'"):
        registry.registry().get("dataset", "camvit")
    assert registry.registry().lookup("model", "fcn8s_vg16") is None


def test_third_party_names_are_reachable_bare_while_unambiguous(installed):
    installed("one", ("architecture", "net"), ("encoder", "trunk"))
    installed("two", ("architecture", "net"))
    known = registry.registry()
    assert known.get("architecture", "one/net").plugin == "one"
    assert known.get("encoder", "trunk").name == "one/trunk"
    with pytest.raises(UnknownNameError, match="ambiguous: write 'one/net' or 'two/net'"):
        known.get("architecture", "net")
    assert [spec.name for spec in known.find("architecture", "net")] == ["one/net", "two/net"]
    assert [spec.name for spec in known.find("architecture", "two/*")] == ["two/net"]
    assert known.get("architecture", "net", near="two").plugin == "two"


def test_built_ins_cannot_be_shadowed(installed):
    installed("one", ("architecture", "fcn8s"), ("encoder", "vgg16"), ("encoder", "resnet18"))
    zoo.register("architecture", "fcn8s")(print)
    known = registry.registry()
    assert known.get("architecture", "fcn8s").plugin == "fcn"
    assert known.get("encoder", "vgg16").plugin == "zoo"
    assert known.get("encoder", "resnet18").plugin == "zoo"
    assert known.get("architecture", "one/fcn8s").plugin == "one"
    assert known.get("architecture", "local/fcn8s").plugin == "local"


FAMILY = '[[family]]\nkind = "encoder"\ntarget = "zoo_many:thing"\nsummary = "one of many"\ntable = "table.json"\n'


def test_a_family_brings_many(installed):
    entries = {"m1": {"offers": {"strides": [8]}, "parameters": 5}, "m2": {"summary": "the second"}}
    installed("many", extra=FAMILY, tables={"table.json": json.dumps({"entries": entries})})
    known = registry.registry()
    first, second = known.find("encoder", "many/*")
    assert (first.name, first.summary, first.offers, first.meta) == (
        "many/m1",
        "one of many",
        {"strides": [8]},
        {"parameters": 5},
    )
    assert second.summary == "the second"
    assert known.get("encoder", "m2") == second
    assert known.get("encoder", "many/m2") == second


@pytest.mark.parametrize("table", ["not json", "[]", "{}", '{"entries": [1]}', '{"entries": {"a": 3}}', b"\xff\xff"])
def test_a_broken_table_breaks_only_its_plugin(installed, table, caplog, tmp_path, monkeypatch):
    installed("many", ("head", "h"), extra=FAMILY, tables={"table.json": "{}"})
    path = tmp_path / "site" / "zoo_many" / "table.json"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    known = registry.registry()
    with caplog.at_level(logging.WARNING, "zoo"):
        names = [spec.name for spec in known.find("encoder")]
    assert "vgg16" in names
    assert "resnet18" in names
    (line,) = [message for message in caplog.messages if "built-in" not in message]
    assert "table.json" in line
    (plugin,) = [plugin for plugin in known.plugins if plugin.name == "many"]
    assert plugin.status == "broken"
    assert known.get("encoder", "vgg16").name == "vgg16"
    monkeypatch.setattr(registry, "_registry", None)
    monkeypatch.setenv("ZOO_STRICT", "1")
    with pytest.raises(PluginError, match="ZOO_STRICT"):
        registry.registry().find("encoder")


def test_a_broken_plugin_is_one_line_in_the_log(install, monkeypatch, caplog):
    monkeypatch.syspath_prepend(install("zoo_garbled", "not = = toml"))
    with caplog.at_level(logging.WARNING, "zoo"):
        assert "fcn8s_vgg16" in zoo.list_models()
        zoo.list_models()
    (line,) = [message for message in caplog.messages if "built-in" not in message]
    assert "zoo_garbled" in line


def test_register_makes_a_local_component():
    @zoo.register("architecture", "mine", encoder="resnet18", needs={"strides": [8]})
    def build(encoder, num_classes):
        """First line.

        Second.
        """

    spec = registry.registry().get("architecture", "mine")
    assert (spec.name, spec.plugin, spec.summary) == ("local/mine", "local", "First line.")
    assert spec.needs == {"strides": [8]}
    assert spec.meta == {"encoder": "resnet18"}
    assert spec.load() is build
    assert registry.registry().get("architecture", "local/mine") is spec
    assert spec in zoo.find("architecture", "mine")


def test_registering_the_same_definition_again_replaces_it():
    def define():
        @zoo.register("head", "h", summary="again and again")
        class Mine:
            pass

        return Mine

    define()
    second = define()
    assert registry.registry().get("head", "h").load() is second


def test_registering_another_thing_of_that_name_is_refused():
    zoo.register("head", "h")(print)
    with pytest.raises(PluginError, match="already registered"):
        zoo.register("head", "h")(len)
    zoo.register("decoder", "h")(len)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a@b", "ä", "*"])
def test_names_must_be_names(name):
    with pytest.raises(PluginError, match="cannot be registered"):
        zoo.register("model", name)


def test_registering_an_unknown_kind_is_refused():
    with pytest.raises(UnknownNameError, match="no kind 'modell'"):
        zoo.register("modell", "mine")


def test_load_file_reports_and_strict_refuses(tmp_path, monkeypatch, caplog):
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    with caplog.at_level(logging.WARNING, "zoo"):
        plugin = registry.load_file(str(tmp_path / "broken.py"))
    assert plugin in registry.registry().plugins
    assert "SystemExit" in caplog.text
    monkeypatch.setenv("ZOO_STRICT", "1")
    with pytest.raises(PluginError, match="broken"):
        registry.load_file(str(tmp_path / "broken.py"))


def test_a_file_takes_nobody_elses_namespace(tmp_path, caplog):
    """The names of two plugins must differ, whatever they are made of."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"import zoo\nzoo.register('head', '{folder}')(print)\n")
    (tmp_path / "fcn.py").write_text("raise RuntimeError('it was run')")
    assert registry.load_file(str(tmp_path / "a" / "mine.py")).status == "ok"
    second = registry.load_file(str(tmp_path / "b" / "mine.py"))
    assert "'mine' belongs to" in second.error
    assert "belongs to built-in" in registry.load_file(str(tmp_path / "fcn.py")).error
    assert [spec.name for spec in zoo.find("head", "mine/*")] == ["mine/a"]
    assert registry.registry().get("architecture", "fcn8s").plugin == "fcn"


def test_the_public_package_is_lazy_and_complete():
    assert set(zoo.__all__) <= set(dir(zoo))
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'creat_model'"):
        zoo.creat_model  # noqa: B018
