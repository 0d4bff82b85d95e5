"""The blocks of the network, under the names and with the attributes that YOLOv5-Lite checkpoints have.

A checkpoint stores modules by class name, so whoever reads one finds these blocks as `models.common.…`. The units are those of
ShuffleNetV2 (Ma et al. 2018, figure 3 c and d); everything is ReLU, whose outputs are never negative and quantize well.
"""

import torch
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class conv_bn_relu_maxpool(nn.Module):  # noqa: N801 - the name in checkpoints
    """The stem: a convolution of stride 2 and a maximum of stride 2, `[3, h, w]` to `[c_out, h/4, w/4]`."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool(self.conv(x))


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    ]


def pointwise(c_in: int, c_out: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


class Shuffle_Block(nn.Module):  # noqa: N801 - the name in checkpoints
    """ShuffleNetV2 unit. Stride 1 (`c_in == c_out`) works on half of the channels, stride 2 on two copies of all."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        half = c_out // 2
        self.branch1 = (
            nn.Sequential(*depthwise(c_in, 2), *pointwise(c_in, half)) if stride == 2 else nn.Sequential()
        )
        self.branch2 = nn.Sequential(
            *pointwise(half if stride == 1 else c_in, half),
            *depthwise(half, stride),
            *pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1) if self.stride == 1 else (self.branch1(x), x)
        # Channels of the two halves take turns, so that the next unit's halves hold some of both.
        return torch.stack((left, self.branch2(right)), 2).flatten(1, 2)


class DWConvblock(nn.Module):
    """Depthwise and pointwise convolution, each with BatchNorm and ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_in, kernel, stride, kernel // 2, groups=c_in, bias=False)
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv2 = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.bn1(self.conv1(x)))
        return torch.relu_(self.bn2(self.conv2(x)))


class Concat(nn.Module):
    """Joins blobs along axis `d`."""

    def __init__(self, d: int = 1) -> None:
        super().__init__()
        self.d = d

    def forward(self, blobs: list[Tensor]) -> Tensor:
        return torch.cat(blobs, self.d)
