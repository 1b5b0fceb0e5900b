"""What the tests of downloads share: a server on this machine, and an environment that lets them reach it."""

from collections.abc import Iterator

import loopback
import pytest


@pytest.fixture(autouse=True)
def _nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights that come with Zoo are in none of these tests; they have test_shipped_hub.py."""
    monkeypatch.setattr("zoo.hub.hubs.shipped_folder", lambda: None)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are allowed, go straight to the server, and are tried again without a pause."""
    for name in ("ZOO_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "ZOO_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("zoo.hub.fetching.fetch._PAUSE", 0)


@pytest.fixture
def web(online: None) -> Iterator[loopback.Web]:
    """A server; see `loopback.Web`."""
    with loopback.web() as server:
        yield server


@pytest.fixture
def mirror(online: None) -> Iterator[loopback.Web]:
    """Another server."""
    with loopback.web() as server:
        yield server
