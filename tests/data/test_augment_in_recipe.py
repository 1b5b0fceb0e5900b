"""``data.augment`` in a recipe."""

import tomllib

import pytest

from zoo.errors import OptionError
from zoo.training import recipe as recipes

LIST = 'data.augment=[{name = "scale", range = [0.5, 2.0]}, {name = "mirror"}]'


def built(*options: str) -> recipes.Recipe:
    tables: recipes.Tables = {"model": {"name": "unet"}, "data": {"name": "shapes"}}
    for option in options:
        tables = recipes.override(tables, option)
    return recipes.build(tables)


def test_it_is_written_back_as_it_was_given():
    recipe = built(LIST)
    assert recipe.data.augment == ({"name": "scale", "range": [0.5, 2.0]}, {"name": "mirror"})
    assert recipes.build(tomllib.loads(recipe.to_toml())) == recipe


@pytest.mark.parametrize("other", ["data.scale=[1, 1]", "data.flip=0", "data.jitter=0.5"])
def test_it_takes_the_place_of_the_simple_keys(other):
    built(other)
    with pytest.raises(OptionError, match=rf"augment takes the place of {other[5:].partition('=')[0]}"):
        built(LIST, other)
