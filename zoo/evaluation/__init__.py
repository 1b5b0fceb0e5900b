"""How good a model is: one confusion matrix over a whole data set, and everything computed from it.

`confusion` counts, `metrics` computes, `matching` says which class of the data is which of the model,
`reading` fetches the pictures, `evaluate` brings them together.
"""
