import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_keys_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_recipe_keys", ROOT / "tools" / "make_recipe_keys.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.DOCUMENT.read_text(encoding="utf-8")
    assert text == tool.document(text), "run tools/make_recipe_keys.py"
