#!/usr/bin/env python3
"""Makes the small checkpoints and PyTorch outputs in test/formats/torch/data. Needs torch; nothing else does.

    python3 scripts/torch-fixtures.py [folder of yolov5ss.pt]

Each NAME.pt is a YOLOv5-style checkpoint, binary16, seeded weights, whose module classes carry the class paths of the
YOLOv5 and YOLOv5-Lite repositories (`models.common.Conv`, ...) and compute the same; NAME.f32 holds what PyTorch
computes for `picture()` with the same weights in float64, rounded to float32: all outputs after another.
With the folder given, yolov5ss-32.f32 is made from the real checkpoint in the same way.
"""

import sys
import types
import zipfile
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

DATA = Path(__file__).resolve().parent.parent / "test/formats/torch/data"
SIZE = 64
CLASSES = ["cat", "dog"]
ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


def picture(size=SIZE):
    """A picture in [0, 1] that is easy to make in any language; 1 x 3 x size x size."""
    i = torch.arange(3 * size * size, dtype=torch.int64)
    return ((i * i * 31 + i * 17) % 251 / 250).to(torch.float32).reshape(1, 3, size, size)


def published(module_name):
    """Gives a class the path under which the repositories have it, so that pickle finds and writes it there."""
    module = sys.modules.setdefault(module_name, types.ModuleType(module_name))
    sys.modules.setdefault("models", types.ModuleType("models"))

    def mark(cls):
        cls.__module__ = module_name
        cls.__qualname__ = cls.__name__
        setattr(module, cls.__name__, cls)
        return cls

    return mark


common = published("models.common")
yolo = published("models.yolo")


def run(x, *steps):
    for step in steps:
        x = step(x)
    return x


def cat(*xs):
    return torch.cat(xs, 1)


