"""Converting the weights of an encoder alone, as its option ``encoder_weights`` takes them."""

from pathlib import Path

from zoo.hub.convert.provenance import Provenance
from zoo.hub.convert.translation import input_of, translated
from zoo.hub.converter import Converter, Foreign, Implied
from zoo.hub.encoder_file import save_encoder
from zoo.hub.skeleton import hollow
from zoo.manifest import Spec
from zoo.plan import Plan


def convert_encoder(
    path: Path,
    target: Spec,
    name: str,
    converter: Converter,
    foreign: Foreign,
    implied: Implied,
    origin: Provenance,
    out: Path,
) -> Path:
    """Write the weights of an encoder, with all layers that the file has of it."""
    encoder = hollow(Plan(target, name, implied.in_channels or 3, implied.options).build)
    state = translated(path, name, converter, foreign, encoder)
    input = input_of(origin, implied, encoder.input, implied.in_channels or 3)
    return save_encoder(state, out, name=name, input=input, record=origin.record if origin.certain else {})
