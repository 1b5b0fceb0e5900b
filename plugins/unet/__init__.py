"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015), its decoder on other encoders, and the U-Net L4 and L5 nets."""
