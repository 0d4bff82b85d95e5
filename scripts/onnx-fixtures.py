#!/usr/bin/env python3
"""Exports networks to ONNX and records what onnxruntime computes for them.

    python3 scripts/onnx-fixtures.py small test/formats/onnx/data   # committed as fixtures.zip: tiny widths, same graphs
    python3 scripts/onnx-fixtures.py simplified test/formats/onnx/data  # simplified.zip: onnxsim's results for fixtures.zip
    python3 scripts/onnx-fixtures.py shared test/formats/onnx/data  # fastestdet.json: a real model on real pictures
    python3 scripts/onnx-fixtures.py big /tmp/onnx-big              # scratch: full sizes, for scripts/onnx-check.ts

Needs torch, torchvision, onnx, onnxscript, onnxruntime and (for `simplified`) onnxsim. Writes NAME.onnx files and index.json:
[{file, network, exporter, opset, input: {name, shape}, seed, outputs: [{name, shape, step, values}]}]
where `values` are every step-th element. Some have `other`: the same for another input size, computed by PyTorch, since
the exported graph only runs at one. The input is `Random(seed)` of src/base/random.ts, uniform in [0, 1).
`big` adds `pytorch`, the outputs of the network before export, and `picture`, both for a real picture out of NCNNKIT_DATA
(default ../shared): {file: float32 CHW levels / 255, outputs, pytorch}.
Weights are random: torch.manual_seed, with BatchNorm statistics that a few forward passes in training mode gave.
"""

import json
import os
import sys
import warnings
import zipfile

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torch import nn

warnings.filterwarnings("ignore")


def mulberry(seed, count):
    out = np.empty(count, np.float32)
    s = seed & 0xFFFFFFFF
    m = 0xFFFFFFFF
    for i in range(count):
        s = (s + 0x6D2B79F5) & m
        t = ((s ^ (s >> 15)) * (1 | s)) & m
        t = ((t + (((t ^ (t >> 7)) * (61 | t)) & m)) & m) ^ t
        out[i] = ((t ^ (t >> 14)) & m) / 4294967296
    return out


# --- YOLO-style networks, written for these tests -------------------------------------------------


def activation(kind):
    return {"silu": nn.SiLU, "hardswish": nn.Hardswish, "relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.1)}[
        kind
    ]()


