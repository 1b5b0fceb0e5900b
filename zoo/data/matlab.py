"""Label maps in MATLAB files; read by scipy, which is not needed for anything else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.folder import FolderDataset
from zoo.data.images import PathLike
from zoo.errors import DataError


class MatlabDataset(FolderDataset):
    """A folder some of whose masks are ``.mat`` files.

    Attributes:
        fields: The variable of the label map, and the fields of structures on the way to it.
    """

    fields: tuple[str, ...] = ()

    def labels(self, index: int) -> NDArray[np.uint8]:
        """The labels (H, W) of a sample; raises `DataError`."""
        path = self.mask_file(index)
        if path.suffix == ".mat":
            return self.labelling.apply(read_mat(path, self.fields), path)
        return super().labels(index)


def read_mat(path: PathLike, fields: Sequence[str]) -> NDArray[np.integer[Any]]:
    """A map (H, W) of whole numbers out of a MATLAB file before version 7.3.

    Args:
        path: The file.
        fields: The variable, and the fields of structures on the way.

    Raises:
        DataError: scipy is missing, the file cannot be read, or holds no such map.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"{path}: MATLAB files are read by scipy, which is not installed: pip install scipy") from None
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    try:
        found: Any = loadmat(Path(path), squeeze_me=True, struct_as_record=True)
    except Exception as error:  # scipy raises what it likes on damaged files
        raise DataError(f"{path}: is no MATLAB file that can be read: {str(error) or type(error).__name__}") from None
    for field in fields:
        try:
            found = found[field]
        except (KeyError, ValueError, IndexError, TypeError):
            raise DataError(f"{path}: holds no {'.'.join(fields)}") from None
        if isinstance(found, np.ndarray) and found.dtype == object and found.ndim == 0:
            found = found.item()
    labels = np.asarray(found)
    if labels.ndim != 2 or labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.rint(labels)):
        raise DataError(f"{path}: {'.'.join(fields)} is no map of whole numbers (height, width)")
    return np.ascontiguousarray(labels.astype(np.int64))
