#!/usr/bin/env python3
"""Small detectors of faces with random weights, in the form in which their authors export them, and their boxes by decoding that
is not ours: onnxruntime and numpy.

Writes test/heads/faces/NAME.onnx and goldens.json: for every model and input size the faces with scores above 0.3 after
suppression at 0.45, as [score, x0, y0, x1, y1, points x y …] in pixels. The picture is as large as the input; the level of channel
c (R, G, B) at (x, y) is (x·x·3 + y·7 + x·y + c·50) mod 256.

    pip install numpy torch onnx onnxruntime
    python3 scripts/face-goldens.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

warnings.filterwarnings("ignore")
least, overlap = 0.3, 0.45
folder = Path(__file__).parent.parent / "test/heads/faces"


def convolution(cin, cout, stride=2):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1), nn.ReLU())


class Backbone(nn.Module):
    """Features at strides 8 · 2^i, 8 channels each."""

    def __init__(self, strides):
        super().__init__()
        self.strides = strides
        self.stem = nn.Sequential(convolution(3, 8), convolution(8, 8))
        self.deeper = nn.ModuleList(convolution(8, 8) for _ in range(int(np.log2(strides[-1] // 4))))

    def forward(self, x):
        x = self.stem(x)
        found = []
        for i, layer in enumerate(self.deeper):
            x = layer(x)
            if 8 * 2**i in self.strides:
                found.append(x)
        return found


def head(channels, bias=0.0, spread=0.6):
    layer = nn.Conv2d(8, channels, 1)
    nn.init.normal_(layer.weight, std=spread)
    nn.init.normal_(layer.bias, mean=bias, std=0.3)
    return layer


class Scrfd(nn.Module):
    """insightface's SCRFDHead: one head for all levels, boxes times a number of the level."""

    def __init__(self, kps, batched):
        super().__init__()
        self.backbone = Backbone([8, 16, 32])
        self.cls, self.reg = head(2, -0.5), head(8, 1.5)
        self.kps = head(20) if kps else None
        self.scales = nn.ParameterList(nn.Parameter(torch.tensor(s)) for s in (0.9, 1.1, 1.3))
        self.batched = batched

    def rows(self, x, values):
        if self.batched:
            return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)
        return x.permute(2, 3, 0, 1).reshape(-1, values)

    def forward(self, x):
        features = self.backbone(x)
        scores = [self.rows(self.cls(f), 1).sigmoid() for f in features]
        boxes = [self.rows(self.reg(f) * s, 4) for f, s in zip(features, self.scales)]
        points = [self.rows(self.kps(f), 10) for f in features] if self.kps else []
        return tuple(scores + boxes + points)


class RetinaFace(nn.Module):
    """Pytorch_Retinaface, and Face-Detector-1MB with its four levels."""

    def __init__(self, counts, strides):
        super().__init__()
        self.backbone = Backbone(strides)
        self.loc = nn.ModuleList(head(4 * n) for n in counts)
        self.conf = nn.ModuleList(head(2 * n) for n in counts)
        self.landms = nn.ModuleList(head(10 * n) for n in counts)

    def forward(self, x):
        features = self.backbone(x)

        def rows(heads, values):
            parts = [h(f).permute(0, 2, 3, 1).contiguous() for h, f in zip(heads, features)]
            return torch.cat([p.view(p.shape[0], -1, values) for p in parts], 1)

        return rows(self.loc, 4), rows(self.conf, 2).softmax(-1), rows(self.landms, 10)


class RetinaFaceMxnet(nn.Module):
    """insightface's mxnet RetinaFace: planes, all logits of the background before those of faces."""

    def __init__(self):
        super().__init__()
        self.backbone = Backbone([8, 16, 32])
        self.heads = nn.ModuleList(nn.ModuleList([head(4), head(8), head(20)]) for _ in range(3))

    def forward(self, x):
        outputs = []
        for f, (cls, box, points) in reversed(list(zip(self.backbone(x), self.heads))):
            score = cls(f)
            n, c, h, w = score.shape
            outputs += [score.view(n, 2, -1, w).softmax(1).view(n, c, h, w), box(f), points(f)]
        return tuple(outputs)


