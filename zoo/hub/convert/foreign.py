"""Reading weights that others wrote. Nothing in a file is ever executed."""

import json
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.hub.converter import Foreign

_GLOBAL = re.compile(r"GLOBAL (\S+)")
_NEWER_PICKLES = (b"\x80\x03", b"\x80\x04", b"\x80\x05")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_FOLDER = ("model.safetensors", "pytorch_model.bin")
"""What a model saved with `save_pretrained` is called, the safe form first."""


def read_foreign(path: Path, format: str) -> Foreign:
    """Read the tensors of a file in another library's format.

    What kind of file it is, is seen from its content. A state dict may be wrapped, as training scripts do, and its
    names may begin with ``module.``, as `DataParallel` makes them.

    Args:
        path: The file; a folder, where the format has folders.
        format: ``"caffe"`` for a ``.caffemodel``, any other for safetensors or pickles of tensors. NumPy's ``.npz`` is
            read in all of them.

    Raises:
        CheckpointError: There is none, it is damaged or of another format, or would execute code when loaded.
    """
    description: dict[str, Any] = {}
    if path.is_dir():
        path, description = _in_folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    if not start:
        raise CheckpointError(f"{path} is empty")
    if start.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page, not a file of weights; it was fetched from a wrong address")
    if _is_safetensors(start):
        return Foreign(_plain(_read_safetensors(path), path), description)
    if _is_arrays(path):
        return Foreign(_plain(_read_arrays(path), path), description)
    if format in ("caffe", "deconvnet"):
        from zoo.hub.convert.caffemodel import read_caffemodel

        return Foreign(_by_role(read_caffemodel(path)), description)
    return Foreign(_plain(_read_pickle(path, start), path), description)


def _in_folder(folder: Path) -> tuple[Path, dict[str, Any]]:
    file = next((folder / name for name in _FOLDER if (folder / name).is_file()), None)
    if file is None:
        raise CheckpointError(f"{folder} holds none of {', '.join(_FOLDER)}, as a saved model would")
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        description = {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read: {error}") from None
    if not isinstance(description, dict):
        raise CheckpointError(f"{folder / 'config.json'} cannot be read: it holds no object")
    return file, description


def _is_safetensors(start: bytes) -> bool:
    return len(start) >= 10 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= 100_000_000


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no valid safetensors file: {error}") from None


def _is_arrays(path: Path) -> bool:
    """Whether it is NumPy's archive of arrays; a file of torch.save is a zip, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _read_arrays(path: Path) -> Any:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged or holds more than arrays: {_printable(str(error))}") from None


def _read_pickle(path: Path, start: bytes) -> Any:
    if path.suffix == ".safetensors":  # torch.load goes by the name
        raise CheckpointError(f"{path} is damaged or no safetensors file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about storages of old files, and about tar files
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except Exception as error:  # torch raises a dozen kinds for what is no pickle, or half of one
            message = str(error) or type(error).__name__
            refused = isinstance(error, pickle.UnpicklingError)
    named = _GLOBAL.search(message)
    if refused and (named or start.startswith(_NEWER_PICKLES)):
        what = f"it calls {_printable(named[1])}" if named else "it is not of the form that torch.save writes"
        raise CheckpointError(
            f"{path} is refused: it holds more than tensors, and loading it would execute code ({what}); have its "
            "author save a state dict, or a safetensors file"
        )
    reason = "it is no pickle of tensors" if refused else _printable(message.strip().partition("\n")[0])
    raise CheckpointError(f"{path} is damaged or no file of weights: {reason}")


def _printable(text: str, most: int = 160) -> str:
    """A stranger's words in one line that does not steer the terminal."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what was loaded, without wrappings."""
    for _ in range(3):
        inner = (
            next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
            if (isinstance(loaded, Mapping))
            else None
        )
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not loaded:
        raise CheckpointError(f"{path} holds no state dict, but {type(loaded).__name__}")
    strange = [name for name, value in loaded.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if strange:
        raise CheckpointError(f"{path} holds no state dict: {strange[0]!r} is no tensor")
    unsuited = [name for name, value in loaded.items() if value.layout != torch.strided or value.is_quantized]
    if unsuited:
        raise CheckpointError(f"{path}: {unsuited[0]!r} is sparse or quantised; convert it to plain numbers first")
    swollen = [name for name, value in loaded.items() if value.nbytes > value.untyped_storage().nbytes()]
    if swollen:
        raise CheckpointError(f"{path}: {swollen[0]!r} has more values than the file holds for it")
    state = {name: value.detach() for name, value in loaded.items()}
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _by_role(layers: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    names = ("weight", "bias")
    return {
        f"{layer}.{names[index] if index < len(names) else f'blob{index}'}": blob
        for layer, blobs in layers.items()
        for index, blob in enumerate(blobs)
    }
