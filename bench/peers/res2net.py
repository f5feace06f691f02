"""Res2Net-50 26w x 4s (Gao et al. 2019) as one would write it plainly in PyTorch, in the shape that torchvision's
feature pyramid takes a ResNet in. The stride lies in the first 1x1 convolution, as in maskrcnn-benchmark's configs.
"""
import torch
from torch import nn

EXPANSION = 4


class Bottle2neck(nn.Module):
    def __init__(self, inplanes, planes, stride, norm, width_per_group=26, scale=4):
        super().__init__()
        width = width_per_group * planes // 64
        self.width, self.scale = width, scale
        self.conv1 = nn.Conv2d(inplanes, width * scale, 1, stride=stride, bias=False)
        self.bn1 = norm(width * scale)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(scale - 1))
        self.bns = nn.ModuleList(norm(width) for _ in range(scale - 1))
        self.conv3 = nn.Conv2d(width * scale, planes * EXPANSION, 1, bias=False)
        self.bn3 = norm(planes * EXPANSION)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inplanes != planes * EXPANSION:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes * EXPANSION, 1, stride=stride, bias=False), norm(planes * EXPANSION)
            )
            self.pool = nn.AvgPool2d(3, stride=1, padding=1)

    def forward(self, x):
        splits = torch.split(self.relu(self.bn1(self.conv1(x))), self.width, 1)
        parts = []
        for conv, bn, split in zip(self.convs, self.bns, splits):
            if parts and self.downsample is None:
                split = parts[-1] + split
            parts.append(self.relu(bn(conv(split))))
        parts.append(splits[-1] if self.downsample is None else self.pool(splits[-1]))
        out = self.bn3(self.conv3(torch.cat(parts, 1)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Res2Net(nn.Module):
    def __init__(self, blocks, norm):
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, count in enumerate(blocks):
            planes = 64 * 2**stage
            made = []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                made.append(Bottle2neck(self.inplanes, planes, stride, norm))
                self.inplanes = planes * EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def res2net50(norm):
    return Res2Net([3, 4, 6, 3], norm)
