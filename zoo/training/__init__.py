"""Training: a recipe, the loop that follows it, and the run folder that it leaves behind.

`zoo.training.recipe` says what to do, `zoo.training.loop.train` does it. Importing this package, or the
recipe, does not import torch.
"""
