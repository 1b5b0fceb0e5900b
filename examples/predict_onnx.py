"""python examples/predict_onnx.py MODEL.onnx PHOTO.jpg — needs onnxruntime, Pillow and NumPy, not Zoo."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["zoo"])
picture = np.asarray(Image.open(sys.argv[2]).convert("RGB")).transpose(2, 0, 1)[None]
(labels,) = session.run(["labels"], {"image": picture})
for index, name in enumerate(about["classes"] or range(about["num_classes"])):
    print(f"{(labels == index).mean():6.1%} {name}")
