"""From a picture to a label map.

`predictor` makes a `prediction` of one picture: `picture` turns what was given into a tensor, `forward` runs
the model, `painting` draws the result. `outputs` decides which files a whole folder becomes.
"""
