"""Encoders that come with the core: the VGG family and every timm backbone."""
