#!/usr/bin/env python3
"""Small detectors with random weights whose exports decode boxes as those of YOLOv3, v4, v6, v7 and YOLOX do, and their boxes.

Every network is exported at one size; what onnxruntime gives for it there, and for an export at another size, is decoded by numpy only
as far as the graph has not done it. Writes test/heads/data/decoded.zip: the ONNX files of the first size, what pnnx makes of the networks at
that size, and boxes.json with the best boxes at both sizes as [class, score, x0, y0, x1, y1] in pixels.

    pip install numpy onnx onnxruntime pnnx torch
    python3 scripts/decoded-heads.py
"""

import io
import json
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pnnx
import torch
from torch import nn

warnings.filterwarnings("ignore")
classes = 3
sizes = [(160, 96), (128, 192)]  # width, height
strides = (8, 16, 32)
anchors = (
    [(10, 13), (16, 30), (33, 23)],
    [(30, 61), (62, 45), (59, 119)],
    [(116, 90), (156, 198), (373, 326)],
)


class Net(nn.Module):
    """Features of three strides, one convolution a level and part, and the given end."""

    def __init__(self, end, *parts):
        super().__init__()
        torch.manual_seed(7)
        self.stem = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 8, 2, 2))
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 2, 2) for _ in strides[1:])
        self.heads = nn.ModuleList(nn.ModuleList(nn.Conv2d(8, n, 1) for n in parts) for _ in strides)
        for conv in [c for head in self.heads for c in head]:
            nn.init.normal_(conv.weight, std=2.5)
            # Distances are above 0, which those of YOLOv6 without bins are only where they were trained so.
            nn.init.normal_(
                conv.bias, mean=6.0 if parts == (classes, 4) and conv.out_channels == 4 else 0, std=0.4
            )
        self.end = end

    def forward(self, x):
        features = [self.stem(x).relu()]
        for down in self.down:
            features.append(down(features[-1]).relu())
        return self.end([[conv(f) for conv in head] for f, head in zip(features, self.heads)])


def grid_of(x):
    ny, nx = x.shape[2:4]
    yv, xv = torch.meshgrid(torch.arange(ny), torch.arange(nx), indexing="ij")
    return torch.stack((xv, yv), 2).view(1, 1, ny, nx, 2).float()


def apart(p):
    """[1, na·no, ny, nx] to [1, na, ny, nx, no]."""
    bs, _, ny, nx = p.shape
    return p.view(bs, 3, 5 + classes, ny, nx).permute(0, 1, 3, 4, 2).contiguous()


def sizes_of(level, stride=1):
    return torch.tensor(anchors[level]).float().view(1, 3, 1, 1, 2) / stride


coarse_first = ((2, 32), (1, 16), (0, 8))


def yolov3(levels):
    """Assignments to slices, coarsest level first."""
    out = []
    for i, stride in coarse_first:
        y = apart(levels[i][0])
        y[..., 0:2] = torch.sigmoid(y[..., 0:2]) + grid_of(levels[i][0])
        y[..., 2:4] = torch.exp(y[..., 2:4]) * sizes_of(i, stride)
        y[..., :4] *= stride
        y[..., 4:] = torch.sigmoid(y[..., 4:])
        out.append(y.view(1, -1, 5 + classes))
    return torch.cat(out, 1)


def yolov3_parts(levels):
    """Scores that are multiplied, and boxes in parts of the input, in outputs of their own."""
    scores, boxes = [], []
    for i, stride in coarse_first:
        y = apart(levels[i][0])
        ny, nx = y.shape[2:4]
        m = 3 * ny * nx
        shares = 1.0 / torch.tensor([[nx, ny]]).float().repeat(m, 1)
        grid = grid_of(levels[i][0]).repeat(1, 3, 1, 1, 1).view(m, 2)
        size = sizes_of(i, stride).repeat(1, 1, ny, nx, 1).view(m, 2) * shares
        p = y.view(m, 5 + classes)
        xy = (torch.sigmoid(p[:, 0:2]) + grid) * shares
        scores.append(torch.sigmoid(p[:, 5:]) * torch.sigmoid(p[:, 4:5]))
        boxes.append(torch.cat((xy, torch.exp(p[:, 2:4]) * size), 1))
    return torch.cat(scores, 0), torch.cat(boxes, 0)


