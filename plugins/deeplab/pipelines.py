"""DeepLab-LargeFOV with the dense CRF that its paper puts behind it."""

from zoo.pipeline import Crf, Member, PipelineConfig

LARGEFOV_CRF = PipelineConfig("deeplab_largefov_crf", (Member("deeplab_largefov"),), crf=Crf("deeplab"))
"""Its weights are not published in a form that Zoo reads: they are given, or trained."""