class BlazeFace(nn.Module):
    """BlazeFace-PyTorch, front (strides 8 and 16) and back (16 and 32): rows of the boxes' and of the scores' own."""

    def __init__(self, strides):
        super().__init__()
        self.backbone = Backbone(strides)
        self.classifiers = nn.ModuleList([head(2, 0.3), head(6, 0.3)])
        self.regressors = nn.ModuleList([head(32, 12.0, 6.0), head(96, 12.0, 6.0)])

    def forward(self, x):
        features = self.backbone(x)

        def rows(heads, values):
            parts = [h(f).permute(0, 2, 3, 1) for h, f in zip(heads, features)]
            return torch.cat([p.reshape(p.shape[0], -1, values) for p in parts], 1)

        return rows(self.regressors, 16), rows(self.classifiers, 1)


# ---- outputs to (scores [n], boxes [n, 4], points [n, 2k] or nothing)


def centres(w, h, stride, count, offset):
    y, x = np.mgrid[0 : -(-h // stride), 0 : -(-w // stride)]
    points = np.stack([x.ravel(), y.ravel()], 1) * float(stride) + offset
    return np.repeat(points, count, 0)


def pairs(values, centre, scale):
    """Points x y, x y, … of each row."""
    n = values.shape[1] // 2
    return np.tile(centre, n) + values * np.repeat(scale, 2 * n, 1) if values.shape[1] else values


def decode_scrfd(outputs, w, h):
    outputs = [o.reshape(-1, o.shape[-1]).astype(np.float64) for o in outputs]
    found = []
    for i, stride in enumerate((8, 16, 32)):
        centre = centres(w, h, stride, 2, 0)
        d = outputs[3 + i] * stride
        boxes = np.concatenate([centre - d[:, :2], centre + d[:, 2:]], 1)
        kps = outputs[6 + i] if len(outputs) > 6 else np.zeros((len(d), 0))
        found.append((outputs[i][:, 0], boxes, pairs(kps, centre, np.full((len(d), 1), stride))))
    return [np.concatenate(part) for part in zip(*found)]


def from_anchors(loc, landms, centre, side, variances):
    middle = centre + loc[:, :2] * variances[0] * side
    size = side * np.exp(loc[:, 2:] * variances[1])
    boxes = np.concatenate([middle - size / 2, middle + size / 2], 1)
    return boxes, pairs(landms, centre, variances[0] * side)


def decode_retinaface(sides, strides):
    def decode(outputs, w, h):
        loc, conf, landms = [o[0].astype(np.float64) for o in outputs]
        centre = np.concatenate([centres(w, h, s, len(a), s / 2) for s, a in zip(strides, sides)])
        side = np.concatenate(
            [np.tile(a, len(centres(w, h, s, 1, 0))) for s, a in zip(strides, sides)]
        ).reshape(-1, 1)
        return conf[:, 1], *from_anchors(loc, landms, centre, side, (0.1, 0.2))

    return decode


def decode_mxnet(outputs, w, h):
    found = []
    for i, (stride, sides) in enumerate(((32, (512, 256)), (16, (128, 64)), (8, (32, 16)))):
        score, box, points = [o[0].astype(np.float64) for o in outputs[3 * i : 3 * i + 3]]
        for a, side in enumerate(sides):
            rows = lambda x, n, a=a: x[n * a : n * a + n].reshape(n, -1).T
            centre = centres(w, h, stride, 1, 8)
            boxes, landms = from_anchors(
                rows(box, 4), rows(points, 10), centre, np.full((len(centre), 1), side), (1, 1)
            )
            found.append((score[2 + a].ravel(), boxes, landms))
    return [np.concatenate(part) for part in zip(*found)]


def decode_blazeface(strides):
    def decode(outputs, w, h):
        values, logits = [o[0].astype(np.float64) for o in outputs]
        centre = np.concatenate([centres(w, h, s, n, s / 2) for s, n in zip(strides, (2, 6))])
        middle, size = centre + values[:, :2], values[:, 2:4]
        boxes = np.concatenate([middle - size / 2, middle + size / 2], 1)
        score = 1 / (1 + np.exp(-np.clip(logits[:, 0], -100, 100)))
        return score, boxes, pairs(values[:, 4:], centre, np.ones((len(values), 1)))

    return decode


def suppressed(scores, boxes, points):
    kept = []
    area = lambda b: max(b[2] - b[0], 0) * max(b[3] - b[1], 0)
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] <= least:
            break

        def iou(j, i=i):
            low, high = np.maximum(boxes[i, :2], boxes[j, :2]), np.minimum(boxes[i, 2:], boxes[j, 2:])
            common = area([*low, *high])
            return common / (area(boxes[i]) + area(boxes[j]) - common) if common else 0

        if all(iou(j) <= overlap for j in kept):
            kept.append(i)
    return [(scores[i], boxes[i], points[i]) for i in kept]


def picture(w, h):
    y, x, c = np.mgrid[0:h, 0:w, 0:3].astype(np.int64)
    return ((x * x * 3 + y * 7 + x * y + c * 50) % 256).astype(np.float32)


scrfd_input = lambda rgb: (rgb - 127.5) / 128
caffe_input = lambda rgb: rgb[:, :, ::-1] - np.array([104, 117, 123], np.float32)
blaze_input = lambda rgb: rgb / 127.5 - 1

sides = [(16, 32), (64, 128), (256, 512)]
slim = [(10, 16, 24), (32, 48), (64, 96), (128, 192, 256)]
names = lambda *parts: [f"{part}_{stride}" for part in parts for stride in (8, 16, 32)]
# Name, network, names of the outputs, sizes (the first is exported; several: height and width are dynamic), input, decoding.
models = [
    ("scrfd", Scrfd(True, True), names("score", "bbox", "kps"), [(128, 128), (160, 96)], scrfd_input, decode_scrfd),
    ("scrfd-boxes", Scrfd(False, False), ["s8", "s16", "s32", "b8", "b16", "b32"], [(128, 128)], scrfd_input, decode_scrfd),
    ("retinaface", RetinaFace((2, 2, 2), (8, 16, 32)), ["loc", "conf", "landms"], [(128, 128), (160, 96)], caffe_input, decode_retinaface(sides, (8, 16, 32))),
    ("retinaface-slim", RetinaFace((3, 2, 2, 3), (8, 16, 32, 64)), ["boxes", "scores", "points"], [(128, 192)], caffe_input, decode_retinaface(slim, (8, 16, 32, 64))),
    ("retinaface-mxnet", RetinaFaceMxnet(), [f"face_rpn_{part}_stride{s}" for s in (32, 16, 8) for part in ("cls_prob_reshape", "bbox_pred", "landmark_pred")], [(128, 128), (160, 96)], lambda rgb: rgb, decode_mxnet),
    ("blazeface", BlazeFace((8, 16)), ["regressors", "classificators"], [(128, 128)], blaze_input, decode_blazeface((8, 16))),
    ("blazeface-back", BlazeFace((16, 32)), ["r", "c"], [(256, 256)], blaze_input, decode_blazeface((16, 32))),
]  # fmt: skip


def level_out(network, x):
    """Scales layer after layer so that features have a deviation of 1, whatever the input's range: scores then spread."""
    x = torch.from_numpy(x)
    with torch.no_grad():
        for layer in [*network.backbone.stem, *network.backbone.deeper]:
            deviation = layer(x).std()
            layer[0].weight /= deviation
            layer[0].bias /= deviation
            x = layer(x)


goldens = {}
folder.mkdir(exist_ok=True)
for seed, (name, _, outputs, sizes, prepare, decode) in enumerate(models):
    torch.manual_seed(seed)
    network = [m for m in models if m[0] == name][0][1]
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
    network.eval()
    tensor = lambda w, h: np.ascontiguousarray(prepare(picture(w, h)).transpose(2, 0, 1)[None], np.float32)
    level_out(network, tensor(*sizes[0]))
    file = folder / f"{name}.onnx"
    dynamic = {"input": {2: "h", 3: "w"}} if len(sizes) > 1 else None
    torch.onnx.export(
        network, torch.from_numpy(tensor(*sizes[0])), file, input_names=["input"], output_names=outputs,
        opset_version=11, dynamic_axes=dynamic, dynamo=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    goldens[name] = {}
    for w, h in sizes:
        found = []
        for score, box, points in suppressed(*decode(session.run(None, {"input": tensor(w, h)}), w, h)):
            box = np.clip(box, 0, [w, h, w, h])
            if box[2] > box[0] and box[3] > box[1]:
                found.append([round(float(v), 5) for v in (score, *box, *points)])
        goldens[name][f"{w}x{h}"] = found[:: max(len(found) // 20, 1)]
        print(name, f"{w}x{h}", len(found), [round(f[0], 2) for f in found[:12]], file.stat().st_size)
lines = ",\n".join(
    f'  "{name}": {{\n'
    + ",\n".join(f'    "{size}": {json.dumps(rows)}' for size, rows in of.items())
    + "\n  }"
    for name, of in goldens.items()
)
(folder / "goldens.json").write_text("{\n" + lines + "\n}\n")
