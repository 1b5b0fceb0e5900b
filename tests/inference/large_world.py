"""Run as a program: predicts a picture file with a tiny net and prints the peak memory of the process as JSON."""

import json
import sys
from pathlib import Path

import torch
from tiny_world import tiny_net

from zoo.config import ModelConfig
from zoo.inference.batch import Asking, predict_file
from zoo.inference.outputs import Job
from zoo.memory import peak_memory


def main(source: str, labels: str, tile: str) -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = tiny_net(2, width=4).eval()
    # A name that nothing is registered under: what the net sees is not known, so tiles are faded.
    model.config = ModelConfig("unknown", "unknown", None, 2, input=model.encoder.input)
    outcome = predict_file(model, Job(Path(source), Path(labels)), Asking(tile=int(tile), overlap=96), {})
    print(json.dumps({"peak": peak_memory(), "pixels": outcome.pixels, "size": outcome.size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
