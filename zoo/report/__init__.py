"""Runs to look at and to compare.

`course` reads a run folder, `report` makes its page from `sections` and `pictures`, `comparison` makes the table of
several runs, `formats` writes that down. All of it works from the files of the run alone, old ones too.
"""
