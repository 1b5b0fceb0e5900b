"""segmentation-models-pytorch itself, imported on use."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from zoo.errors import UnknownNameError, ZooError

NAME = "segmentation_models_pytorch"


def library() -> ModuleType:
    """Import segmentation-models-pytorch.

    Raises:
        ZooError: It is not installed, or broken; says what to install.
    """
    try:
        import segmentation_models_pytorch
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == NAME
        what = "is not installed" if absent else f"cannot be imported ({error})"
        raise ZooError(
            f"models and encoders named smp/… need segmentation-models-pytorch, which {what}: "
            'pip install "zoo-segmentation[smp]"'
        ) from None
    return segmentation_models_pytorch


@contextmanager
def fetching(encoder: str) -> Iterator[None]:
    """Turn the failed download of an encoder's weights, or a tag that timm does not know, into a `ZooError`."""
    try:
        yield
    except (KeyError, RuntimeError) as error:
        if "." not in encoder:
            raise
        raise UnknownNameError(f"there is no encoder {encoder!r}: {str(error.args[0])[:100]}") from None
    except OSError as error:  # what every layer below raises: no network, no such file, no space
        raise ZooError(
            f"the pretrained weights of encoder {encoder!r} cannot be fetched: {error}; leave out encoder_weights, or "
            "try again with a network"
        ) from error
