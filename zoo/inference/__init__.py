"""From a picture to a label map.

`predictor` makes a `prediction` of one picture: `picture` turns what was given into a tensor, `forward` runs the model,
`class_map` takes the labels without holding the logits, `painting` draws the result. `test_time` says how else a model
can be asked, `probabilities` does it, `output_stride` dilates a model anew. `tiles` plans and `tiled` walks
over pictures of any size, which `raster` reads and `large` writes in parts. `outputs` decides which files a whole
folder becomes, `batch` makes them (with `polygons`, `sheet`, `marks`). `dense_crf` (in `crf`, with `crf_terms`,
`lattice` and `rows` beneath) sharpens probabilities along the picture's edges. `naming` says which picture is asked
about, for `zoo.pipeline`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.inference.crf import dense_crf

__all__ = ["dense_crf"]


def __getattr__(name: str) -> Any:
    if name == "dense_crf":  # only when wanted: it imports torch
        from zoo.inference.crf import dense_crf

        return dense_crf
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