def yolov3_single(levels):
    """The same for one class: its own number is not used, objectness is the score."""
    scores, boxes = [], []
    for i, stride in coarse_first:
        p = levels[i][0]
        ny, nx = p.shape[2:4]
        m = 3 * ny * nx
        p = p.view(1, 3, 6, ny, nx).permute(0, 1, 3, 4, 2).contiguous().view(m, 6)
        shares = 1.0 / torch.tensor([[nx, ny]]).float().repeat(m, 1)
        grid = grid_of(levels[i][0]).repeat(1, 3, 1, 1, 1).view(m, 2)
        size = sizes_of(i, stride).repeat(1, 1, ny, nx, 1).view(m, 2) * shares
        scores.append(torch.sigmoid(p[:, 4:5]))
        boxes.append(torch.cat(((torch.sigmoid(p[:, 0:2]) + grid) * shares, torch.exp(p[:, 2:4]) * size), 1))
    return torch.cat(scores, 0), torch.cat(boxes, 0)


def yolov4(scales):
    """Anchor by anchor, corners in parts of the input and products of scores."""

    def end(levels):
        boxes, confs = [], []
        for i, (stride, scale) in enumerate(zip(strides, scales)):
            p = levels[i][0]
            no = 5 + classes
            h, w = (int(v) for v in p.shape[2:4])
            xy = torch.cat([p[:, a * no : a * no + 2] for a in range(3)], 1)
            wh = torch.cat([p[:, a * no + 2 : a * no + 4] for a in range(3)], 1)
            det = torch.cat([p[:, a * no + 4 : a * no + 5] for a in range(3)], 1).view(1, 3 * h * w)
            cls = torch.cat([p[:, a * no + 5 : (a + 1) * no] for a in range(3)], 1)
            cls = cls.view(1, 3, classes, h * w).permute(0, 1, 3, 2).reshape(1, 3 * h * w, classes)
            xy = torch.sigmoid(xy) * scale - 0.5 * (scale - 1)
            wh, det, cls = torch.exp(wh), torch.sigmoid(det), torch.sigmoid(cls)
            gx = torch.tensor(np.linspace(0, w - 1, w)[None, None, None].repeat(h, 2)).float()
            gy = torch.tensor(np.linspace(0, h - 1, h)[None, None, :, None].repeat(w, 3)).float()
            bx = torch.cat([xy[:, 2 * a : 2 * a + 1] + gx for a in range(3)], 1)
            by = torch.cat([xy[:, 2 * a + 1 : 2 * a + 2] + gy for a in range(3)], 1)
            bw = torch.cat([wh[:, 2 * a : 2 * a + 1] * (anchors[i][a][0] / stride) for a in range(3)], 1)
            bh = torch.cat([wh[:, 2 * a + 1 : 2 * a + 2] * (anchors[i][a][1] / stride) for a in range(3)], 1)
            bx, bw = [(v / w).view(1, 3 * h * w, 1) for v in (bx, bw)]
            by, bh = [(v / h).view(1, 3 * h * w, 1) for v in (by, bh)]
            x1, y1 = bx - bw * 0.5, by - bh * 0.5
            boxes.append(torch.cat((x1, y1, x1 + bw, y1 + bh), 2).view(1, 3 * h * w, 1, 4))
            confs.append(cls * det.view(1, 3 * h * w, 1))
        return torch.cat(boxes, 1), torch.cat(confs, 1)

    return end


def yolov4_scaled(levels):
    """Scaled centres in pixels, scores apart from objectness in one output."""
    out = []
    for i, (stride, scale) in enumerate(zip(strides, (1.2, 1.1, 1.05))):
        y = apart(levels[i][0])
        xy = (torch.sigmoid(y[..., 0:2]) * scale - (scale - 1) / 2 + grid_of(levels[i][0])) * stride
        wh = torch.exp(y[..., 2:4]) * sizes_of(i)
        out.append(torch.cat((xy, wh, torch.sigmoid(y[..., 4:])), 4).view(1, -1, 5 + classes))
    return torch.cat(out, 1)


