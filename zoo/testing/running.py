"""``check("zoo_acme")``: a whole plugin, every component of it."""

import os
import traceback
from collections.abc import Callable, Collection, Iterator
from typing import Any

from zoo.errors import PluginError, UnknownNameError, did_you_mean
from zoo.manifest import Spec
from zoo.testing.chosen import jobs
from zoo.testing.kinds import CHECKS
from zoo.testing.located import located
from zoo.testing.mending import MEND
from zoo.testing.report import Finding, Report
from zoo.testing.subject import NotApplicable, NotConforming
from zoo.testing.whole import PluginSubject, where_of


def check(
    package: str | os.PathLike[str],
    *,
    only: Collection[str] = (),
    fetch: bool = False,
    progress: Callable[[Finding], None] | None = None,
) -> Report:
    """Check a plugin: its manifest, its imports, and every component that it brings.

    Args:
        package: Its namespace, package or distribution where it is installed, or the folder of one that is not.
        only: Names of components (``"net"``, ``"acme/net"``) or of checks (``"export"``); nothing for all.
        fetch: Fetch published weights that are not on this machine, and verify them.
        progress: Called with each finding as soon as it is there.

    Returns:
        What was found; it never raises because of a fault of the plugin.

    Raises:
        PluginError: There is no such plugin.
        UnknownNameError: `only` names neither a component of it nor a check.
    """
    with located(os.fspath(package)) as found:
        subject = PluginSubject(found, fetch)
        plugin = found.plugin
        findings: list[Finding] = []
        try:
            specs = subject.components
        except NotConforming:  # whatever was asked for, its manifest has to be mended first
            specs, wanted = [], lambda spec, name: name == "manifest"
        else:
            wanted = _wanted(specs, only)
        file = specs[0].folder / "plugin.toml" if specs and specs[0].folder else None
        for finding in _all(subject, specs, wanted, str(file or found.origin)):
            findings.append(finding)
            if progress is not None:
                progress(finding)
    return Report(plugin.name, found.origin, findings)


def _all(
    subject: PluginSubject, specs: list[Spec], wanted: Callable[[Spec | None, str], bool], manifest: str
) -> Iterator[Finding]:
    sound = True
    for name in CHECKS["plugin"]:
        if wanted(None, name):
            finding = judge("plugin", CHECKS["plugin"], name, subject, manifest)
            yield finding
            if finding.status == "failed" and name in ("manifest", "importing", "targets"):
                sound = False
            if finding.status == "failed" and name == "manifest":
                break
    if not sound:
        return  # everything else would say the same again
    for spec in specs:
        if not any(wanted(spec, name) for name in CHECKS.get(spec.kind, ())):
            continue  # without building it, to see how large it is
        where = where_of(spec)
        try:
            listed = list(jobs(spec))
        except Exception as error:
            yield _failed(f"{spec.kind} {spec.name}", "build", error, where)
            continue
        for job in listed:
            said: set[str] = set()
            for name in job.checks:
                if wanted(spec, name):
                    with job.around():
                        finding = judge(job.title, CHECKS[job.kind], name, job.subject, where)
                    if finding.status != "skipped" or finding.message not in said:  # one reason is said once
                        yield finding
                    said.add(finding.message)


def _wanted(specs: Collection[Spec], only: Collection[str]) -> Callable[[Spec | None, str], bool]:
    """Whether a check of a component (None: of the plugin as a whole) was asked for."""
    checks = {name for kind in CHECKS.values() for name in kind}
    named = {name for spec in specs for name in (spec.name, spec.name.rpartition("/")[2])}
    for name in only:
        if name not in checks | named:
            raise UnknownNameError(
                f"there is neither a component nor a check named {name!r}.{did_you_mean(name, checks | named)} "
                f"It has {', '.join(sorted(spec.name for spec in specs)) or 'no component'}; "
                f"the checks are {', '.join(sorted(checks))}"
            )
    of_checks, of_components = set(only) & checks, set(only) & named - checks

    def wanted(spec: Spec | None, check: str) -> bool:
        if of_components and (spec is None or not {spec.name, spec.name.rpartition("/")[2]} & of_components):
            return False
        return not of_checks or check in of_checks

    return wanted


def judge(title: str, checks: Any, name: str, subject: Any, where: str = "") -> Finding:
    """Run one check; whatever happens becomes a finding."""
    try:
        checks[name](subject)
    except NotApplicable as reason:
        return Finding(title, name, "skipped", str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit included
        return _failed(title, name, error, where)
    return Finding(title, name, "ok")


def _failed(title: str, name: str, error: BaseException, where: str) -> Finding:
    mend = MEND.get(name, "")
    if isinstance(error, NotConforming):
        return Finding(title, name, "failed", str(error), error.where or where, error.mend or mend)
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == where.rpartition(":")[0]), None)
    place = f"{last.filename}:{last.lineno}" if last else where
    text = str(error).strip() if isinstance(error, PluginError) else f"{type(error).__name__}: {str(error).strip()}"
    return Finding(title, name, "failed", "\n".join(text.splitlines()[:6]), place, mend)
