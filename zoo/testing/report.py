"""What a check of a plugin found. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one check.

    Attributes:
        component: ``"architecture acme/net"``; ``"plugin"`` for what concerns all of it.
        check: The name of the check.
        status: ``"ok"``, ``"failed"`` or ``"skipped"``.
        message: What is wrong, or why there was nothing to check.
        where: File and line, where it failed.
        mend: What to do, where it failed.
    """

    component: str
    check: str
    status: str
    message: str = ""
    where: str = ""
    mend: str = ""

    def lines(self) -> list[str]:
        """The finding for people."""
        head = f"{self.status:7}  {self.component}: {self.check}"
        if self.status == "ok":
            return [head]
        if self.status == "skipped":
            return [f"{head}: {self.message}"]
        first, *more = self.message.splitlines() or [""]
        rest = [f"what:  {first}", *(f"       {line}" for line in more)]
        rest += [f"where: {self.where}"] if self.where else []
        rest += [f"mend:  {self.mend}"] if self.mend else []
        return [head, *(f"           {line}" for line in rest)]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found.

    Attributes:
        plugin: The plugin's namespace, or what was asked for where it has none.
        origin: Where it is from: a distribution and its version, a folder.
        findings: One for each check, in order.
    """

    plugin: str
    origin: str
    findings: Sequence[Finding]

    @property
    def failures(self) -> list[Finding]:
        """Those that failed."""
        return [finding for finding in self.findings if finding.status == "failed"]

    @property
    def ok(self) -> bool:
        """Whether something was checked and nothing failed."""
        return bool(self.findings) and not self.failures

    def summary(self) -> str:
        """One line: ``"acme (zoo-acme 0.1.0): 41 ok, 0 failed, 3 skipped"``."""
        counts = ", ".join(
            f"{sum(finding.status == status for finding in self.findings)} {status}"
            for status in ("ok", "failed", "skipped")
        )
        return f"{self.plugin} ({self.origin}): {counts}"

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        return {
            "plugin": self.plugin,
            "origin": self.origin,
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        return "\n".join([*(line for finding in self.findings for line in finding.lines()), self.summary()])
