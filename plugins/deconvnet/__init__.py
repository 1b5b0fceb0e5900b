"""DeconvNet (Noh, Hong and Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015)."""
