import hub_world
import pytest

from zoo.cli._weights import open_model
from zoo.errors import UnknownNameError, ZooError


def test_published_weights_by_the_address_of_their_hub(tmp_path):
    name = hub_world.add(tmp_path / "hub", hub_world.model())
    address = (tmp_path / "hub").as_uri()
    assert open_model(f"{address}/{name}").config.name == name.partition(".")[0]
    with pytest.raises(UnknownNameError, match=f"no 'gone'.* It has {name}"):
        open_model(f"{address}/gone")


def test_no_hub_there(tmp_path):
    with pytest.raises(ZooError):
        open_model(f"{(tmp_path / 'nothing').as_uri()}/a.b")
