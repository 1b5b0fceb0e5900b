"""What `zoo doctor` finds out about plugins by importing them: foreign ones in a process of their own.

There they may hang, crash, end the process or print what they like.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty, Queue
from threading import Thread
from typing import Any

from zoo.discovery import Plugin
from zoo.errors import PluginError, ZooError
from zoo.manifest import Spec
from zoo.registry import local_specs, registry

Complaint = dict[str, str]
"""``what`` is broken, its ``error``, the ``cure``, and a ``traceback``."""

PATIENCE = 60.0
"""Seconds that importing one component may take."""

_START = 120.0
"""Seconds that the other process may take to start; that is no fault of a plugin."""

_WORKER = "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); from zoo.cli._checkup import work; work()"


def components(plugin: Plugin) -> list[Spec]:
    """Everything that a plugin brings, a family as one."""
    specs = [*(plugin.manifest.specs if plugin.manifest else ()), *local_specs(plugin.name)]
    for family in plugin.manifest.families if plugin.manifest else ():
        specs.append(Spec(family.kind, f"{family.prefix}*", family.summary, family.plugin, family.target))
    return specs


def complaint(spec: Spec, origin: str) -> Complaint | None:
    """What is wrong with one component once it is imported."""
    from zoo.plan import accepted_options

    try:
        if spec.kind == "command":
            spec.load()  # a click command has no signature of its own
        elif spec.kind == "pipeline":
            from zoo.pipeline.opening import described

            described(spec)
        elif spec.target or spec.object is not None:
            accepted_options(spec)
        for kind in ("architecture", "encoder"):
            if spec.kind == "model" and kind in spec.meta:
                name = spec.meta[kind]
                if registry().lookup(kind, name, spec.plugin) is None:
                    registry().get(kind, name.partition(".")[0], spec.plugin)
        if spec.kind == "recipe" and spec.folder and not (spec.folder / spec.meta["file"]).is_file():
            raise ZooError(f"its file {spec.meta['file']!r} does not exist")
    except Exception as error:
        cause = error.__cause__ or error
        cure = error.cure if isinstance(error, PluginError) else ""
        return {
            "what": f"{spec.kind} {spec.name} of plugin {spec.plugin}",
            "error": str(error),
            "cure": cure or f"mend, reinstall or uninstall {origin}",
            "traceback": "".join(traceback.format_exception(cause)),
        }
    return None


def complaints(plugins: Sequence[Plugin]) -> list[Complaint]:
    """What is wrong with the components of installed plugins, each imported in another process."""
    waiting = [plugin for plugin in plugins if components(plugin)]
    found: list[Complaint] = []
    while waiting:
        names = [plugin.name for plugin in waiting]
        at, component = names[0], ""
        for message in _messages(names):
            if "at" in message:
                at, component = message["at"]
            elif message.get("complaint"):
                found.append(message["complaint"])
            elif "end" in message:
                origin = next(plugin.origin for plugin in waiting if plugin.name == at)
                what = f"{component} of plugin {at}" if component else f"plugin {at} ({origin})"
                cure = f"make its import do nothing but define things, or uninstall {origin}"
                found.append({"what": what, "error": message["end"], "cure": cure})
                waiting = waiting[names.index(at) + 1 :]
                break
        else:
            break
    return found


def _messages(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a process that imports these plugins says; ``{"end": why}`` where it does not come to its end."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "ZOO_STRICT": "0"},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    lines: Queue[str | None] = Queue()
    reader = Thread(target=_read, args=(worker.stdout, lines), daemon=True)
    reader.start()
    try:
        worker.stdin.write(f"{json.dumps(sys.path)}\n{json.dumps(names)}\n")
        worker.stdin.close()
    except OSError:  # it is gone already; its exit code says why
        pass
    patience = _START
    try:
        while True:
            line = lines.get(timeout=patience)
            if line is None:
                yield {"end": f"importing it ended the process, with exit code {worker.wait()}"}
                return
            message = json.loads(line)
            if "finished" in message:
                return
            patience = PATIENCE
            yield message
    except Empty:
        yield {"end": f"importing it takes more than {patience:g} seconds: it waits for something, as a network"}
    finally:
        worker.kill()
        worker.wait()
        reader.join()
        worker.stdout.close()


def _read(stream: Iterable[str], lines: "Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def work() -> None:
    """The other process: import the plugins that stdin names, and say on stdout what is wrong with each component."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # whatever the plugins print

        def answer(**message: Any) -> None:
            answers.write(json.dumps(message) + "\n")
            answers.flush()

        names = json.loads(sys.stdin.readline())
        found = {plugin.name: plugin for plugin in registry().plugins}
        answer(at=[names[0], ""])
        for plugin in [found[name] for name in names]:
            for spec in components(plugin):
                answer(at=[plugin.name, f"{spec.kind} {spec.name}"])
                answer(complaint=complaint(spec, plugin.origin))
        answer(finished=True)
        os._exit(0)  # threads that a plugin has started may keep the process from ending
