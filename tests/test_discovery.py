import sys
import textwrap

import pytest

from zoo import discovery
from zoo.errors import PluginError

MANIFEST = 'api = 1\nnamespace = "{}"\n[[architecture]]\nname = "net"\ntarget = "{}.net:net"\nsummary = "A net"\n'


def _manifest(namespace, package="acme"):
    return MANIFEST.format(namespace, package)


def _foreign():
    return [plugin for plugin in discovery.discover() if plugin.origin != "built-in"]


def _found(name):
    (plugin,) = [plugin for plugin in _foreign() if plugin.name == name]
    return plugin


@pytest.fixture
def installed(install, monkeypatch):
    def put(*args, **options):
        site = install(*args, **options)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(site)
        return site

    return put


def test_built_ins_come_first_and_work():
    plugins = discovery.discover()
    assert [plugin.name for plugin in plugins[:2]] == ["zoo", sorted(plugin.name for plugin in plugins[1:])[0]]
    assert all(plugin.status == "ok" for plugin in plugins if plugin.origin == "built-in")
    assert "fcn" in [plugin.name for plugin in plugins]


def test_a_distribution_is_found_and_not_imported(installed):
    installed("zoo_acme", _manifest("acme"))
    plugin = _found("acme")
    assert plugin.status == "ok"
    assert plugin.origin == "zoo-acme 1.0"
    assert [spec.name for spec in plugin.manifest.specs] == ["acme/net"]
    assert "zoo_acme" not in sys.modules


def test_a_package_within_a_package_is_found_without_importing_its_parent(installed, monkeypatch):
    site = installed("parent.child", _manifest("kid"))
    (site / "parent" / "__init__.py").write_text("raise RuntimeError('the parent was imported')")
    assert _found("kid").status == "ok"
    assert "parent" not in sys.modules


def test_a_namespace_package_is_found(installed):
    site = installed("spread", _manifest("wide"))
    (site / "spread" / "__init__.py").unlink()
    assert _found("wide").status == "ok"


def test_one_distribution_seen_twice_is_one_plugin(installed, monkeypatch):
    site = installed("zoo_acme", _manifest("acme"))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    assert _found("acme").status == "ok"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"manifest": None}, "no plugin.toml"),
        ({"manifest": "this is = = not toml"}, "cannot be read"),
        ({"manifest": 'api = 999\nnamespace = "bad"\n'}, "api = 999"),
        ({"manifest": "a = " + "[" * 5000}, "plugin.toml"),
        ({"manifest": _manifest("zoo")}, "belongs to built-in"),
        ({"manifest": _manifest("fcn")}, "belongs to built-in"),
        ({"manifest": "", "entry_points": "[zoo.plugins]\nbad = ???\n"}, "'???' is no package"),
        ({"manifest": "", "entry_points": "[zoo.plugins]\nbad = nowhere_at_all\n"}, "is not installed"),
        ({"manifest": "", "entry_points": "[zoo.plugins]\nbad = nowhere.at.all\n"}, "is not installed"),
        ({"manifest": "", "entry_points": "[zoo.plugins]\nno equals sign\n"}, "entry points cannot be read"),
        ({"manifest": "", "entry_points": b"[zoo.plugins]\nbad = \xff\xfe\n"}, "cannot be read"),
        ({"manifest": "api = 2", "metadata": ""}, "api = 2"),
    ],
)
def test_a_broken_one_is_data(installed, options, said):
    """And the good ones beside it are found."""
    installed("bad", **options)
    installed("zoo_good", _manifest("good"))
    plugins = _foreign()
    broken = [plugin for plugin in plugins if plugin.status == "broken"]
    assert len(broken) == 1
    assert said in broken[0].error
    assert broken[0].cure
    assert broken[0].manifest is None
    assert next(plugin for plugin in plugins if plugin.name == "good").status == "ok"
    (line,) = discovery.problems(plugins)
    assert said in line
    assert "zoo doctor" in line
    assert "\n" not in line


def test_a_broken_one_takes_nobody_elses_namespace(installed):
    """Its entry point is called as another plugin's namespace."""
    installed("aaa", None, entry_points="[zoo.plugins]\ngood = aaa\n")
    installed("zoo_good", _manifest("good"))
    statuses = {plugin.origin: plugin.status for plugin in discovery.discover()}
    assert statuses["zoo-good 1.0"] == "ok"
    assert statuses["aaa 1.0"] == "broken"


def test_of_two_with_one_namespace_the_first_keeps_it(installed):
    installed("zoo_one", _manifest("same"))
    installed("zoo_two", _manifest("same"))
    plugins = [plugin for plugin in discovery.discover() if plugin.name == "same"]
    assert [(plugin.origin, plugin.status) for plugin in plugins] == [("zoo-one 1.0", "ok"), ("zoo-two 1.0", "broken")]
    assert "belongs to zoo-one" in plugins[1].error


