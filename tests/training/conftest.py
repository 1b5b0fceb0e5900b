import pytest
import torch

from zoo.registry import forget, registering_as


@pytest.fixture
def _tiny_world():
    """Model ``tiny`` and data set ``colored`` can be asked for by name."""
    from training_world import install

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with registering_as("world"):
        install()
    yield
    forget("world")
    torch.set_num_threads(threads)
