"""Everything that can be wrong with a data set, found before training: ``zoo data check``."""

from zoo.data.checking.check import check, require
from zoo.data.checking.report import Finding, Report, SplitReport

__all__ = ["Finding", "Report", "SplitReport", "check", "require"]
