import importlib.util
import subprocess
import sys

import pytest

import zoo


@pytest.fixture
def tool(root):
    spec = importlib.util.spec_from_file_location("make_readme_table_under_test", root / "tools/make_readme_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_is_what_its_tool_writes(root, tool):
    text = (root / "README.md").read_text(encoding="utf-8")
    assert tool.filled(text) == text, "run: python tools/make_readme_table.py"


def test_every_named_model_is_in_it(tool):
    rows = {line.split("|")[1].strip(): line for line in tool.render().splitlines() if line.startswith("|")}
    for spec in zoo.find("model"):
        if "architecture" in spec.meta and spec.plugin != "smp":
            row = rows[f"`{spec.name}`"]
            for entry in spec.meta.get("published", [])[:1]:
                assert f"{entry['value']} {entry['metric']} on {entry['data']}" in row
    assert sum("smp" in name for name in rows) <= 2
    assert "Long et al., CVPR 2015" in rows["`fcn8s_vgg16`"]
    assert "134.5 M" in rows["`fcn8s_vgg16`"]


def test_check_tells_and_writing_mends(root, tool, tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{tool.BEGIN}\nold\n{tool.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(tool, "README", readme)
    assert tool.main(["--check"]) == 1
    assert "tools/make_readme_table.py" in capsys.readouterr().err
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    readme.write_text("no markers", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks the markers"):
        tool.main([])
    with pytest.raises(SystemExit, match="--check"):
        tool.main(["--chek"])


def test_imports_no_torch(root):
    code = "import runpy, sys; sys.argv = ['t', '--check']\ntry: runpy.run_path(%r, run_name='__main__')\n"
    code += "except SystemExit: pass\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code % str(root / "tools" / "make_readme_table.py")],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.stdout.strip() == "False", done.stderr
