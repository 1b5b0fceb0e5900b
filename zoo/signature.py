"""The options of a component, read from its source instead of importing it (that would import torch)."""

import ast
from pathlib import Path

from zoo.discovery import find_module
from zoo.manifest import Spec
from zoo.plan import SUPPLIED


def static_options(spec: Spec) -> dict[str, str] | None:
    """Option name → default as written in the source; None where the source cannot be found.

    Inherited constructors are followed within one module.
    """
    parameters = _static_parameters(spec)
    if parameters is None:
        return None
    return {name: default for name, default in parameters.items() if name not in SUPPLIED}


def takes_encoder(spec: Spec) -> bool:
    """Whether an architecture is built on an encoder, rather than with a trunk of its own; yes where unknown."""
    parameters = _static_parameters(spec)
    return parameters is None or "encoder" in parameters


def _static_parameters(spec: Spec) -> dict[str, str] | None:
    module, _, attribute = spec.target.partition(":")
    path = find_module(module) if module else None
    if path is None or not path.is_file():
        return None
    try:
        definition = _definition(path, attribute)
    except (OSError, SyntaxError, ValueError):  # not Python, or not text: `zoo doctor` says so
        return None
    if definition is None:
        return None
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return {argument.arg: "required" if default is None else ast.unparse(default) for argument, default in pairs}


def _definition(path: Path, name: str) -> ast.FunctionDef | None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    nodes = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    node = nodes.pop(name, None)
    while isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                return member
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        # Each once: a class may have the name of its base.
        node = next((nodes.pop(base) for base in bases if base in nodes), None)
    return node
