"""The DeepLab family (Chen et al., 2015 to 2018) and LR-ASPP (Howard et al., 2019)."""
