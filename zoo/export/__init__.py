"""A model as a file that runs without Zoo: ONNX, or a program of torch.export.

What goes in is a picture as it is, uint8; how it is prepared is part of the file, and so are the names of the classes.
"""

from zoo.export.export import FORMATS, Parity, export

__all__ = ["FORMATS", "Parity", "export"]
