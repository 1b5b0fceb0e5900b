"""The defaults that a model was built with: noted in its file, so that a later version may change them.

A config names the options that differ from their defaults, and so would be read as another net once a default changes.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.config import ModelConfig
from zoo.hub.header import Header
from zoo.plan import accepted_options, architecture_of


def defaults(config: ModelConfig) -> dict[str, Any]:
    """The options of a model's architecture that its config leaves at their defaults, with those defaults, as JSON.

    An encoder's are not among them: an architecture may wish for others, and its wish is what counts.
    """
    spec = architecture_of(config)
    if spec is None:
        return {}
    found = {}
    for name, parameter in accepted_options(spec).items():
        if name not in config.options and name != "encoder_weights":
            try:
                found[name] = json.loads(json.dumps(parameter.default, allow_nan=False))
            except (TypeError, ValueError):  # it has none, or one that no file can hold
                continue
    return found


def settled(header: Header) -> ModelConfig:
    """The config of a file, with those options added whose defaults have changed since it was written."""
    then = header.record.get("defaults")
    if not isinstance(then, Mapping) or not then:
        return header.config
    now = defaults(header.config)
    changed = {name: value for name, value in then.items() if name in now and now[name] != value}
    return replace(header.config, options={**changed, **header.config.options}) if changed else header.config
