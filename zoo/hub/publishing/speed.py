"""How fast a model is, measured where it is published."""

from typing import Any

import torch

from zoo.data.dataset import SegmentationDataset
from zoo.inference.forward import answering, model_input
from zoo.model import SegmentationModel
from zoo.speed.timing import take_turns
from zoo.training.environment import processor


def speed(model: SegmentationModel, dataset: SegmentationDataset) -> dict[str, Any]:
    """Time a model from a picture as large as the first of a data set to its label map, in float32, as it is.

    Returns:
        ``milliseconds``, the median of several; the ``height`` and ``width`` of the picture; the ``threads`` and the
        ``processor`` that computed.
    """
    picture = dataset[0].image
    with answering(model):
        x = model_input(model, picture[None])
        timing = take_turns({"": lambda x: model(x)["out"].max(1).indices}, x)[""]
    return {
        "milliseconds": round(timing.milliseconds, 1),
        "height": picture.shape[-2],
        "width": picture.shape[-1],
        "threads": torch.get_num_threads(),
        "processor": torch.cuda.get_device_name(x.device) if x.is_cuda else processor(),
    }
