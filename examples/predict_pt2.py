"""python examples/predict_pt2.py MODEL.pt2 PHOTO.jpg — needs torch, Pillow and NumPy, not Zoo."""

import json
import sys

import numpy as np
import torch
from PIL import Image

extra = {"zoo.json": ""}
model = torch.export.load(sys.argv[1], extra_files=extra).module()
about = json.loads(extra["zoo.json"])
picture = torch.tensor(np.asarray(Image.open(sys.argv[2]).convert("RGB"))).permute(2, 0, 1)[None]
labels = model(picture)[0]
for index, name in enumerate(about["classes"] or range(about["num_classes"])):
    print(f"{(labels == index).float().mean():6.1%} {name}")
