"""Fully convolutional networks (Long, Shelhamer and Darrell: CVPR 2015; PAMI 2017)."""
