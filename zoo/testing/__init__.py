"""The conformance kit: what every model of Zoo can do, as checks that a plugin's author can run.

    >>> from zoo.testing import PROPERTIES, check, check_model
    >>> check_model("acme/net_resnet18")  # everything, with all failures in one error

    >>> @pytest.mark.parametrize("property", PROPERTIES)
    ... def test_net(property):
    ...     check(property, "acme/net", encoder="resnet18", width=16)

Each property is one function in one of the modules here; its docstring says what it demands. What a net truly cannot do
it declares in its manifest (``cannot = ["export"]``, one of `zoo.manifest.LIMITS`); it is then held to that: a property
that is declared impossible and holds all the same is a failure too.
"""

from zoo.testing.properties import PROPERTIES, check, check_model
from zoo.testing.subject import NotConforming, Subject

__all__ = ["PROPERTIES", "NotConforming", "Subject", "check", "check_model"]
