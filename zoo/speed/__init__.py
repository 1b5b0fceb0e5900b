"""The same answers, sooner.

`optimize` (in `optimized`) runs the passes over a model, one file each: `folding` (with `observe`), `upsample`,
`enlarged`, `framed`, `product`, `winograd`, `precision`, `shifted`, `packing`, `fused`; `memory` keeps what layers
free. `compiled` and `onnx` are other ways to run it. `bench` measures models (with `timing` and `probe`), beside those
that `peers` builds.
"""

from zoo.speed.optimized import OptimizedModel, optimize

__all__ = ["OptimizedModel", "optimize"]
