"""The detector: ShuffleNetV2 backbone, a path aggregation neck, three YOLOv5 heads. Module names are those of checkpoints."""

import torch
from torch import Tensor, nn

from models.common import Concat, Conv, DWConvblock, Shuffle_Block, conv_bn_relu_maxpool

STRIDES = (8, 16, 32)


class Detect(nn.Module):
    """A 1x1 convolution a level. Output `[batch, anchors, h, w, 5 + classes]`: x, y, w, h, objectness, classes; logits."""

    def __init__(self, classes: int, anchors: list[list[float]], channels: list[int]) -> None:
        """`anchors`: `w0 h0 w1 h1 …` in input pixels, a list a level."""
        super().__init__()
        self.nc = classes
        self.no = classes + 5
        self.nl = len(anchors)
        self.na = len(anchors[0]) // 2
        self.stride = torch.tensor([float(stride) for stride in STRIDES])
        pixels = torch.tensor(anchors).view(self.nl, self.na, 2)
        self.register_buffer("anchors", pixels / self.stride.view(-1, 1, 1))
        self.m = nn.ModuleList(nn.Conv2d(c, self.na * self.no, 1) for c in channels)
        for head in self.m:
            # At first nothing is an object: about two of all cells, and any class is as likely as another.
            bias = head.bias.detach().view(self.na, -1)
            bias.zero_()
            bias[:, 4] = -6.0
            bias[:, 5:] = -1.5

    def forward(self, blobs: list[Tensor]) -> list[Tensor]:
        outputs = []
        for head, x in zip(self.m, blobs):
            y = head(x)
            batch, _, h, w = y.shape
            outputs.append(y.view(batch, self.na, self.no, h, w).permute(0, 1, 3, 4, 2))
        return outputs


def layers(channels: tuple[int, int, int], repeats: tuple[int, int, int], stem: int, neck: int):
    """`(module, where its inputs come from)` in order; -1 is the module before."""
    c8, c16, c32 = channels

    def stage(c_in: int, c_out: int, count: int) -> nn.Sequential:
        units = [Shuffle_Block(c_in, c_out, 2)] + [Shuffle_Block(c_out, c_out, 1) for _ in range(count)]
        return nn.Sequential(*units)

    def up() -> nn.Upsample:
        return nn.Upsample(scale_factor=2, mode="nearest")

    return [
        (conv_bn_relu_maxpool(3, stem), -1),  # 0, stride 4
        (stage(stem, c8, repeats[0]), -1),  # 1, stride 8
        (stage(c8, c16, repeats[1]), -1),  # 2, stride 16
        (stage(c16, c32, repeats[2]), -1),  # 3, stride 32
        (Conv(c32, neck), -1),  # 4
        (up(), -1),  # 5
        (Concat(), [-1, 2]),  # 6
        (Conv(neck + c16, neck), -1),  # 7
        (DWConvblock(neck, neck, 5, 1), -1),  # 8
        (up(), -1),  # 9
        (Concat(), [-1, 1]),  # 10
        (Conv(neck + c8, neck), -1),  # 11
        (DWConvblock(neck, neck, 5, 1), -1),  # 12, out at stride 8
        (DWConvblock(neck, neck, 3, 2), -1),  # 13
        (Concat(), [-1, 8]),  # 14
        (Conv(2 * neck, neck), -1),  # 15
        (DWConvblock(neck, neck, 5, 1), -1),  # 16, out at stride 16
        (DWConvblock(neck, neck, 3, 2), -1),  # 17
        (Concat(), [-1, 4]),  # 18
        (Conv(2 * neck, neck), -1),  # 19
        (DWConvblock(neck, neck, 5, 1), -1),  # 20, out at stride 32
    ]


class Model(nn.Module):
    def __init__(
        self,
        names: list[str],
        anchors: list[list[float]],
        channels: tuple[int, int, int] = (96, 192, 384),
        repeats: tuple[int, int, int] = (2, 4, 2),
        stem: int = 16,
        neck: int = 80,
    ) -> None:
        super().__init__()
        self.names = names
        self.yaml = {"nc": len(names), "ch": 3, "anchors": anchors}
        self.yaml_file = "codefinder"
        plan = layers(channels, repeats, stem, neck)
        plan.append((Detect(len(names), anchors, [neck] * 3), [12, 16, 20]))
        for index, (module, sources) in enumerate(plan):
            module.f = sources
            module.i = index
        self.model = nn.Sequential(*(module for module, _ in plan))
        used = [s for _, sources in plan if isinstance(sources, list) for s in sources if s >= 0]
        self.save = sorted(set(used))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.03

    def forward(self, x: Tensor) -> list[Tensor]:
        kept: dict[int, Tensor] = {}
        for module in self.model:
            if isinstance(module.f, list):
                x = module([x if source == -1 else kept[source] for source in module.f])
            else:
                x = module(x)
            if module.i in self.save:
                kept[module.i] = x
        return x
