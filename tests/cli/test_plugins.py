import json

from zoo.manifest import KINDS

GOOD = 'api = 1\nnamespace = "{0}"\n[[head]]\nname = "h"\ntarget = "zoo_{0}:h"\nsummary = "A head"\n'


def _rows(zoo_command, **options):
    return {row["name"]: row for row in json.loads(zoo_command("plugins", "--json", **options).stdout)}


def test_built_ins(zoo_command):
    rows = _rows(zoo_command)
    assert rows["zoo"]["status"] == rows["fcn"]["status"] == "ok"
    assert rows["fcn"]["origin"] == "built-in"
    assert rows["fcn"]["components"]["architecture"] >= 4
    assert set(rows["zoo"]["components"]) <= set(KINDS)
    lines = zoo_command("plugins").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(rows)


def test_every_status_is_shown(zoo_command, install):
    install("zoo_ghost", None)
    install("zoo_garbled", "this is = = not toml")
    install("zoo_future", 'api = 999\nnamespace = "future"\n')
    install("zoo_thief", GOOD.format("fcn"))
    path = [install("zoo_good", GOOD.format("good"))]
    rows = _rows(zoo_command, path=path)
    assert rows["good"] == {
        "name": "good",
        "status": "ok",
        "origin": "zoo-good 1.0",
        "components": {"head": 1},
        "error": None,
    }
    for name, said in (("ghost", "no plugin.toml"), ("garbled", "cannot be read"), ("future", "api = 999")):
        assert rows[f"zoo_{name}"]["status"] == "broken"
        assert said in rows[f"zoo_{name}"]["error"]
    text = zoo_command("plugins", path=path).stdout
    for word in ("zoo_ghost", "zoo_garbled", "zoo_future", "api = 999", "belongs to built-in"):
        assert word in text


def test_what_is_left_out_is_off(zoo_command, install):
    install("zoo_good", GOOD.format("good"))
    path = [install("zoo_other", GOOD.format("other"))]
    rows = _rows(zoo_command, path=path, env={"ZOO_PLUGINS": "other"})
    assert rows["other"]["status"] == "ok"
    assert rows["good"]["status"] == "off"
    rows = _rows(zoo_command, path=path, env={"ZOO_PLUGINS": "none"})
    assert {row["status"] for row in rows.values() if row["origin"] != "built-in"} == {"off"}


def test_one_package_read_only_by_its_manifest(zoo_command, install):
    """A dotted entry point, whose parent raises when it is imported."""
    site = install("parent.child", GOOD.format("kid"))
    (site / "parent" / "__init__.py").write_text("raise SystemExit('imported')")
    assert _rows(zoo_command, path=[site])["kid"]["status"] == "ok"