def mix(x, groups=2):
    """Channel shuffle."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def unit(ci, co, k=1, s=1, g=1, act=nn.ReLU):
    """Convolution, BatchNorm and perhaps an activation, as list items."""
    items = [nn.Conv2d(ci, co, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(co)]
    return items + ([act()] if act else [])


@common
class Conv(nn.Module):
    def __init__(self, ci, co, k=1, s=1, p=None, g=1, act=None):
        super().__init__()
        self.conv = nn.Conv2d(ci, co, k, s, k // 2 if p is None else p, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(co)
        self.act = act or nn.SiLU()

    def forward(self, x):
        return run(x, self.conv, self.bn, self.act)

    def fuseforward(self, x):
        return run(x, self.conv, self.act)


@common
class DWConv(Conv):
    def __init__(self, ci, co, k=1, s=1):
        super().__init__(ci, co, k, s, g=co)


@common
class Bottleneck(nn.Module):
    def __init__(self, ci, co, shortcut=True, act=None):
        super().__init__()
        self.cv1 = Conv(ci, co, 1, act=act)
        self.cv2 = Conv(co, co, 3, act=act)
        self.add = shortcut and ci == co

    def forward(self, x):
        y = run(x, self.cv1, self.cv2)
        return x + y if self.add else y


@common
class BottleneckCSP(nn.Module):
    def __init__(self, ci, co, n=1, shortcut=True, act=None):
        super().__init__()
        h = co // 2
        self.cv1 = Conv(ci, h, act=act)
        self.cv2 = nn.Conv2d(ci, h, 1, bias=False)
        self.cv3 = nn.Conv2d(h, h, 1, bias=False)
        self.cv4 = Conv(2 * h, co, act=act)
        self.bn = nn.BatchNorm2d(2 * h)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.m = nn.Sequential(*[Bottleneck(h, h, shortcut, act) for _ in range(n)])

    def forward(self, x):
        left = run(x, self.cv1, self.m, self.cv3)
        return run(cat(left, self.cv2(x)), self.bn, self.act, self.cv4)


@common
class C3(nn.Module):
    def __init__(self, ci, co, n=1, shortcut=True, act=None):
        super().__init__()
        h = co // 2
        self.cv1 = Conv(ci, h, act=act)
        self.cv2 = Conv(ci, h, act=act)
        self.cv3 = Conv(2 * h, co, act=act)
        self.m = nn.Sequential(*[Bottleneck(h, h, shortcut, act) for _ in range(n)])

    def forward(self, x):
        return self.cv3(cat(run(x, self.cv1, self.m), self.cv2(x)))


@common
class LC3(C3):
    def __init__(self, ci, co, n=1, shortcut=True):
        super().__init__(ci, co, n, shortcut)
        self.cv3 = Conv(co // 2, co)

    def forward(self, x):
        return self.cv3(run(x, self.cv1, self.m) + self.cv2(x))


@common
class SPP(nn.Module):
    def __init__(self, ci, co, ks=(5, 9, 13), act=None):
        super().__init__()
        self.cv1 = Conv(ci, ci // 2, act=act)
        self.cv2 = Conv(ci // 2 * (len(ks) + 1), co, act=act)
        self.m = nn.ModuleList([nn.MaxPool2d(k, 1, k // 2) for k in ks])

    def forward(self, x):
        x = self.cv1(x)
        return self.cv2(cat(x, *[pool(x) for pool in self.m]))


@common
class SPPF(nn.Module):
    def __init__(self, ci, co, k=5):
        super().__init__()
        self.cv1 = Conv(ci, ci // 2)
        self.cv2 = Conv(ci * 2, co)
        self.m = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x):
        xs = [self.cv1(x)]
        for _ in range(3):
            xs.append(self.m(xs[-1]))
        return self.cv2(cat(*xs))


@common
class Focus(nn.Module):
    def __init__(self, ci, co, k=3, act=None):
        super().__init__()
        self.conv = Conv(ci * 4, co, k, act=act)

    def forward(self, x):
        corners = [x[:, :, dy::2, dx::2] for dx in (0, 1) for dy in (0, 1)]
        return self.conv(cat(*corners))


@common
class Contract(nn.Module):
    def __init__(self, gain=2):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        s = self.gain
        return cat(*[x[:, :, dy::s, dx::s] for dy in range(s) for dx in range(s)])


@common
class Expand(nn.Module):
    def __init__(self, gain=2):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        s, (n, c, h, w) = self.gain, x.shape
        y = x.new_zeros(n, c // s**2, h * s, w * s)
        for i, part in enumerate(x.chunk(s * s, 1)):
            y[:, :, i // s :: s, i % s :: s] = part
        return y


@common
class Concat(nn.Module):
    def __init__(self, dimension=1):
        super().__init__()
        self.d = dimension

    def forward(self, xs):
        return torch.cat(xs, self.d)


@common
class GhostConv(nn.Module):
    def __init__(self, ci, co, k=1, s=1, k2=5):
        super().__init__()
        self.cv1 = Conv(ci, co // 2, k, s)
        self.cv2 = Conv(co // 2, co // 2, k2, g=co // 2)

    def forward(self, x):
        y = self.cv1(x)
        return cat(y, self.cv2(y))


@common
class GhostBottleneck(nn.Module):
    def __init__(self, ci, co, k=3, s=1):
        super().__init__()
        h = co // 2
        reduce = DWConv(h, h, k, s) if s == 2 else nn.Identity()
        self.conv = nn.Sequential(GhostConv(ci, h), reduce, GhostConv(h, co))
        self.shortcut = nn.Sequential(DWConv(ci, ci, k, s), Conv(ci, co)) if s == 2 else nn.Identity()

    def forward(self, x):
        return self.conv(x) + self.shortcut(x)


@common
class C3Ghost(C3):
    def __init__(self, ci, co, n=1):
        super().__init__(ci, co, n)
        self.m = nn.Sequential(*[GhostBottleneck(co // 2, co // 2) for _ in range(n)])


@common
class conv_bn_relu_maxpool(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.conv = nn.Sequential(*unit(ci, co, 3, 2))
        self.maxpool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        return run(x, self.conv, self.maxpool)


@common
class stem(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.conv = nn.Sequential(*unit(ci, co, 3, 2))

    def forward(self, x):
        return self.conv(x)


@common
class Shuffle_Block(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.stride, h = stride, co // 2
        if stride > 1:
            self.branch1 = nn.Sequential(*unit(ci, ci, 3, stride, ci, None), *unit(ci, h))
        self.branch2 = nn.Sequential(
            *unit(ci if stride > 1 else h, h), *unit(h, h, 3, stride, h, None), *unit(h, h)
        )

    def forward(self, x):
        if self.stride > 1:
            return mix(cat(self.branch1(x), self.branch2(x)))
        left, right = x.chunk(2, 1)
        return mix(cat(left, self.branch2(right)))


@common
class DWConvblock(nn.Module):
    def __init__(self, ci, co, k, s):
        super().__init__()
        self.p = k // 2
        self.conv1, self.bn1 = unit(ci, ci, k, s, ci, None)
        self.conv2, self.bn2 = unit(ci, co, act=None)

    def forward(self, x):
        return run(x, self.conv1, self.bn1, F.relu, self.conv2, self.bn2, F.relu)


@common
class ADD(nn.Module):
    def __init__(self, alpha=0.5):
        super().__init__()
        self.a = alpha

    def forward(self, xs):
        return xs[0] + self.a * xs[1]


@common
class MBConvBlock(nn.Module):
    def __init__(self, ci, co, k, s):
        super().__init__()
        self.input_filters, self.output_filters, self.stride, self.id_skip = ci, co, s, True
        self._depthwise_conv, self._bn1 = unit(co, co, k, s, co, None)
        self._project_conv, self._bn2 = unit(co, co, act=None)
        self._relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = run(x, self._depthwise_conv, self._bn1, self._relu, self._project_conv, self._bn2)
        return y + x if self.stride == 1 and self.input_filters == self.output_filters else y


class Gate(nn.Module):
    def __init__(self, c, name, gate):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv1 = nn.Conv2d(c, c // 4, 1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(c // 4, c, 1)
        setattr(self, name, gate)
        self.gate_name = name

    def forward(self, x):
        return x * run(x, self.avg_pool, self.conv1, self.relu, self.conv2, getattr(self, self.gate_name))


@common
class LC_SEModule(Gate):
    def __init__(self, c):
        super().__init__(c, "SiLU", nn.SiLU())


@common
class ES_SEModule(Gate):
    def __init__(self, c):
        super().__init__(c, "hardsigmoid", nn.Hardsigmoid())


@common
class CBH(nn.Module):
    def __init__(self, ci, co, k, s, g=1):
        super().__init__()
        self.conv, self.bn = unit(ci, co, k, s, g, None)
        self.hardswish = nn.Hardswish()

    def forward(self, x):
        return run(x, self.conv, self.bn, self.hardswish)


@common
class LC_Block(nn.Module):
    def __init__(self, ci, co, stride, k, use_se):
        super().__init__()
        self.use_se = use_se
        self.dw_conv = CBH(ci, ci, k, stride, ci)
        if use_se:
            self.se = LC_SEModule(ci)
        self.pw_conv = CBH(ci, co, 1, 1)

    def forward(self, x):
        x = self.dw_conv(x)
        return self.pw_conv(self.se(x) if self.use_se else x)


@common
class Dense(nn.Module):
    def __init__(self, ci, co, k, dropout):
        super().__init__()
        self.dense_conv = nn.Conv2d(ci, co, k, bias=False)
        self.hardswish = nn.Hardswish()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return run(x, self.dense_conv, self.hardswish, self.dropout)


@common
class ES_Bottleneck(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.stride, h, act = stride, co // 2, nn.Hardswish
        if stride > 1:
            self.branch1 = nn.Sequential(*unit(ci, ci, 3, stride, ci, None), *unit(ci, h, act=act))
        self.branch2 = nn.Sequential(
            *unit(ci if stride > 1 else h, h, act=act),
            *unit(h, h, 3, stride, h, None),
            ES_SEModule(h),
            *unit(h, h, act=act),
        )
        self.branch3 = nn.Sequential(GhostConv(h, h, k2=3), ES_SEModule(h), *unit(h, h, act=act))
        self.branch4 = nn.Sequential(*unit(co, co, 3, 1, co, None), *unit(co, co, act=act))

    def forward(self, x):
        if self.stride == 1:
            left, right = x.chunk(2, 1)
            return mix(cat(left, self.branch3(right)))
        return self.branch4(cat(self.branch1(x), self.branch2(x)))


@common
class SEBlock(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.down = nn.Conv2d(c, inner, 1)
        self.up = nn.Conv2d(inner, c, 1)
        self.input_channels = c

    def forward(self, x):
        gate = run(x.mean((2, 3), keepdim=True), self.down, F.relu, self.up, torch.sigmoid)
        return x * gate


@common
class RepVGGBlock(nn.Module):
    def __init__(self, ci, co, k=3, s=1, deploy=False, use_se=False):
        super().__init__()
        self.deploy, self.groups, self.in_channels = deploy, 1, ci
        self.nonlinearity = nn.SiLU()
        self.se = SEBlock(co, co // 4) if use_se else nn.Identity()
        if deploy:
            self.rbr_reparam = nn.Conv2d(ci, co, k, s, k // 2)
            return
        self.rbr_identity = nn.BatchNorm2d(ci) if ci == co and s == 1 else None
        self.rbr_dense, self.rbr_1x1 = nn.Sequential(), nn.Sequential()
        for branch, size in ((self.rbr_dense, k), (self.rbr_1x1, 1)):
            for name, part in zip(("conv", "bn"), unit(ci, co, size, s, act=None)):
                branch.add_module(name, part)

    def forward(self, x):
        if self.deploy:
            merged = self.rbr_reparam if hasattr(self, "rbr_reparam") else self.rbr_dense
            return self.nonlinearity(self.se(merged(x)))
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        if self.rbr_identity is not None:
            y = y + self.rbr_identity(x)
        return self.nonlinearity(self.se(y))

    def fusevggforward(self, x):
        return self.nonlinearity(self.rbr_dense(x))


@yolo
class Detect(nn.Module):
    def __init__(self, classes, anchors, channels, strides, new_style):
        super().__init__()
        self.nc, self.no, self.nl, self.na = classes, classes + 5, len(anchors), len(anchors[0]) // 2
        pixels = torch.tensor(anchors, dtype=torch.float32).view(self.nl, -1, 2)
        self.stride = torch.tensor(strides, dtype=torch.float32)
        self.register_buffer("anchors", pixels / self.stride.view(-1, 1, 1))
        if new_style:
            self.anchor_grid = [torch.empty(0)] * self.nl
        else:
            self.register_buffer("anchor_grid", pixels.view(self.nl, 1, -1, 1, 1, 2))
        self.grid = [torch.zeros(1)] * self.nl
        self.m = nn.ModuleList([nn.Conv2d(c, self.no * self.na, 1) for c in channels])

    def forward(self, xs):
        split = [m(x).unflatten(1, (self.na, self.no)).flatten(3).transpose(2, 3) for m, x in zip(self.m, xs)]
        return [s.contiguous() for s in split]


@yolo
class Model(nn.Module):
    """`layers`: (from, module) pairs; the last one is Detect."""

    def __init__(self, layers, yaml):
        super().__init__()
        self.yaml, self.yaml_file, self.names = yaml, "fixture.yaml", list(CLASSES)
        for i, (f, m) in enumerate(layers):
            m.i, m.f, m.type, m.np = i, f, type(m).__module__ + "." + type(m).__name__, 0
        self.model = nn.Sequential(*[m for _, m in layers])
        sources = [x for f, _ in layers for x in ([f] if isinstance(f, int) else f)]
        self.save = sorted({x for x in sources if x != -1})

    def forward(self, x):
        done = []
        for m in self.model:
            picked = [x if f == -1 else done[f] for f in ([m.f] if isinstance(m.f, int) else m.f)]
            x = m(picked if isinstance(m.f, list) else picked[0])
            done.append(x)
        return x


@yolo
class DetectionModel(Model):
    pass


def head(channels, anchors=ANCHORS, new_style=False):
    return Detect(len(CLASSES), anchors, channels, [8, 16, 32][: len(channels)], new_style)


def up():
    return nn.Upsample(None, 2, "nearest")


def yaml_of(anchors=ANCHORS):
    return {"nc": len(CLASSES), "depth_multiple": 0.33, "width_multiple": 0.5, "anchors": anchors, "ch": 3}


def seeded(model, seed):
    """Weights that keep values between 0.1 and 10 through the network, and BatchNorm statistics that are far from trivial."""
    g = torch.Generator().manual_seed(seed)
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
            fan = m.weight[0].numel()
            m.weight.data = torch.randn(m.weight.shape, generator=g) * (2.2 / fan) ** 0.5
            if m.bias is not None:
                m.bias.data = torch.randn(m.bias.shape, generator=g) * 0.3
        if isinstance(m, nn.BatchNorm2d):
            m.eps = 1e-3
            m.weight.data = torch.rand(m.weight.shape, generator=g) + 0.5
            m.bias.data = torch.randn(m.bias.shape, generator=g) * 0.2
            m.running_mean = torch.randn(m.running_mean.shape, generator=g) * 0.2
            m.running_var = torch.rand(m.running_var.shape, generator=g) + 0.5
    return model.half().eval()


def fuse_conv(m):
    """As Model.fuse() does: BatchNorm goes into the convolution, and forward becomes another method."""
    scale = m.bn.weight / (m.bn.running_var + m.bn.eps).sqrt()
    fused = nn.Conv2d(
        m.conv.in_channels,
        m.conv.out_channels,
        m.conv.kernel_size,
        m.conv.stride,
        m.conv.padding,
        groups=m.conv.groups,
    )
    fused.weight.data = (m.conv.weight * scale.view(-1, 1, 1, 1)).detach()
    fused.bias.data = (m.bn.bias - m.bn.running_mean * scale).detach()
    m.conv = fused
    del m.bn
    m.forward = m.fuseforward


def v6():
    layers = [
        (-1, Conv(3, 8, 6, 2, 2)),
        (-1, Conv(8, 16, 3, 2)),
        (-1, C3(16, 16, 2)),
        (-1, Conv(16, 16, 3, 2)),
        (-1, C3Ghost(16, 16)),
        (-1, GhostBottleneck(16, 24, 3, 2)),
        (-1, DWConv(24, 24, 3, 2)),
        (-1, SPPF(24, 24)),
        (-1, up()),
        ([-1, 5], Concat()),
        (-1, C3(48, 16, 1, False)),
        (-1, up()),
        ([-1, 4], Concat()),
        (-1, C3(32, 16, 1, False)),
        ([13, 10, 7], head([16, 16, 24], new_style=True)),
    ]
    model = seeded(DetectionModel(layers, yaml_of()), 6)
    model.names = dict(enumerate(CLASSES))
    worse = seeded(DetectionModel([(-1, Conv(3, 8)), ([-1], head([8], ANCHORS[:1]))], yaml_of()), 1)
    return model, {
        "epoch": 299,
        "model": worse,
        "ema": model,
        "updates": 1234,
        "optimizer": {
            "state": {0: {"momentum_buffer": torch.ones(3)}},
            "param_groups": [{"lr": 0.01, "params": [0]}],
        },
        "opt": {"imgsz": 96, "data": "coco128.yaml"},
        "git": {"remote": None, "branch": None, "commit": None},
        "date": "2023-01-02T03:04:05.678901",
    }


def v5():
    hard = nn.Hardswish()
    layers = [
        (-1, Focus(3, 8, act=hard)),
        (-1, Conv(8, 16, 3, 2, act=nn.LeakyReLU(0.1))),
        (-1, BottleneckCSP(16, 16, 2, act=hard)),
        (-1, Conv(16, 16, 3, 2, act=hard)),
        (-1, Bottleneck(16, 16)),
        (-1, Conv(16, 24, 3, 2)),
        (-1, SPP(24, 24, (3, 5, 7), act=hard)),
        (-1, LC3(24, 24)),
        (-2, Conv(24, 16, 1)),
        ([7, 8], Concat()),
        (-1, Contract(2)),
        (-1, Expand(2)),
        (-1, BottleneckCSP(40, 16)),
        ([4, 12], head([16, 16], ANCHORS[:2])),
    ]
    # Auto-anchor changed the buffers: the yaml is out of date.
    model = seeded(Model(layers, yaml_of([[1, 2, 3, 4, 5, 6], ANCHORS[1]])), 5)
    return model, {"epoch": -1, "best_fitness": 0.5, "training_results": None, "model": model, "ema": None}


def lite_c():
    layers = [
        (-1, CBH(3, 8, 3, 2)),
        (-1, LC_Block(8, 16, 2, 3, False)),
        (-1, LC_Block(16, 16, 2, 5, True)),
        (-1, Dense(16, 16, 1, 0.2)),
        (-1, ES_Bottleneck(16, 16, 2)),
        (-1, ES_Bottleneck(16, 16, 1)),
        (-1, MBConvBlock(16, 16, 3, 1)),
        (-1, up()),
        ([-1, 3], Concat()),
        (-1, C3(32, 16, 1, False)),
        ([9, 6], head([16, 16], ANCHORS[:2])),
    ]
    model = seeded(Model(layers, yaml_of()), 3)
    return model, {"model": model}


def lite_e():
    layers = [
        (-1, conv_bn_relu_maxpool(3, 8)),
        (-1, Shuffle_Block(8, 16, 2)),
        (-1, nn.Sequential(Shuffle_Block(16, 16, 1), Shuffle_Block(16, 16, 1))),
        (-1, Shuffle_Block(16, 24, 2)),
        (-1, Conv(24, 16)),
        (-1, up()),
        ([-1, 2], ADD(1)),
        (-1, DWConvblock(16, 16, 3, 1)),
        (-1, DWConvblock(16, 16, 5, 2)),
        ([-1, 4], ADD(0.5)),
        ([7, 9], head([16, 16], ANCHORS[:2])),
    ]
    model = seeded(Model(layers, yaml_of()), 4)
    fuse_conv(model.model[4])
    return model, {"model": model}


def lite_g(form):
    layers = [
        (-1, stem(3, 8)),
        (-1, RepVGGBlock(8, 16, 3, 2, deploy=form == "deploy")),
        (-1, RepVGGBlock(16, 16, 3, 2, deploy=form == "deploy", use_se=form != "fused")),
        (-1, RepVGGBlock(16, 16, deploy=form == "deploy")),
        ([-1], head([16], ANCHORS[:1])),
    ]
    model = seeded(Model(layers, yaml_of()), 7)
    if form == "fused":
        for m in model.modules():
            if isinstance(m, RepVGGBlock):
                dense = m.rbr_dense.conv
                m.rbr_dense = nn.Conv2d(dense.in_channels, dense.out_channels, 3, dense.stride, 1).half()
                m.rbr_dense.weight.data = dense.weight.data
                m.rbr_dense.bias.data = torch.linspace(-0.3, 0.3, dense.out_channels).half()
                del m.rbr_1x1
                m.deploy = True
                m.forward = m.fusevggforward
    return model, {"model": model}


def plain():
    """torch.nn alone, saved bare and with protocol 4."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), (2, 1), (1, 2), dilation=(1, 2)),
        nn.GELU(),
        nn.ZeroPad2d((0, 1, 2, 0)),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Mish(),
        nn.Conv2d(8, 8, 4, padding="same", groups=2),
        nn.ELU(0.7),
        nn.AvgPool2d(3, 2, 1),
        nn.Hardtanh(-0.5, 2.0),
        nn.AvgPool2d(2, count_include_pad=False),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.ConvTranspose2d(8, 6, (3, 2), (2, 1), 1, (1, 0)),
        nn.ConvTranspose2d(6, 8, 3, 1, 1, groups=2, bias=False),
        nn.PReLU(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.GELU("tanh"),
        nn.AdaptiveMaxPool2d((2, None)),
        nn.Flatten(),
        nn.Linear(32, 12),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Sigmoid(),
        nn.Linear(12, 40, bias=False),
    )
    model = seeded(model, 9)
    return model, model


