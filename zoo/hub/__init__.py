"""Weights: where they lie, how they are fetched, verified, read and written."""
