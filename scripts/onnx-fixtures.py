#!/usr/bin/env python3
"""Exports networks to ONNX and records what onnxruntime computes for them.

    python3 scripts/onnx-fixtures.py small test/formats/onnx/data   # committed: tiny widths, same graph structure
    python3 scripts/onnx-fixtures.py big /tmp/onnx-big              # scratch: full sizes, for scripts/onnx-check.ts

Needs torch, torchvision, onnx, onnxscript and onnxruntime. Writes NAME.onnx files and index.json:
[{file, network, exporter, opset, input: {name, shape}, seed, outputs: [{name, shape, step, values}]}]
where `values` are every step-th element. The input is `Random(seed)` of src/base/random.ts, uniform in [0, 1).
Weights are random: torch.manual_seed, with BatchNorm statistics that a few forward passes in training mode gave.
"""
import json, os, sys, warnings
import numpy as np
import torch
from torch import nn
import torchvision
import onnx, onnxruntime

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
    return {"silu": nn.SiLU, "hardswish": nn.Hardswish, "relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.1)}[kind]()


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
    def __init__(self, width=(4, 8, 16, 16, 16), depth=1, nc=3, act="silu", focus=False, decode=None):
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
        self.m = nn.ModuleList((inner or (lambda c: Residual(c, "silu", add, 1.0, (3, 3))))(self.h) for _ in range(n))

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
    def __init__(self, width=(8, 8, 16, 16, 16), depth=1, nc=3, eleven=False):
        super().__init__()
        a, b, c, d, e = width
        block = (lambda i, o, n, add: CspTwoFast(i, o, n, add, (lambda h: CspThree(h, h, 2, "silu")) if eleven else None))
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
    from torchvision.models.mobilenetv3 import InvertedResidualConfig as C, MobileNetV3
    rows = [C(8, 3, 8, 8, True, "RE", 2, 1, 1), C(8, 3, 16, 8, False, "RE", 2, 1, 1), C(8, 5, 24, 8, True, "HS", 1, 1, 1)]
    return MobileNetV3(rows, 16, num_classes=10)


def tiny_efficientnet():
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig as C
    rows = [C(1, 3, 1, 8, 8, 1, 1.0, 1.0), C(3, 3, 2, 8, 12, 2, 1.0, 1.0)]
    return EfficientNet(rows, dropout=0.2, num_classes=10, last_channel=24)


def tiny_regnet():
    from torchvision.models.regnet import RegNet, BlockParams
    return RegNet(BlockParams.from_init_params(depth=3, w_0=8, w_a=8, w_m=2, group_width=4, se_ratio=0.25), num_classes=10, stem_width=8)


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
            setattr(module, name, nn.Conv2d(i, child.out_channels // divide, child.kernel_size, child.stride, child.padding, child.dilation, g, child.bias is not None))
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
    ("yolov5-v6", lambda: YoloFive(), 64, [(TS, 11), (TS, 12), (TS, 17), (DY, 18)], {}),
    ("yolov5-v6-split", lambda: YoloFive(decode="split"), 64, [(TS, 12), (TS, 17), (DY, 18)], {}),
    ("yolov5-v6-dynamic", lambda: YoloFive(decode="split"), 64, [(TS, 12)], {"dynamic": True}),
    ("yolov5-v5", lambda: YoloFive(act="hardswish", focus=True), 64, [(TS, 11), (TS, 17), (DY, 18)], {}),
    ("yolov5-v5-slice", lambda: YoloFive(act="hardswish", focus=True, decode="slice"), 64, [(TS, 11)], {}),
    ("yolov5-v5-inplace", lambda: YoloFive(act="leaky", focus=True, decode="inplace"), 64, [(TS, 12)], {}),
    ("yolov8", lambda: YoloEight(), 64, [(TS, 11), (TS, 17), (DY, 18)], {}),
    ("yolo11", lambda: YoloEight(eleven=True), 64, [(TS, 17), (DY, 18)], {}),
    ("oddities", Oddities, 32, [(TS, 12), (TS, 17), (DY, 18)], {}),
    ("shufflenet", lambda: tv.ShuffleNetV2([2, 2, 1], [8, 8, 16, 16, 16], 10), 64, [(TS, 11), (TS, 17), (DY, 18)], {}),
    ("mobilenetv2", lambda: tv.MobileNetV2(num_classes=10, inverted_residual_setting=[[1, 8, 1, 1], [4, 8, 2, 2]], width_mult=0.25), 32, [(TS, 17)], {}),
    ("mobilenetv3", tiny_mobilenet_v3, 32, [(TS, 12), (TS, 17), (DY, 18)], {}),
    ("efficientnet", tiny_efficientnet, 32, [(TS, 17), (DY, 18)], {}),
    ("regnet", tiny_regnet, 32, [(TS, 17), (DY, 18)], {}),
    ("resnet", tiny_resnet, 64, [(TS, 9), (DY, 18)], {}),
    ("squeezenet", lambda: divided(lambda: tv.squeezenet1_1(num_classes=80), 8), 64, [(TS, 17)], {}),
]
IMAGENET = {
    "shufflenet_v2_x1_0": {}, "mobilenet_v2": {}, "mobilenet_v3_large": {}, "mobilenet_v3_small": {}, "efficientnet_b0": {},
    "regnet_y_400mf": {}, "resnet18": {}, "resnet50": {}, "squeezenet1_1": {}, "googlenet": {"init_weights": False, "aux_logits": False},
    "mnasnet1_0": {}, "alexnet": {}, "vgg16": {},
}
FULL = (32, 64, 128, 256, 512)
BIG = [
    ("yolov5s-v6", lambda: YoloFive(FULL, 1, 80), 640, [(TS, 12), (DY, 18)], {}),
    ("yolov5s-v6-split", lambda: YoloFive(FULL, 1, 80, decode="split"), 320, [(TS, 17), (DY, 18)], {}),
    ("yolov5s-v5", lambda: YoloFive(FULL, 1, 80, "hardswish", True), 320, [(TS, 12), (DY, 18)], {}),
    ("yolov8n", lambda: YoloEight((16, 32, 64, 128, 256), 1, 80), 320, [(TS, 17), (DY, 18)], {}),
    ("yolo11n", lambda: YoloEight((16, 32, 64, 128, 256), 1, 80, True), 320, [(TS, 17), (DY, 18)], {}),
] + [(n, (lambda n=n, k=k: getattr(tv, n)(weights=None, **k)), 224, [(TS, 17), (DY, 18)], {}) for n, k in IMAGENET.items()]


def prepare(make, size):
    torch.manual_seed(0)
    model = make()
    model.train()
    try:
        with torch.no_grad():
            for _ in range(3):
                model(torch.rand(2, 3, size, size))
    except Exception as error:
        print("  no statistics:", error)
    return model.eval()


def export(model, size, path, exporter, opset, dynamic):
    x = torch.rand(1, 3, size, size)
    if exporter == TS:
        axes = {"images": {0: "batch", 2: "height", 3: "width"}} if dynamic else None
        torch.onnx.export(model, x, path, dynamo=False, opset_version=opset, input_names=["images"], dynamic_axes=axes)
    else:
        torch.onnx.export(model, (x,), path, dynamo=True, opset_version=opset, input_names=["images"], external_data=False, verbose=False)
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del proto.graph.metadata_props[:]
    for value in list(proto.graph.value_info) + list(proto.graph.input) + list(proto.graph.output) + list(proto.graph.initializer):
        del value.metadata_props[:]
    onnx.save(proto, path)


def record(path, size, seed=7, most=400):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    x = mulberry(seed, 3 * size * size).reshape(1, 3, size, size)
    outputs = []
    for info, value in zip(session.get_outputs(), session.run(None, {name: x})):
        flat = value.astype(np.float32).ravel()
        step = max(1, flat.size // most)
        outputs.append({"name": info.name, "shape": list(value.shape), "step": step, "values": [float(f"{v:.6g}") for v in flat[::step]]})
    return {"input": {"name": name, "shape": [1, 3, size, size]}, "seed": seed, "outputs": outputs}


def main():
    which, folder = sys.argv[1], sys.argv[2]
    only = sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    index_path = os.path.join(folder, "index.json")
    index = {e["file"]: e for e in json.load(open(index_path))} if os.path.exists(index_path) and only else {}
    for network, make, size, exports, options in SMALL if which == "small" else BIG:
        if only and network not in only:
            continue
        model = prepare(make, size)
        for exporter, opset in exports:
            file = f"{network}-{exporter[0]}{opset}.onnx"
            path = os.path.join(folder, file)
            try:
                export(model, size, path, exporter, opset, options.get("dynamic", False))
                entry = {"file": file, "network": network, "exporter": exporter, "opset": opset, **record(path, size)}
            except Exception as error:
                print(file, "FAILED", str(error)[:300])
                continue
            index[file] = entry
            print(file, os.path.getsize(path), flush=True)
    with open(index_path, "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(e) for e in index.values()) + "\n]\n")


main()
