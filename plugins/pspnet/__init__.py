"""PSPNet (Zhao, Shi, Qi, Wang, Jia, CVPR 2017: Pyramid Scene Parsing Network)."""