class Yolov7(nn.Module):
    """Implicit knowledge behind the convolutions; with `parts` corners by a matrix and products, as for NMS in the graph."""

    def __init__(self, parts):
        super().__init__()
        torch.manual_seed(3)
        n = 3 * (5 + classes)
        self.implicit = nn.ParameterList(nn.Parameter(1 + 0.1 * torch.randn(1, n, 1, 1)) for _ in strides)
        self.parts = parts

    def forward(self, levels):
        out = []
        for i, stride in enumerate(strides):
            p = self.implicit[i] * levels[i][0]
            y = apart(p).sigmoid()
            xy, wh, conf = y.split((2, 2, classes + 1), 4)
            xy = xy * (2.0 * stride) + (stride * (grid_of(p) - 0.5))
            wh = wh**2 * (4 * sizes_of(i))
            out.append(torch.cat((xy, wh, conf), 4).view(1, -1, 5 + classes))
        z = torch.cat(out, 1)
        if not self.parts:
            return z
        matrix = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
        return z[:, :, :4] @ matrix, z[:, :, 5:] * z[:, :, 4:5]


def points_of(levels):
    points, stride = [], []
    for (p, *_), s in zip(levels, strides):
        grid = grid_of(p).view(-1, 2)
        points.append(grid + 0.5)
        stride.append(torch.full((len(grid), 1), float(s)))
    return torch.cat(points), torch.cat(stride)


def yolov6(bins):
    """Distances to sides; a column of ones stands for objectness."""

    def end(levels):
        cls, reg = [], []
        for c, r in levels:
            cells = c.shape[2] * c.shape[3]
            if bins > 1:
                r = r.reshape([-1, 4, bins, cells]).permute(0, 2, 1, 3)
                r = nn.functional.conv2d(
                    nn.functional.softmax(r, dim=1), torch.arange(bins).float().view(1, bins, 1, 1)
                )
            cls.append(torch.sigmoid(c).reshape([1, classes, cells]))
            reg.append(r.reshape([1, 4, cells]))
        cls, reg = torch.cat(cls, -1).permute(0, 2, 1), torch.cat(reg, -1).permute(0, 2, 1)
        points, stride = points_of(levels)
        lt, rb = torch.split(reg, 2, -1)
        x1y1, x2y2 = points - lt, points + rb
        boxes = torch.cat([(x1y1 + x2y2) / 2, x2y2 - x1y1], -1) * stride
        return torch.cat([boxes, torch.ones((1, boxes.shape[1], 1)), cls], -1)

    return end


def sides(bins):
    """YOLO-NAS's: corners and scores in outputs of their own."""

    def end(levels):
        cls, reg = [], []
        for c, r in levels:
            h, w = c.shape[2:]
            r = torch.permute(r.reshape([-1, 4, bins, h * w]), [0, 2, 3, 1])
            r = nn.functional.conv2d(
                nn.functional.softmax(r, dim=1), torch.arange(bins).float().view(1, bins, 1, 1)
            ).squeeze(1)
            reg.append(r)
            cls.append(c.reshape([1, classes, h * w]))
        scores = torch.permute(torch.cat(cls, -1), [0, 2, 1]).sigmoid()
        points, stride = points_of(levels)
        lt, rb = torch.split(torch.cat(reg, 1), 2, -1)
        return torch.cat([points - lt, points + rb], -1) * stride, scores

    return end


def exponential(levels):
    """YOLOX's and the first YOLOv6's: exp of sizes, σ of objectness and classes."""
    out = []
    for (reg, obj, cls), s in zip(levels, strides):
        y = torch.cat([reg, obj.sigmoid(), cls.sigmoid()], 1)
        y = y.flatten(2).permute(0, 2, 1)
        grid = grid_of(reg).view(1, -1, 2)
        out.append(torch.cat([(y[..., :2] + grid) * s, torch.exp(y[..., 2:4]) * s, y[..., 4:]], -1))
    return torch.cat(out, 1)