class ConvBnAct(nn.Module):
    def __init__(self, c1, c2, k=1, s=1, g=1, act="silu", d=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, d * (k - 1) // 2, groups=g, dilation=d, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3)
        self.act = activation(act) if act else nn.Identity()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Residual(nn.Module):
    def __init__(self, c, act, add=True, e=1.0, k=(1, 3)):
        super().__init__()
        self.a = ConvBnAct(c, int(c * e), k[0], act=act)
        self.b = ConvBnAct(int(c * e), c, k[1], act=act)
        self.add = add

    def forward(self, x):
        y = self.b(self.a(x))
        return x + y if self.add else y


class CspThree(nn.Module):
    def __init__(self, c1, c2, n, act, add=True):
        super().__init__()
        h = c2 // 2
        self.left = ConvBnAct(c1, h, act=act)
        self.right = ConvBnAct(c1, h, act=act)
        self.last = ConvBnAct(2 * h, c2, act=act)
        self.m = nn.Sequential(*(Residual(h, act, add) for _ in range(n)))

    def forward(self, x):
        return self.last(torch.cat((self.m(self.left(x)), self.right(x)), 1))


class PyramidFast(nn.Module):
    def __init__(self, c, act):
        super().__init__()
        self.a = ConvBnAct(c, c // 2, act=act)
        self.b = ConvBnAct(c * 2, c, act=act)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.b(torch.cat((x, y, z, self.pool(z)), 1))


class Pyramid(nn.Module):
    def __init__(self, c, act):
        super().__init__()
        self.a = ConvBnAct(c, c // 2, act=act)
        self.b = ConvBnAct(c * 2, c, act=act)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))

    def forward(self, x):
        x = self.a(x)
        return self.b(torch.cat([x] + [p(x) for p in self.pools], 1))


class Focus(nn.Module):
    def __init__(self, c1, c2, act):
        super().__init__()
        self.conv = ConvBnAct(c1 * 4, c2, 3, act=act)

    def forward(self, x):
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


class AnchorDetect(nn.Module):
    """decode: None (raw [b, 3, h, w, no]), "split" (newer spelling), "slice" (older), "inplace" (assignments)."""

    def __init__(self, channels, nc, decode, strides=(8, 16, 32)):
        super().__init__()
        self.no, self.decode, self.strides = nc + 5, decode, strides
        self.m = nn.ModuleList(nn.Conv2d(c, 3 * self.no, 1) for c in channels)
        self.register_buffer("anchors", torch.tensor(ANCHORS).float().view(3, 1, 3, 1, 1, 2))

    def forward(self, xs):
        raw, decoded = [], []
        for i, x in enumerate(xs):
            x = self.m[i](x)
            b, _, h, w = x.shape
            x = x.view(b, 3, self.no, h, w).permute(0, 1, 3, 4, 2).contiguous()
            raw.append(x)
            if self.decode is None:
                continue
            yv, xv = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack((xv, yv), 2).expand(1, 3, h, w, 2).float()
            anchor = self.anchors[i]
            stride = self.strides[i]
            y = x.sigmoid()
            if self.decode == "split":
                xy, wh, conf = y.split((2, 2, self.no - 4), 4)
                y = torch.cat(((xy * 2 + (grid - 0.5)) * stride, (wh * 2) ** 2 * anchor, conf), 4)
            elif self.decode == "slice":
                xy = (y[..., 0:2] * 2.0 - 0.5 + grid) * stride
                wh = (y[..., 2:4] * 2) ** 2 * anchor
                y = torch.cat((xy, wh, y[..., 4:]), -1)
            else:
                y[..., 0:2] = (y[..., 0:2] * 2.0 - 0.5 + grid) * stride
                y[..., 2:4] = (y[..., 2:4] * 2) ** 2 * anchor
            decoded.append(y.view(b, -1, self.no))
        return raw if self.decode is None else torch.cat(decoded, 1)


class YoloFive(nn.Module):
    def __init__(self, width=(4, 4, 8, 8, 8), depth=1, nc=3, act="silu", focus=False, decode=None):
        super().__init__()
        a, b, c, d, e = width
        self.stem = Focus(3, a, act) if focus else ConvBnAct(3, a, 6, 2, act=act)
        if not focus:
            self.stem.conv.padding = (2, 2)
        self.d1, self.c1 = ConvBnAct(a, b, 3, 2, act=act), CspThree(b, b, depth, act)
        self.d2, self.c2 = ConvBnAct(b, c, 3, 2, act=act), CspThree(c, c, depth * 2, act)
        self.d3, self.c3 = ConvBnAct(c, d, 3, 2, act=act), CspThree(d, d, depth * 3, act)
        self.d4, self.c4 = ConvBnAct(d, e, 3, 2, act=act), CspThree(e, e, depth, act)
        self.spp = Pyramid(e, act) if focus else PyramidFast(e, act)
        self.l1, self.f1 = ConvBnAct(e, d, act=act), CspThree(2 * d, d, depth, act, False)
        self.l2, self.f2 = ConvBnAct(d, c, act=act), CspThree(2 * c, c, depth, act, False)
        self.u3, self.f3 = ConvBnAct(c, c, 3, 2, act=act), CspThree(2 * c, d, depth, act, False)
        self.u4, self.f4 = ConvBnAct(d, d, 3, 2, act=act), CspThree(2 * d, e, depth, act, False)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.detect = AnchorDetect((c, d, e), nc, decode)

    def forward(self, x):
        x = self.c1(self.d1(self.stem(x)))
        p3 = self.c2(self.d2(x))
        p4 = self.c3(self.d3(p3))
        p5 = self.spp(self.c4(self.d4(p4)))
        h5 = self.l1(p5)
        q4 = self.l2(self.f1(torch.cat((self.up(h5), p4), 1)))
        q3 = self.f2(torch.cat((self.up(q4), p3), 1))
        r4 = self.f3(torch.cat((self.u3(q3), q4), 1))
        r5 = self.f4(torch.cat((self.u4(r4), h5), 1))
        return self.detect([q3, r4, r5])


class CspTwoFast(nn.Module):
    def __init__(self, c1, c2, n, add=False, inner=None):
        super().__init__()
        self.h = c2 // 2
        self.a = ConvBnAct(c1, 2 * self.h)
        self.b = ConvBnAct((2 + n) * self.h, c2)
        self.m = nn.ModuleList(
            (inner or (lambda c: Residual(c, "silu", add, 1.0, (3, 3))))(self.h) for _ in range(n)
        )

    def forward(self, x):
        y = list(self.a(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.b(torch.cat(y, 1))


class Attention(nn.Module):
    def __init__(self, c, heads=2):
        super().__init__()
        self.heads, self.hd = heads, c // heads
        self.kd = self.hd // 2
        self.scale = self.kd**-0.5
        self.qkv = ConvBnAct(c, c + 2 * self.kd * heads, act=None)
        self.proj = ConvBnAct(c, c, act=None)
        self.pe = ConvBnAct(c, c, 3, g=c, act=None)

    def forward(self, x):
        b, c, h, w = x.shape
        qkv = self.qkv(x).view(b, self.heads, self.kd * 2 + self.hd, h * w)
        q, k, v = qkv.split([self.kd, self.kd, self.hd], 2)
        attn = ((q.transpose(-2, -1) @ k) * self.scale).softmax(-1)
        y = (v @ attn.transpose(-2, -1)).view(b, c, h, w) + self.pe(v.reshape(b, c, h, w))
        return self.proj(y)


class AttentionBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attn = Attention(c)
        self.ffn = nn.Sequential(ConvBnAct(c, 2 * c), ConvBnAct(2 * c, c, act=None))

    def forward(self, x):
        x = x + self.attn(x)
        return x + self.ffn(x)


class SplitAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.h = c // 2
        self.a, self.b, self.m = ConvBnAct(c, c), ConvBnAct(c, c), AttentionBlock(self.h)

    def forward(self, x):
        a, b = self.a(x).split((self.h, self.h), 1)
        return self.b(torch.cat((a, self.m(b)), 1))


class DistributionDetect(nn.Module):
    def __init__(self, channels, nc, strides=(8, 16, 32), depthwise=False, bins=16):
        super().__init__()
        self.nc, self.bins, self.strides = nc, bins, strides
        h2, h3 = max(channels[0] // 4, 8), max(channels[0], 8)

        def tower(c, h, out):
            if depthwise:
                seq = [ConvBnAct(c, c, 3, g=c), ConvBnAct(c, h), ConvBnAct(h, h, 3, g=h), ConvBnAct(h, h)]
            else:
                seq = [ConvBnAct(c, h, 3), ConvBnAct(h, h, 3)]
            return nn.Sequential(*seq, nn.Conv2d(h, out, 1))

        self.box = nn.ModuleList(tower(c, h2, 4 * bins) for c in channels)
        self.cls = nn.ModuleList(tower(c, h3, nc) for c in channels)
        self.dfl = nn.Conv2d(bins, 1, 1, bias=False)
        self.dfl.weight.data[:] = torch.arange(bins).float().view(1, bins, 1, 1)

    def forward(self, xs):
        ys = [torch.cat((self.box[i](x), self.cls[i](x)), 1) for i, x in enumerate(xs)]
        points, strides = [], []
        for y, s in zip(ys, self.strides):
            h, w = y.shape[2:]
            sy, sx = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            points.append(torch.stack((sx, sy), -1).view(-1, 2))
            strides.append(torch.full((h * w, 1), float(s)))
        points, strides = torch.cat(points).transpose(0, 1), torch.cat(strides).transpose(0, 1)
        b = ys[0].shape[0]
        y = torch.cat([v.view(b, 4 * self.bins + self.nc, -1) for v in ys], 2)
        box, cls = y.split((4 * self.bins, self.nc), 1)
        a = box.shape[-1]
        d = self.dfl(box.view(b, 4, self.bins, a).transpose(2, 1).softmax(1)).view(b, 4, a)
        lt, rb = d.chunk(2, 1)
        low, high = points.unsqueeze(0) - lt, points.unsqueeze(0) + rb
        return torch.cat((torch.cat(((low + high) / 2, high - low), 1) * strides, cls.sigmoid()), 1)


class YoloEight(nn.Module):
    def __init__(self, width=(4, 4, 8, 8, 8), depth=1, nc=3, eleven=False):
        super().__init__()
        a, b, c, d, e = width
        block = lambda i, o, n, add: CspTwoFast(
            i, o, n, add, (lambda h: CspThree(h, h, 2, "silu")) if eleven else None
        )
        self.stem = ConvBnAct(3, a, 3, 2)
        self.d1, self.c1 = ConvBnAct(a, b, 3, 2), block(b, b, depth, True)
        self.d2, self.c2 = ConvBnAct(b, c, 3, 2), block(c, c, depth * 2, True)
        self.d3, self.c3 = ConvBnAct(c, d, 3, 2), block(d, d, depth * 2, True)
        self.d4, self.c4 = ConvBnAct(d, e, 3, 2), block(e, e, depth, True)
        self.spp = nn.Sequential(PyramidFast(e, "silu"), *([SplitAttention(e)] if eleven else []))
        self.f1, self.f2 = block(e + d, d, depth, False), block(d + c, c, depth, False)
        self.u3, self.f3 = ConvBnAct(c, c, 3, 2), block(c + d, d, depth, False)
        self.u4, self.f4 = ConvBnAct(d, d, 3, 2), block(d + e, e, depth, False)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.detect = DistributionDetect((c, d, e), nc, depthwise=eleven)

    def forward(self, x):
        p3 = self.c2(self.d2(self.c1(self.d1(self.stem(x)))))
        p4 = self.c3(self.d3(p3))
        p5 = self.spp(self.c4(self.d4(p4)))
        q4 = self.f1(torch.cat((self.up(p5), p4), 1))
        q3 = self.f2(torch.cat((self.up(q4), p3), 1))
        r4 = self.f3(torch.cat((self.u3(q3), q4), 1))
        r5 = self.f4(torch.cat((self.u4(r4), p5), 1))
        return self.detect([q3, r4, r5])


class Oddities(nn.Module):
    """One of each operator that the networks above leave out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.up = nn.ConvTranspose2d(8, 6, 4, 2, 1)
        self.up_group = nn.ConvTranspose2d(6, 6, 2, 2, groups=3)
        self.prelu = nn.PReLU(6)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.group = nn.GroupNorm(2, 8)
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.conv(x)
        a = nn.functional.gelu(self.instance(x)) + nn.functional.mish(self.group(x))
        a = nn.functional.interpolate(a, scale_factor=2, mode="bilinear", align_corners=False)
        b = self.prelu(self.up(x))
        b = self.up_group(nn.functional.avg_pool2d(b, 2))
        b = torch.nn.functional.pad(b, (1, 1, 1, 1), mode="reflect")[:, :, 1:-1, 1:-1]
        c = torch.cat((a, b.clamp(-1, 1)), 1)
        d = nn.functional.pixel_shuffle(c[:, :12], 2)
        n = self.norm(a.flatten(2).transpose(1, 2))
        e = self.fc(n).softmax(-1).mean(1)
        f = c.amax((2, 3)) - c.mean((2, 3)).exp().sqrt() / 2
        g = (c[:, 3] * c[:, 5].abs()).sum(1)
        return d, e, f, g, nn.functional.normalize(a, dim=1), c[:, 0:14:3]


# --- what is exported -----------------------------------------------------------------------------

tv = torchvision.models


def tiny_mobilenet_v3():
    from torchvision.models.mobilenetv3 import InvertedResidualConfig as C
    from torchvision.models.mobilenetv3 import MobileNetV3

    rows = [
        C(8, 3, 8, 8, True, "RE", 2, 1, 1),
        C(8, 3, 16, 8, False, "RE", 2, 1, 1),
        C(8, 5, 24, 8, True, "HS", 1, 1, 1),
    ]
    return MobileNetV3(rows, 16, num_classes=10)


def tiny_efficientnet():
    from torchvision.models.efficientnet import EfficientNet
    from torchvision.models.efficientnet import MBConvConfig as C

    rows = [C(1, 3, 1, 8, 8, 1, 1.0, 1.0), C(3, 3, 2, 8, 12, 2, 1.0, 1.0)]
    return EfficientNet(rows, dropout=0.2, num_classes=10, last_channel=24)


def tiny_regnet():
    from torchvision.models.regnet import BlockParams, RegNet

    return RegNet(
        BlockParams.from_init_params(depth=3, w_0=8, w_a=8, w_m=2, group_width=4, se_ratio=0.25),
        num_classes=10,
        stem_width=8,
    )


def tiny_resnet():
    m = tv.ResNet(tv.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
    replace_width(m, 8)
    return m


def replace_width(module, divide):
    """Divides every width of a network but its input by `divide`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            i = child.in_channels if child.in_channels == 3 else child.in_channels // divide
            g = child.groups if child.groups == 1 else max(child.groups // divide, 1)
            setattr(
                module,
                name,
                nn.Conv2d(
                    i,
                    child.out_channels // divide,
                    child.kernel_size,
                    child.stride,
                    child.padding,
                    child.dilation,
                    g,
                    child.bias is not None,
                ),
            )
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features // divide))
        elif isinstance(child, nn.Linear):
            setattr(module, name, nn.Linear(child.in_features // divide, child.out_features))
        else:
            replace_width(child, divide)


def divided(make, divide):
    m = make()
    replace_width(m, divide)
    return m


TS, DY = "torchscript", "dynamo"
SMALL = [
    ("yolov5-v6", lambda: YoloFive(), 64, [(TS, 11), (TS, 12), (TS, 17), (DY, 18)], {"other": [96, 32]}),
    ("yolov5-v6-split", lambda: YoloFive(decode="split"), 64, [(TS, 12), (TS, 17), (DY, 18)], {}),
    ("yolov5-v6-dynamic", lambda: YoloFive(decode="split"), 64, [(TS, 12)], {"dynamic": True}),
    (
        "yolov5-v5",
        lambda: YoloFive(act="hardswish", focus=True),
        64,
        [(TS, 11), (TS, 17), (DY, 18)],
        {"other": [32, 96]},
    ),
    ("yolov5-v5-slice", lambda: YoloFive(act="hardswish", focus=True, decode="slice"), 64, [(TS, 11)], {}),
    ("yolov5-v5-inplace", lambda: YoloFive(act="leaky", focus=True, decode="inplace"), 64, [(TS, 12)], {}),
    ("yolov8", lambda: YoloEight(), 64, [(TS, 11), (TS, 17), (DY, 18)], {}),
    ("yolo11", lambda: YoloEight(eleven=True), 64, [(TS, 17), (DY, 18)], {}),
    ("oddities", Oddities, 32, [(TS, 12), (TS, 17), (DY, 18)], {}),
    (
        "shufflenet",
        lambda: tv.ShuffleNetV2([2, 2, 1], [8, 8, 16, 16, 16], 10),
        64,
        [(TS, 11), (TS, 17), (DY, 18)],
        {},
    ),
    (
        "mobilenetv2",
        lambda: tv.MobileNetV2(
            num_classes=10, inverted_residual_setting=[[1, 8, 1, 1], [4, 8, 2, 2]], width_mult=0.25
        ),
        32,
        [(TS, 17)],
        {},
    ),
    ("mobilenetv3", tiny_mobilenet_v3, 32, [(TS, 12), (TS, 17), (DY, 18)], {}),
    ("efficientnet", tiny_efficientnet, 32, [(TS, 17), (DY, 18)], {}),
    ("regnet", tiny_regnet, 32, [(TS, 17), (DY, 18)], {}),
    ("resnet", tiny_resnet, 64, [(TS, 9), (DY, 18)], {}),
    ("squeezenet", lambda: divided(lambda: tv.squeezenet1_1(num_classes=80), 8), 64, [(TS, 17)], {}),
]
IMAGENET = {
    "shufflenet_v2_x1_0": {},
    "mobilenet_v2": {},
    "mobilenet_v3_large": {},
    "mobilenet_v3_small": {},
    "efficientnet_b0": {},
    "regnet_y_400mf": {},
    "resnet18": {},
    "resnet50": {},
    "squeezenet1_1": {},
    "googlenet": {"init_weights": False, "aux_logits": False},
    "mnasnet1_0": {},
    "alexnet": {},
    "vgg16": {},
}
FULL = (32, 64, 128, 256, 512)
BIG = [
    ("yolov5s-v6", lambda: YoloFive(FULL, 1, 80), 640, [(TS, 12), (DY, 18)], {"other": [416, 320]}),
    ("yolov5s-v6-split", lambda: YoloFive(FULL, 1, 80, decode="split"), 320, [(TS, 17), (DY, 18)], {}),
    (
        "yolov5s-v5",
        lambda: YoloFive(FULL, 1, 80, "hardswish", True),
        320,
        [(TS, 12), (DY, 18)],
        {"other": [640, 640]},
    ),
    ("yolov8n", lambda: YoloEight((16, 32, 64, 128, 256), 1, 80), 320, [(TS, 17), (DY, 18)], {}),
    ("yolo11n", lambda: YoloEight((16, 32, 64, 128, 256), 1, 80, True), 320, [(TS, 17), (DY, 18)], {}),
] + [
    (n, (lambda n=n, k=k: getattr(tv, n)(weights=None, **k)), 224, [(TS, 17), (DY, 18)], {})
    for n, k in IMAGENET.items()
]


def prepare(make, size, small):
    torch.manual_seed(0)
    model = make()
    model.train()
    try:
        with torch.no_grad():
            for _ in range(3):
                model(torch.rand(2, 3, size, size))
    except Exception as error:
        print("  no statistics:", error)
    if small:
        # Coarse numbers compress well.
        with torch.no_grad():
            for name, value in list(model.named_parameters()) + list(model.named_buffers()):
                if "anchors" in name or "dfl" in name or not value.is_floating_point():
                    continue
                value.copy_((value * 16).round() / 16)
                if name.endswith("running_var"):
                    value.copy_(2 ** value.clamp_min(1 / 16).log2().round())
    return model.eval()


def export(model, size, path, exporter, opset, dynamic):
    x = torch.rand(1, 3, size, size)
    if exporter == TS:
        axes = {"images": {0: "batch", 2: "height", 3: "width"}} if dynamic else None
        torch.onnx.export(
            model, x, path, dynamo=False, opset_version=opset, input_names=["images"], dynamic_axes=axes
        )
    else:
        torch.onnx.export(
            model,
            (x,),
            path,
            dynamo=True,
            opset_version=opset,
            input_names=["images"],
            external_data=False,
            verbose=False,
        )
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del proto.graph.metadata_props[:]
    for value in (
        list(proto.graph.value_info)
        + list(proto.graph.input)
        + list(proto.graph.output)
        + list(proto.graph.initializer)
    ):
        del value.metadata_props[:]
    onnx.save(proto, path)


def sample(name, value, most=300):
    flat = value.astype(np.float32).ravel()
    step = max(1, flat.size // most)
    return {
        "name": name,
        "shape": list(value.shape),
        "step": step,
        "values": [float(f"{v:.6g}") for v in flat[::step]],
    }


def record(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    names = [info.name for info in session.get_outputs()]
    outputs = [sample(n, v) for n, v in zip(names, session.run(None, {name: x}))]
    return {"input": {"name": name, "shape": list(x.shape)}, "outputs": outputs}


def record_noise(path, size, seed=7):
    return {**record(path, mulberry(seed, 3 * size * size).reshape(1, 3, size, size)), "seed": seed}


def by_pytorch(model, x, names):
    """Outputs of the network itself, under the names of its export."""
    with torch.no_grad():
        values = model(torch.from_numpy(x))
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    return [sample(n, v.numpy()) for n, v in zip(names, values, strict=True)]


def picture(size):
    """A part of a photograph, enlarged where the network is larger than it; [1, 3, size, size], 0 to 1."""
    levels = np.load(os.path.join(os.environ.get("NCNNKIT_DATA", "../shared"), "golden/in416-776.npy"))
    times = -(-size // 416)
    part = levels.repeat(times, 0).repeat(times, 1)[:size, :size]
    return np.ascontiguousarray(part.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def record_more(folder, path, model, entry):
    """What only the large networks have: outputs of PyTorch, and all for a picture."""
    names = [o["name"] for o in entry["outputs"]]
    shape = entry["input"]["shape"]
    x = picture(shape[2])
    file = f"picture-{shape[2]}.f32"
    x.tofile(os.path.join(folder, file))
    pytorch = by_pytorch(model, mulberry(entry["seed"], int(np.prod(shape))).reshape(shape), names)
    real = {"file": file, "outputs": record(path, x)["outputs"], "pytorch": by_pytorch(model, x, names)}
    return {"pytorch": pytorch, "picture": real}


def other_size(model, shape, names, seed=7):
    return {
        "shape": shape,
        "outputs": by_pytorch(model, mulberry(seed, int(np.prod(shape))).reshape(shape), names),
    }


# --- one operator at a time -----------------------------------------------------------------------


def operator_cases():
    """(name, opset, input shape, nodes): a node is (type, inputs after the first, attributes); inputs are arrays or None."""
    f = lambda *shape: (np.random.RandomState(len(shape) + sum(shape)).rand(*shape) * 2 - 1).astype(
        np.float32
    )
    pos = lambda *shape: np.abs(f(*shape)) + 0.25
    i = lambda *values: np.array(values, np.int64)
    s = np.float32
    x4 = (1, 6, 8, 10)
    for op in "Abs Acos Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor Neg Reciprocal Relu Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh HardSwish Identity".split():
        yield (
            op.lower(),
            17,
            x4,
            [("Mul", [s(2.7 if op in ("Ceil", "Floor", "Round") else 0.9)], {}), (op, [], {})],
        )
    yield "acosh", 17, x4, [("Add", [s(1.5)], {}), ("Acosh", [], {})]
    yield "log", 17, x4, [("Add", [s(0.5)], {}), ("Log", [], {})]
    yield "gelu", 20, x4, [("Gelu", [], {})]
    yield "gelu-tanh", 20, x4, [("Gelu", [], {"approximate": "tanh"})]
    yield "mish", 18, x4, [("Mish", [], {})]
    yield "celu", 17, x4, [("Sub", [s(0.5)], {}), ("Celu", [], {"alpha": 0.7})]
    yield "elu", 17, x4, [("Sub", [s(0.5)], {}), ("Elu", [], {"alpha": 0.7})]
    yield "selu", 17, x4, [("Sub", [s(0.5)], {}), ("Selu", [], {})]
    yield "leaky", 17, x4, [("Sub", [s(0.5)], {}), ("LeakyRelu", [], {"alpha": 0.2})]
    yield "hardsigmoid", 17, x4, [("HardSigmoid", [], {"alpha": 0.3, "beta": 0.2})]
    yield "clip-inputs", 13, x4, [("Clip", [s(0.2), s(0.7)], {})]
    yield "clip-min-only", 13, x4, [("Clip", [s(0.2)], {})]
    yield "clip-attributes", 9, x4, [("Clip", [], {"min": 0.2, "max": 0.7})]
    yield "prelu-channels", 17, x4, [("Sub", [s(0.5)], {}), ("PRelu", [f(6, 1, 1)], {})]
    yield "prelu-one", 17, x4, [("Sub", [s(0.5)], {}), ("PRelu", [f(1)], {})]
    for op in ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"]:
        for name, c in [
            ("scalar", s(1.5)),
            ("one", pos(1, 1, 1, 1)),
            ("channel", pos(1, 6, 1, 1)),
            ("row", pos(10)),
            ("column", pos(8, 1)),
            ("plane", pos(1, 1, 8, 10)),
            ("full", pos(*x4)),
            ("cross", pos(6, 1, 10)),
        ]:
            yield f"{op.lower()}-{name}", 17, x4, [(op, [c], {})]
    for op in ["Sub", "Div", "Pow"]:
        yield f"{op.lower()}-swapped", 17, x4, [(op, [s(1.5), "x"], {"first": True})]
        yield f"{op.lower()}-swapped-channel", 17, x4, [(op, [pos(6, 1, 1), "x"], {"first": True})]
    yield "pow-square", 17, x4, [("Pow", [s(2)], {})]
    yield "pow-root", 17, x4, [("Pow", [s(0.5)], {})]
    yield "add-square-ambiguous", 17, (1, 6, 6, 6), [("Add", [f(6)], {})]
    yield "add-rank2", 17, (1, 12), [("Add", [f(12)], {})]
    yield "add-rank3", 17, (1, 5, 12), [("Add", [f(5, 1)], {})]
    yield "mod", 17, x4, [("Mod", [s(0.3)], {"fmod": 1})]
    w = lambda *shape: f(*shape) / 4
    yield "conv", 17, x4, [("Conv", [w(4, 6, 3, 3), f(4)], {"pads": [1, 1, 1, 1]})]
    yield (
        "conv-odd",
        17,
        x4,
        [("Conv", [w(4, 6, 3, 2)], {"pads": [0, 1, 2, 0], "strides": [2, 1], "dilations": [1, 2]})],
    )
    yield "conv-group", 17, x4, [("Conv", [w(4, 3, 3, 3), f(4)], {"group": 2})]
    yield (
        "conv-depthwise",
        17,
        x4,
        [("Conv", [w(6, 1, 3, 3), f(6)], {"group": 6, "pads": [1, 1, 1, 1], "strides": [2, 2]})],
    )
    yield (
        "conv-same-upper",
        17,
        x4,
        [("Conv", [w(4, 6, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})],
    )
    yield (
        "conv-same-lower",
        17,
        x4,
        [("Conv", [w(4, 6, 3, 3)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]})],
    )
    yield "conv-valid", 17, x4, [("Conv", [w(4, 6, 3, 3)], {"auto_pad": "VALID"})]
    yield "conv-1d", 17, (1, 6, 20), [("Conv", [w(4, 6, 3), f(4)], {"pads": [1, 0], "strides": [2]})]
    yield (
        "conv-half",
        17,
        x4,
        [
            ("Cast", [], {"to": 10}),
            ("Conv", [w(4, 6, 3, 3).astype(np.float16), f(4).astype(np.float16)], {}),
            ("Cast", [], {"to": 1}),
        ],
    )
    yield (
        "conv-batchnorm",
        17,
        x4,
        [
            ("Conv", [w(4, 6, 3, 3)], {}),
            ("BatchNormalization", [f(4), f(4), f(4), pos(4)], {"epsilon": 1e-3}),
        ],
    )
    yield (
        "deconv",
        17,
        x4,
        [("ConvTranspose", [w(6, 4, 4, 4), f(4)], {"pads": [1, 1, 1, 1], "strides": [2, 2]})],
    )
    yield (
        "deconv-odd",
        17,
        x4,
        [
            (
                "ConvTranspose",
                [w(6, 4, 3, 2)],
                {"pads": [0, 1, 1, 0], "strides": [2, 3], "output_padding": [1, 0]},
            )
        ],
    )
    yield (
        "deconv-padded-out",
        17,
        x4,
        [("ConvTranspose", [w(6, 4, 3, 3)], {"strides": [2, 2], "output_padding": [1, 1]})],
    )
    yield "deconv-group", 17, x4, [("ConvTranspose", [w(6, 2, 2, 2), f(4)], {"strides": [2, 2], "group": 2})]
    yield "deconv-depthwise", 17, x4, [("ConvTranspose", [w(6, 1, 2, 2)], {"strides": [2, 2], "group": 6})]
    yield "batchnorm", 17, x4, [("BatchNormalization", [f(6), f(6), f(6), pos(6)], {})]
    yield "batchnorm-vector", 17, (1, 6), [("BatchNormalization", [f(6), f(6), f(6), pos(6)], {})]
    yield "instancenorm", 17, x4, [("InstanceNormalization", [f(6), f(6)], {})]
    yield "instancenorm-1d", 17, (1, 6, 12), [("InstanceNormalization", [f(6), f(6)], {})]
    yield "groupnorm", 21, x4, [("GroupNormalization", [f(6), f(6)], {"num_groups": 3})]
    yield "layernorm", 17, x4, [("LayerNormalization", [f(10), f(10)], {"axis": -1})]
    yield "layernorm-two", 17, x4, [("LayerNormalization", [f(8, 10), f(8, 10)], {"axis": 2})]
    yield "layernorm-plain", 17, (1, 7, 12), [("LayerNormalization", [np.ones(12, np.float32)], {"axis": -1})]
    yield "lrn", 17, x4, [("LRN", [], {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5})]
    yield "lpnorm", 17, x4, [("LpNormalization", [], {"axis": 1, "p": 2})]
    for kind in ["Max", "Average"]:
        k = kind.lower()
        yield (
            f"{k}pool",
            17,
            x4,
            [(kind + "Pool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})],
        )
        yield (
            f"{k}pool-odd",
            17,
            x4,
            [(kind + "Pool", [], {"kernel_shape": [3, 2], "strides": [1, 3], "pads": [0, 1, 1, 0]})],
        )
        yield (
            f"{k}pool-ceil",
            17,
            x4,
            [(kind + "Pool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})],
        )
        yield (
            f"{k}pool-ceil-pad",
            19,
            (1, 3, 7, 7),
            [
                (
                    kind + "Pool",
                    [],
                    {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
                )
            ],
        )
        yield (
            f"{k}pool-same-upper",
            17,
            x4,
            [(kind + "Pool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})],
        )
        yield (
            f"{k}pool-same-lower",
            17,
            x4,
            [(kind + "Pool", [], {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER"})],
        )
        yield f"global-{k}", 17, x4, [(f"Global{kind}Pool", [], {})]
    yield (
        "averagepool-include",
        17,
        x4,
        [("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})],
    )
    yield (
        "se-block",
        17,
        x4,
        [
            ("GlobalAveragePool", [], {}),
            ("Conv", [w(3, 6, 1, 1), f(3)], {}),
            ("Relu", [], {}),
            ("Conv", [w(6, 3, 1, 1)], {}),
            ("Sigmoid", [], {}),
            ("Mul", ["x"], {}),
        ],
    )
    for name, attributes, scales in [
        (
            "nearest-floor",
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            [2, 2],
        ),
        ("nearest-half", {"mode": "nearest"}, [3, 2]),
        (
            "nearest-down",
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            [0.5, 0.5],
        ),
        ("linear", {"mode": "linear"}, [2, 2]),
        ("linear-down", {"mode": "linear"}, [0.5, 0.5]),
        ("linear-corners", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, [2, 3]),
        (
            "linear-pytorch",
            {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
            [2, 2],
        ),
        ("cubic", {"mode": "cubic"}, [2, 2]),
    ]:
        yield (
            f"resize-{name}",
            17,
            x4,
            [("Resize", [None, np.array([1, 1, *scales], np.float32)], attributes)],
        )
    yield "resize-sizes", 17, x4, [("Resize", [None, None, i(1, 6, 12, 17)], {"mode": "linear"})]
    yield "resize-ten", 10, x4, [("Resize", [np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"})]
    yield "upsample", 9, x4, [("Upsample", [np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"})]
    yield "pad", 17, x4, [("Pad", [i(0, 0, 1, 2, 0, 0, 3, 0), s(0.5)], {})]
    yield "pad-reflect", 17, x4, [("Pad", [i(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"})]
    yield "pad-edge", 17, x4, [("Pad", [i(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "edge"})]
    yield "pad-channels", 17, x4, [("Pad", [i(0, 1, 0, 0, 0, 2, 0, 0)], {})]
    yield "pad-axes", 18, x4, [("Pad", [i(1, 2), None, i(3)], {})]
    yield "pad-old", 10, x4, [("Pad", [], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 0.5})]
    yield "depth-to-space", 17, (1, 8, 4, 5), [("DepthToSpace", [], {"blocksize": 2})]
    yield "depth-to-space-crd", 17, (1, 8, 4, 5), [("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"})]
    yield "space-to-depth", 17, x4, [("SpaceToDepth", [], {"blocksize": 2})]
    yield (
        "pixel-shuffle",
        17,
        (1, 8, 4, 5),
        [
            ("Reshape", [i(1, 2, 2, 2, 4, 5)], {}),
            ("Transpose", [], {"perm": [0, 1, 4, 2, 5, 3]}),
            ("Reshape", [i(1, 2, 8, 10)], {}),
        ],
    )
    yield (
        "reorg",
        17,
        (1, 3, 8, 6),
        [
            ("Reshape", [i(1, 3, 4, 2, 3, 2)], {}),
            ("Transpose", [], {"perm": [0, 1, 3, 5, 2, 4]}),
            ("Reshape", [i(1, 12, 4, 3)], {}),
        ],
    )
    yield (
        "shuffle",
        17,
        x4,
        [
            ("Reshape", [i(1, 2, 3, 8, 10)], {}),
            ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", [i(1, -1, 8, 10)], {}),
        ],
    )
    yield (
        "shuffle-three",
        17,
        x4,
        [
            ("Reshape", [i(0, 3, 2, 8, 10)], {}),
            ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", [i(1, -1, 8, 10)], {}),
        ],
    )
    for perm in [[0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]]:
        yield "transpose-" + "".join(map(str, perm)), 17, x4, [("Transpose", [], {"perm": perm})]
    for perm in [[0, 1, 3, 4, 2], [0, 4, 2, 1, 3], [0, 3, 1, 4, 2]]:
        yield (
            "transpose5-" + "".join(map(str, perm)),
            17,
            (1, 3, 4, 5, 6),
            [("Transpose", [], {"perm": perm})],
        )
    yield (
        "head",
        17,
        (1, 21, 4, 5),
        [
            ("Reshape", [i(1, 3, 7, 4, 5)], {}),
            ("Transpose", [], {"perm": [0, 1, 3, 4, 2]}),
            ("Reshape", [i(1, -1, 7)], {}),
        ],
    )
    yield "flatten", 17, x4, [("Flatten", [], {})]
    yield "flatten-gemm", 17, x4, [("Flatten", [], {}), ("Gemm", [w(5, 480), f(5)], {"transB": 1})]
    yield "gemm-factors", 17, (1, 12), [("Gemm", [w(12, 5), f(1, 5)], {"alpha": 0.5, "beta": 2.0})]
    yield "gemm-rows", 17, (1, 48), [("Reshape", [i(4, 12)], {}), ("Gemm", [w(12, 5), f(5)], {})]
    yield "matmul", 17, (1, 7, 12), [("MatMul", [w(12, 5)], {})]
    yield "matmul-bias", 17, (1, 7, 12), [("MatMul", [w(12, 5)], {}), ("Add", [f(5)], {})]
    yield "matmul-vector", 17, (1, 12), [("MatMul", [w(12, 5)], {})]
    yield "matmul-batch", 17, (1, 3, 7, 12), [("MatMul", [w(3, 12, 5)], {})]
    yield "matmul-self", 17, (1, 3, 7, 7), [("MatMul", ["x"], {})]
    for axis in [-1, 1, 2, 3]:
        yield f"softmax{axis}", 17, x4, [("Softmax", [], {"axis": axis})]
    yield "softmax-old", 11, x4, [("Softmax", [], {"axis": 1})]
    yield "softmax-old-last", 11, x4, [("Softmax", [], {"axis": 3})]
    yield "softmax-vector", 17, (1, 12), [("Softmax", [], {"axis": 1})]
    yield "logsoftmax", 17, (1, 12), [("LogSoftmax", [], {"axis": -1})]
    for op in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split():
        yield (
            f"reduce-{op.lower()}",
            13,
            x4,
            [(f"Reduce{op}", *([[i(1)], {}] if op == "Sum" else [[], {"axes": [1]}]))],
        )
    for name, axes in [
        ("spatial", [2, 3]),
        ("last", [-1]),
        ("middle", [2]),
        ("outer", [1, 3]),
        ("all", [0, 1, 2, 3]),
    ]:
        for keep in [0, 1]:
            yield f"mean-{name}-{keep}", 18, x4, [("ReduceMean", [i(*axes)], {"keepdims": keep})]
            yield f"max-{name}-{keep}", 13, x4, [("ReduceMax", [], {"axes": axes, "keepdims": keep})]
    yield "mean-mul", 18, x4, [("ReduceMean", [i(2)], {}), ("Mul", ["x"], {})]
    yield "slice-channels", 17, x4, [("Slice", [i(1), i(4), i(1)], {})]
    yield "slice-rows", 17, x4, [("Slice", [i(1), i(-1), i(2)], {})]
    yield "slice-two", 17, x4, [("Slice", [i(1, -3), i(3, 2**63 - 1), i(1, 3)], {})]
    yield "slice-step", 17, x4, [("Slice", [i(1), i(2**63 - 1), i(3), i(2)], {})]
    yield "slice-step-odd", 17, x4, [("Slice", [i(0), i(6), i(1), i(4)], {})]
    yield "slice-old", 9, x4, [("Slice", [], {"starts": [1], "ends": [4], "axes": [1]})]
    yield (
        "slice-inside-view",
        17,
        x4,
        [
            ("Reshape", [i(1, 3, 2, 8, 10)], {}),
            ("Slice", [i(1), i(2), i(2)], {}),
            ("Reshape", [i(1, 3, 8, 10)], {}),
        ],
    )
    yield "gather", 17, x4, [("Gather", [np.array(2)], {"axis": 1})]
    yield "gather-list", 17, x4, [("Gather", [i(2, 0, -1)], {"axis": 1})]
    yield "gather-row", 17, x4, [("Gather", [np.array(-1)], {"axis": 2})]
    yield "unsqueeze", 17, (1, 6, 8), [("Unsqueeze", [i(1)], {}), ("Conv", [w(2, 1, 3, 3)], {})]
    yield "squeeze", 17, (1, 6, 1, 8), [("Squeeze", [i(2)], {}), ("Transpose", [], {"perm": [0, 2, 1]})]
    yield "expand", 17, (1, 6, 1, 10), [("Expand", [i(1, 6, 4, 10)], {})]
    yield "tile", 17, x4, [("Tile", [i(1, 2, 1, 3)], {})]
    yield "concat-constant", 17, x4, [("Concat", [f(1, 2, 8, 10)], {"axis": 1})]
    yield "concat-rows", 17, x4, [("Concat", [f(1, 6, 3, 10)], {"axis": 2})]
    yield "concat-self", 17, x4, [("Concat", ["x"], {"axis": 3})]
    yield "concat-vector", 17, x4, [("GlobalAveragePool", [], {}), ("Concat", [f(1, 3, 1, 1)], {"axis": 1})]
    yield "sum-three", 17, x4, [("Sum", ["x", f(*x4)], {})]
    yield "cast-integers", 17, x4, [("Mul", [s(9)], {}), ("Cast", [], {"to": 7}), ("Cast", [], {"to": 1})]
    yield "swish", 17, x4, [("Sigmoid", [], {}), ("Mul", ["x"], {})]
    yield (
        "hardswish-spelled",
        11,
        x4,
        [("Add", [s(3)], {}), ("Clip", [s(0), s(6)], {}), ("Mul", ["x"], {}), ("Div", [s(6)], {})],
    )
    yield (
        "hardswish-gate",
        11,
        x4,
        [("Add", [s(3)], {}), ("Clip", [s(0), s(6)], {}), ("Div", [s(6)], {}), ("Mul", ["x"], {})],
    )
    yield (
        "hardsigmoid-spelled",
        11,
        x4,
        [("Add", [s(3)], {}), ("Clip", [s(0), s(6)], {}), ("Mul", [s(1 / 6)], {})],
    )
    yield (
        "gelu-spelled",
        11,
        x4,
        [
            ("Div", [s(2**0.5)], {}),
            ("Erf", [], {}),
            ("Add", [s(1)], {}),
            ("Mul", ["x"], {}),
            ("Mul", [s(0.5)], {}),
        ],
    )
    yield "mish-spelled", 11, x4, [("Softplus", [], {}), ("Tanh", [], {}), ("Mul", ["x"], {})]
    yield "softplus-spelled", 11, x4, [("Exp", [], {}), ("Add", [s(1)], {}), ("Log", [], {})]


def operator_model(opset, shape, rows):
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, at = [], [], "x"
    for n, (op, inputs, attributes) in enumerate(rows):
        names = [] if attributes.get("first") else [at]
        for k, value in enumerate(inputs):
            if value is None:
                names.append("")
            elif isinstance(value, str):
                names.append(value)
            else:
                names.append(f"c{n}_{k}")
                constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        at = "y" if n == len(rows) - 1 else f"t{n}"
        nodes.append(
            helper.make_node(op, names, [at], **{k: v for k, v in attributes.items() if k != "first"})
        )
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def export_operators(folder, index):
    for name, opset, shape, rows in operator_cases():
        file = f"op-{name}.onnx"
        model = operator_model(opset, shape, rows)
        onnx.save(model, os.path.join(folder, file))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        x = mulberry(7, int(np.prod(shape))).reshape(shape)
        outputs = [sample("y", session.run(None, {"x": x})[0], 40)]
        index[file] = {
            "file": file,
            "network": "operator",
            "exporter": "onnx.helper",
            "opset": opset,
            "input": {"name": "x", "shape": list(shape)},
            "seed": 7,
            "outputs": outputs,
        }


def record_shared(folder):
    """FastestDet on two pictures, levels / 255: {picture: sample}; pictures are cut or padded with 0 to 352x352."""
    data = os.environ.get("NCNNKIT_DATA", "../shared")
    session = onnxruntime.InferenceSession(
        os.path.join(data, "models/FastestDet.onnx"), providers=["CPUExecutionProvider"]
    )
    results = {}
    for name in ["golden/in416-776.npy", "golden/in320-139.npy"]:
        pixels = np.zeros((352, 352, 3), np.uint8)
        levels = np.load(os.path.join(data, name))[:352, :352]
        pixels[: levels.shape[0], : levels.shape[1]] = levels
        x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        [value] = session.run(None, {session.get_inputs()[0].name: x})
        results[name] = sample(session.get_outputs()[0].name, value, 1500)
    with open(os.path.join(folder, "fastestdet.json"), "w") as out:
        out.write(json.dumps(results) + "\n")


def record_simplified(folder):
    """What onnxsim makes of the networks, with kernels set to zero: only the graphs are compared."""
    import onnxsim
    from onnx import numpy_helper

    written = []
    with zipfile.ZipFile(os.path.join(folder, "fixtures.zip")) as archive:
        for entry in json.loads(archive.read("index.json")):
            if entry["network"] == "operator":
                continue
            proto = onnx.load_from_string(archive.read(entry["file"]))
            shape = (
                {entry["input"]["name"]: entry["input"]["shape"]} if "dynamic" in entry["network"] else None
            )
            simple, ok = onnxsim.simplify(proto, overwrite_input_shapes=shape)
            assert ok, entry["file"]
            kernels = {
                n.input[1]
                for n in simple.graph.node
                if n.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
            }
            for tensor in simple.graph.initializer:
                if tensor.name in kernels and np.prod(tensor.dims) > 64:
                    zeros = np.zeros(tensor.dims, numpy_helper.to_array(tensor).dtype)
                    tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
            del simple.graph.value_info[:]
            onnx.save(simple, os.path.join(folder, entry["file"]))
            written.append(entry["file"])
            print(entry["file"], len(proto.graph.node), "->", len(simple.graph.node), flush=True)
    pack(folder, "simplified.zip", written)


def main():
    which, folder = sys.argv[1], sys.argv[2]
    if which == "simplified":
        return record_simplified(folder)
    if which == "shared":
        return record_shared(folder)
    only = sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    index_path = os.path.join(folder, "index.json")
    index = {e["file"]: e for e in json.load(open(index_path))} if os.path.exists(index_path) and only else {}
    for network, make, size, exports, options in SMALL if which == "small" else BIG:
        if only and network not in only:
            continue
        model = prepare(make, size, which == "small")
        for exporter, opset in exports:
            file = f"{network}-{exporter[0]}{opset}.onnx"
            path = os.path.join(folder, file)
            try:
                export(model, size, path, exporter, opset, options.get("dynamic", False))
                entry = {
                    "file": file,
                    "network": network,
                    "exporter": exporter,
                    "opset": opset,
                    **record_noise(path, size),
                }
                if options.get("other"):
                    names = [o["name"] for o in entry["outputs"]]
                    entry["other"] = other_size(model, [1, 3, *options["other"]], names)
                if which == "big":
                    entry.update(record_more(folder, path, model, entry))
            except Exception as error:
                print(file, "FAILED", str(error)[:300])
                continue
            index[file] = entry
            print(file, os.path.getsize(path), flush=True)
    if which == "small" and not only:
        export_operators(folder, index)
    with open(index_path, "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(e) for e in index.values()) + "\n]\n")
    if which == "small":
        pack(
            folder,
            "fixtures.zip",
            [f for f in os.listdir(folder) if f.endswith(".onnx") or f == "index.json"],
        )


def pack(folder, name, files):
    """The files into one zip without dates, which is what the tests read; the loose files are removed."""
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(files):
            path = os.path.join(folder, file)
            archive.writestr(zipfile.ZipInfo(file), open(path, "rb").read(), zipfile.ZIP_DEFLATED, 9)
            os.remove(path)


if __name__ == "__main__":
    main()
