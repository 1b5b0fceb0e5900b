"""semseg's PSPNet, written from its description."""

import torch
import torch.nn.functional as F
from torch import nn


class Reference(nn.Module):
    """PSPNet from its description, on torchvision's residual blocks, with semseg's names."""

    def __init__(self, resnet, classes=21):
        super().__init__()
        trunk = resnet(weights=None)
        layers, channels = [], 3
        for width, stride in ((64, 2), (64, 1), (128, 1)):
            layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.layer0 = nn.Sequential(*layers, nn.MaxPool2d(3, 2, 1))
        self.layer1, self.layer2, self.layer3, self.layer4 = trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4
        self.layer1[0].conv1 = nn.Conv2d(128, 64, 1, bias=False)
        self.layer1[0].downsample[0] = nn.Conv2d(128, 256, 1, bias=False)
        for layer, dilation in ((self.layer3, 2), (self.layer4, 4)):
            layer[0].downsample[0].stride = (1, 1)
            for block in layer:
                block.conv2 = nn.Conv2d(
                    block.conv2.in_channels, block.conv2.out_channels, 3, 1, dilation, dilation, bias=False
                )
        self.ppm = nn.Module()
        self.ppm.features = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(2048, 512, 1, bias=False), nn.BatchNorm2d(512), nn.ReLU())
            for n in (1, 2, 3, 6)
        )
        self.cls = self._head(4096, 512, classes)
        self.aux = self._head(1024, 256, classes)

    @staticmethod
    def _head(channels, width, classes):
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1))

    def forward(self, x):
        size = x.shape[-2:]
        middle = self.layer3(self.layer2(self.layer1(self.layer0(x))))
        x = self.layer4(middle)
        grids = [F.interpolate(g(x), x.shape[-2:], mode="bilinear", align_corners=True) for g in self.ppm.features]
        out = self.cls(torch.cat([x, *grids], 1)), self.aux(middle)
        return [F.interpolate(scores, size, mode="bilinear", align_corners=True) for scores in out]