@pytest.mark.parametrize(
    ("choice", "working"),
    [
        ("none", set()),
        ("one", {"one"}),
        ("zoo_two", {"two"}),
        ("one, two", {"one", "two"}),
        ("all", {"one", "two"}),
        ("", {"one", "two"}),
    ],
)
def test_zoo_plugins_chooses_by_namespace_or_entry_point(installed, monkeypatch, choice, working):
    installed("zoo_one", _manifest("one"))
    installed("zoo_two", _manifest("two"))
    monkeypatch.setenv("ZOO_PLUGINS", choice)
    plugins = discovery.discover()
    foreign = [plugin for plugin in plugins if plugin.origin != "built-in"]
    assert {plugin.name for plugin in foreign if plugin.status == "ok"} == working
    assert {plugin.status for plugin in foreign} <= {"ok", "off"}
    assert all(plugin.chosen for plugin in plugins if plugin.origin == "built-in")


def test_one_that_is_left_out_takes_nobodys_namespace_and_is_not_reported(installed, monkeypatch):
    installed("zoo_one", _manifest("same"))
    installed("zoo_two", _manifest("same"))
    installed("zoo_bad", "not toml")
    monkeypatch.setenv("ZOO_PLUGINS", "zoo_two")
    plugins = _foreign()
    assert {plugin.origin: plugin.status for plugin in plugins} == {
        "zoo-one 1.0": "off",
        "zoo-two 1.0": "ok",
        "zoo-bad 1.0": "off",
    }
    assert discovery.problems(plugins) == []


@pytest.mark.parametrize("strict", ["1", "yes"])
def test_zoo_strict_makes_a_broken_one_fatal(installed, monkeypatch, strict):
    installed("zoo_bad", "not toml")
    assert any(plugin.status == "broken" for plugin in discovery.discover())
    monkeypatch.setenv("ZOO_STRICT", strict)
    with pytest.raises(PluginError, match="ZOO_STRICT is set"):
        discovery.discover()
    monkeypatch.setenv("ZOO_PLUGINS", "none")
    discovery.discover()


def test_nobody_announces_nothing_is_imported(monkeypatch, tmp_path):
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "absent"), str(tmp_path / "x.zip")])
    assert list(discovery.announcements()) == []


def test_find_module_runs_no_code(installed):
    site = installed("zoo_acme", _manifest("acme"), modules={"net": "raise RuntimeError"})
    assert discovery.find_module("zoo_acme.net") == site / "zoo_acme" / "net.py"
    assert discovery.find_module("zoo_acme.nothing") is None
    assert discovery.find_module("nothing_of_that_name.net") is None
    assert "zoo_acme" not in sys.modules


@pytest.mark.usefixtures("fresh_registry")
class TestRunFile:
    def test_registers_under_its_stem(self, tmp_path):
        from zoo import registry

        path = tmp_path / "mine.py"
        path.write_text("import zoo\n\n@zoo.register('model', 'tiny')\ndef tiny():\n    'A tiny one.\\n\\nMore.'\n")
        plugin = discovery.run_file(path)
        assert plugin.status == "ok"
        (spec,) = registry.local_specs("mine")
        assert (spec.name, spec.summary, spec.plugin) == ("mine/tiny", "A tiny one.", "mine")
        assert spec.load().__module__ in sys.modules

    @pytest.mark.parametrize("code", ["raise SystemExit(3)", "import nothing_at_all", "x = (", "1 / 0"])
    def test_what_it_raises_is_recorded(self, tmp_path, code):
        from zoo import registry

        path = tmp_path / "broken.py"
        registration = "import zoo\nzoo.register('model', 'half')(print)\n"
        path.write_text((registration if code != "x = (" else "") + textwrap.dedent(code))
        plugin = discovery.run_file(path)
        assert plugin.status == "broken"
        assert "Traceback" in plugin.detail
        assert str(path) in plugin.cure
        assert registry.local_specs("broken") == []
        assert "zoo_plugin_broken" not in sys.modules

    def test_control_c_is_not_swallowed(self, tmp_path):
        path = tmp_path / "slow.py"
        path.write_text("raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            discovery.run_file(path)

    @pytest.mark.parametrize("name", ["absent.py", "text.txt", "folder.py"])
    def test_what_is_no_python_file_is_said(self, tmp_path, name):
        (tmp_path / "text.txt").write_text("x")
        (tmp_path / "folder.py").mkdir()
        assert "no such Python file" in discovery.run_file(tmp_path / name).error