def outputs(model, size=SIZE):
    """All outputs in float64 arithmetic, as float32 bytes."""
    model = model.double()
    with torch.no_grad():
        found = model(picture(size).double())
    found = found if isinstance(found, list) else [found]
    return b"".join(x.float().numpy().tobytes() for x in found)


def real_model(folder):
    """The real checkpoint with our classes; `maxpool` and the like are unpickled, only forward is ours."""
    return (
        torch.load(Path(folder) / "yolov5ss.pt", map_location="cpu", weights_only=False)["model"]
        .float()
        .eval()
    )


def rezip(path):
    """Packs an archive again with deflate, as other zip programs would."""
    with zipfile.ZipFile(path) as source:
        entries = [(info.filename, source.read(info)) for info in source.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, contents in entries:
            target.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED)


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    fixtures = {"v6": v6, "v5": v5, "lite-c": lite_c, "lite-e": lite_e, "plain": plain}
    for form in ("branches", "fused", "deploy"):
        fixtures[f"lite-g-{form}"] = lambda form=form: lite_g(form)
    for name, make in fixtures.items():
        model, checkpoint = make()
        torch.save(checkpoint, DATA / f"{name}.pt", pickle_protocol=4 if name == "plain" else 2)
        (DATA / f"{name}.f32").write_bytes(outputs(model))
    for name in ("lite-c", "v5"):
        rezip(DATA / f"{name}.pt")
    torch.save(fixtures["lite-g-deploy"]()[0].state_dict(), DATA / "state-dict.pt")
    traced = torch.jit.trace(nn.Sequential(nn.ReLU()), torch.zeros(1))
    torch.jit.save(traced, str(DATA / "torchscript.pt"))
    torch.save({"model": nn.ReLU()}, DATA / "legacy.pt", _use_new_zipfile_serialization=False)
    if len(sys.argv) > 1:
        (DATA / "yolov5ss-32.f32").write_bytes(outputs(real_model(sys.argv[1]), 32))


if __name__ == "__main__":
    main()
