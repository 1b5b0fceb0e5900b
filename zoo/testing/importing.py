"""Run as ``python -m zoo.testing.importing PACKAGE MODULE…``: what importing the modules of a plugin changes.

Prints one JSON object on the last line: ``changed``, ``error``, ``printed``. Libraries that the plugin uses may change
things as well: where something changed, it is done again in a process that has the libraries already.
"""

import contextlib
import importlib
import io
import json
import subprocess
import sys
import traceback
from collections.abc import Sequence

_SECONDS = 300


def watched(package: str, modules: Sequence[str], libraries: Sequence[str] = ()) -> dict[str, object]:
    """Import `modules` in this process and say what became of everything global."""
    from zoo import registry
    from zoo.testing import globals

    for library in libraries:
        with contextlib.suppress(BaseException):
            importlib.import_module(library)
    before, noise, warned = globals.state(), globals.generator(), globals.filters()
    known = set(registry._local)
    loaded = set(sys.modules)
    error = ""
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.redirect_stderr(text):
        for module in modules:
            try:
                importlib.import_module(module)
            except BaseException as problem:  # SystemExit included
                last = traceback.extract_tb(problem.__traceback__)[-1]
                error = f"{module}: {type(problem).__name__}: {problem} ({last.filename}:{last.lineno})"
    changed = globals.changed(before, globals.state())
    changed += ["torch's random generator"] * (globals.generator() != noise)
    changed += ["the filters of warnings"] * (globals.filters() != warned)
    changed += ["the registry: it registers components; the manifest does that"] * (set(registry._local) != known)
    own = (package, f"{package}.")
    others = [name for name in sys.modules if name not in loaded and name != own[0] and not name.startswith(own[1])]
    return {"changed": changed, "error": error, "printed": text.getvalue(), "libraries": others}


def import_alone(package: str, modules: Sequence[str], environment: dict[str, str]) -> dict[str, object]:
    """As `watched`, in a process of its own; what libraries alone change is left out.

    Raises:
        TimeoutError: It took longer than five minutes.
        ChildProcessError: The process died.
    """
    found = _run(package, modules, (), environment)
    if found["changed"] and found["libraries"]:
        found = _run(package, modules, found["libraries"], environment)  # type: ignore[arg-type]
    return found


def _run(
    package: str, modules: Sequence[str], libraries: Sequence[str], environment: dict[str, str]
) -> dict[str, object]:
    command = [sys.executable, "-W", "ignore", "-m", "zoo.testing.importing"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps([package, list(modules), list(libraries)]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"importing {', '.join(modules)} takes longer than {_SECONDS // 60} minutes") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ChildProcessError(f"the process ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    found: dict[str, object] = json.loads(lines[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(watched(*json.load(sys.stdin))))
