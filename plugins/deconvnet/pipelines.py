"""DeconvNet as its released program asks it: about boxes, with FCN-8s beside it, with a dense CRF behind.

The program reads Edge Boxes from files that came with it. In their place are windows of several sizes here; boxes of
one's own are given as a file.
"""

from zoo.pipeline import Crf, Member, PipelineConfig, Proposals

BOXES = Proposals(enlarge=1.2, most=50, least=112, side=224, aggregate="max", clipped=True)
"""At most 50 boxes whose shorter side is 112 pixels or more, warped to 224; the maximum from a canvas of zeros."""

CRF = Crf(preset="deconvnet", iterations=10)

_DECONVNET = Member("deconvnet", "deconvnet_vgg16.voc", proposals=BOXES)
_FCN = Member("fcn8s", "fcn8s_vgg16.voc2015", frame=(500, 500))

DECONVNET = PipelineConfig("deconvnet_proposals", (_DECONVNET,))
DECONVNET_CRF = PipelineConfig("deconvnet_crf", (_DECONVNET,), crf=CRF)
EDECONVNET = PipelineConfig("edeconvnet", (_DECONVNET, _FCN), combine="product")
EDECONVNET_CRF = PipelineConfig("edeconvnet_crf", (_DECONVNET, _FCN), combine="product", crf=CRF)