# ---- outputs of onnxruntime to corners in pixels and scores


def rows(out, w, h):
    (y,) = out
    y = y.reshape(-1, 5 + classes).astype(np.float64)
    half = y[:, 2:4] / 2
    return np.concatenate([y[:, :2] - half, y[:, :2] + half], 1), y[:, 4:5] * y[:, 5:]


def shares(out, w, h):
    scores, y = out
    half = y[:, 2:4] / 2
    return np.concatenate([y[:, :2] - half, y[:, :2] + half], 1) * np.array([w, h, w, h]), scores


def corner_shares(out, w, h):
    boxes, confs = out
    return boxes.reshape(-1, 4) * np.array([w, h, w, h]), confs.reshape(-1, classes)


def corners(out, w, h):
    return out[0].reshape(-1, 4), out[1].reshape(-1, classes)


n = 3 * (5 + classes)
networks = {
    "yolov3": (yolov3, (n,), rows, 12),
    "yolov3-parts": (yolov3_parts, (n,), shares, 11),
    "yolov3-single": (yolov3_single, (18,), shares, 12),
    "yolov4": (yolov4((1.2, 1.1, 1.05)), (n,), corner_shares, 11),
    "yolov4-scaled": (yolov4_scaled, (n,), rows, 17),
    "yolov7": (Yolov7(False), (n,), rows, 12),
    "yolov7-parts": (Yolov7(True), (n,), corners, 13),
    "yolov6": (yolov6(1), (classes, 4), rows, 12),
    "yolo-nas": (sides(17), (classes, 68), corners, 14),
    "yolov6-dfl": (yolov6(17), (classes, 68), rows, 13),
    "yolox-decoded": (exponential, (4, 1, classes), rows, 11),
}


def picture(w, h):
    """Levels [h, w, 3] that the test makes in the same way."""
    i = np.arange(h * w * 3, dtype=np.int64)
    return ((i * i * 31 + i * 17) % 251).astype(np.uint8).reshape(h, w, 3)


def exported(net, w, h, opset):
    file = io.BytesIO()
    torch.onnx.export(net, torch.rand(1, 3, h, w), file, opset_version=opset, dynamo=False)
    return file.getvalue()


def converted(net, w, h):
    """`.param` and `.bin` by pnnx."""
    with tempfile.TemporaryDirectory() as folder:
        pnnx.export(net, f"{folder}/net.pt", (torch.rand(1, 3, h, w),))
        return [Path(f"{folder}/net.ncnn.{kind}").read_bytes() for kind in ("param", "bin")]


out = Path(__file__).parent.parent / "test/heads/data/decoded.zip"
out.parent.mkdir(exist_ok=True)
boxes_of = {}
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:

    def write(name, data):
        info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, data)

    for name, (end, parts, decode, opset) in networks.items():
        net = Net(end, *parts).eval()
        boxes_of[name] = {}
        for w, h in sizes:
            data = exported(net, w, h, opset)
            if (w, h) == sizes[0]:
                write(f"{name}.onnx", data)
                for kind, part in zip(("param", "bin"), converted(net, w, h)):
                    write(f"{name}.ncnn.{kind}", part)
            session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
            x = picture(w, h).astype(np.float32).transpose(2, 0, 1)[None] / 255
            boxes, scores = decode(session.run(None, {session.get_inputs()[0].name: x}), w, h)
            best = scores.argmax(1)
            boxes = np.clip(boxes, 0, [w, h, w, h])
            found = [
                [int(k), round(float(s[k]), 5), *[round(float(v), 3) for v in b]]
                for b, s, k in zip(boxes, scores, best)
                if s[k] > 0.05 and b[2] - b[0] > 1 and b[3] - b[1] > 1
            ]
            boxes_of[name][f"{w}x{h}"] = sorted(found, key=lambda row: -row[1])[:40]
            print(name, f"{w}x{h}", len(found), "of", len(boxes), "size", len(data))
    write("boxes.json", json.dumps(boxes_of))
