"""``zoo plugin new``: a distribution to begin with, written from templates. Nothing here imports torch."""

from zoo.scaffold.names import Names, names_of
from zoo.scaffold.writing import KINDS, new

__all__ = ["KINDS", "Names", "names_of", "new"]
