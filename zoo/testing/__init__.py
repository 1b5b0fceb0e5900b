"""The conformance kit: what every component of Zoo can do, as checks that a plugin's author can run.

    >>> import zoo.testing
    >>> report = zoo.testing.check("zoo_acme")  # everything that the plugin brings; or the folder of its distribution
    >>> report.ok, report.failures

    >>> class TestNet(zoo.testing.ArchitectureTests):  # in a test file: every check is a test of pytest's
    ...     name = "acme/net"

`check_property` and `check_model` are for a single model. Each check is one function in one of the modules here; its
docstring says what it demands. What a net truly cannot do it declares in its manifest (``cannot = ["export"]``, one of
`zoo.manifest.LIMITS`); it is then held to that: a property that is declared impossible and holds all the same is a
failure too.
"""

from zoo.testing.cases import ArchitectureTests, DatasetTests, DecoderTests, EncoderTests
from zoo.testing.golden import keep_golden
from zoo.testing.kinds import CHECKS
from zoo.testing.properties import PROPERTIES, check_model, check_property
from zoo.testing.report import Finding, Report
from zoo.testing.running import check
from zoo.testing.subject import NotApplicable, NotConforming, Subject

__all__ = [
    "CHECKS",
    "PROPERTIES",
    "ArchitectureTests",
    "DatasetTests",
    "DecoderTests",
    "EncoderTests",
    "Finding",
    "NotApplicable",
    "NotConforming",
    "Report",
    "Subject",
    "check",
    "check_model",
    "check_property",
    "keep_golden",
]
