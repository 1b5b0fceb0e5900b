"""Pages to look at: one file each, light and dark, without scripts. The look, curves, and pictures inside the page."""
