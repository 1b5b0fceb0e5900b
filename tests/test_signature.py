import inspect
import sys

import pytest

import zoo
from zoo.manifest import Spec
from zoo.plan import accepted_options
from zoo.signature import static_options


def _names(options):
    return list(options or {})


@pytest.mark.parametrize("kind", ["architecture", "model", "encoder"])
def test_what_is_read_from_the_source_is_what_is_accepted(kind):
    """Of every component of every built-in plugin."""
    families = 0
    for spec in zoo.find(kind):
        families += spec.target == "zoo.encoders.timm:TimmEncoder"
        if not spec.target or (families > 1 and spec.target == "zoo.encoders.timm:TimmEncoder"):
            continue
        accepted = accepted_options(spec)
        static = static_options(spec)
        assert static is not None, spec
        assert _names(static) == list(accepted), spec
        for name, parameter in accepted.items():
            required = parameter.default is inspect.Parameter.empty
            assert (static[name] == "required") == required, (spec, name)


def _spec(target):
    return Spec("architecture", "acme/net", "s", "acme", target)


def test_reads_functions_classes_and_inherited_constructors(tmp_path, monkeypatch):
    (tmp_path / "acme_net.py").write_text(
        "raise RuntimeError('imported')\n"
        "def net(encoder, num_classes, width, *, depth=2 + 1, name='x', flag=None): ...\n"
        "class Base:\n    def __init__(self, in_channels, *, size=(1, 2)): ...\n"
        "class Child(Base): ...\n"
        "class Plain: ...\n"
        "class Base2(Base2): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert static_options(_spec("acme_net:net")) == {"width": "required", "depth": "2 + 1", "flag": "None"}
    assert static_options(_spec("acme_net:Child")) == {"size": "(1, 2)"}
    assert static_options(_spec("acme_net:Plain")) is None
    assert static_options(_spec("acme_net:Base2")) is None  # its base was imported under the same name
    assert static_options(_spec("acme_net:nothing")) is None
    assert "acme_net" not in sys.modules


@pytest.mark.parametrize("source", [b"def net(:", b"\xff\xfe\x00", b"def net(): ...\0"])
def test_a_source_that_cannot_be_read_has_no_options(tmp_path, monkeypatch, source):
    (tmp_path / "acme_odd.py").write_bytes(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert static_options(_spec("acme_odd:net")) is None


def test_a_module_that_is_not_there_has_no_options():
    assert static_options(_spec("nothing_of_that_name:net")) is None
    assert static_options(_spec("")) is None
