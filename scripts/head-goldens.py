#!/usr/bin/env python3
"""Boxes of real models by decoding that is not ours: onnxruntime or native ncnn, OpenCV and numpy.

Writes test/heads/goldens.json: for every model and picture the boxes with scores above 0.3 after suppression at 0.45, as
[class, score, x0, y0, x1, y1, points x y …] in pixels of the picture.

    pip install numpy opencv-python-headless onnx onnxruntime ncnn
    python3 scripts/head-goldens.py ../shared [MODEL of which alone they are made anew …]
"""

import json
import math
import sys
from pathlib import Path

import cv2
import ncnn
import numpy as np
import onnx
import onnxruntime

shared = Path(sys.argv[1])
pictures = ["000000000139", "000000000632", "000000000885"]
least, overlap = 0.3, 0.45


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---- pictures to tensors: (tensor [3, h, w], function from input to picture coordinates)


def resized(picture, w, h):
    """ncnn's resizing, which differs from OpenCV's where a weight lies between two of its steps."""
    kind = ncnn.Mat.PixelType.PIXEL_BGR
    mat = ncnn.Mat.from_pixels_resize(picture, kind, picture.shape[1], picture.shape[0], w, h)
    return np.array(mat).transpose(1, 2, 0).astype(np.uint8)


def placed(picture, side, fit, colour):
    h, w = picture.shape[:2]
    if fit == "stretch":
        image = resized(picture, side, side)
        return image, lambda b: b * np.array([w / side, h / side] * 2)
    ratio = min(side / w, side / h)
    if fit == "corner":
        nw, nh = int(w * ratio + 1e-9), int(h * ratio + 1e-9)
        left = top = 0
    else:
        nw, nh = round(w * ratio), round(h * ratio)
        left, top = round((side - nw) / 2 - 0.1), round((side - nh) / 2 - 0.1)
    image = np.full((side, side, 3), colour, np.uint8)
    image[top : top + nh, left : left + nw] = resized(picture, nw, nh)
    return image, lambda b: (b - np.array([left, top] * 2)) / np.array([nw / w, nh / h] * 2)


def tensor(picture, side, fit="stretch", colour=114, rgb=False, mean=(0, 0, 0), norm=(1, 1, 1)):
    image, back = placed(picture, side, fit, colour)
    if rgb:
        image = image[:, :, ::-1]
    x = (image.astype(np.float32) - np.array(mean, np.float32)) * np.array(norm, np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1)), back


imagenet = dict(mean=(103.53, 116.28, 123.675), norm=(1 / 57.375, 1 / 57.12, 1 / 58.395))
imagenet_rgb = dict(rgb=True, mean=imagenet["mean"][::-1], norm=imagenet["norm"][::-1])
unit = dict(norm=(1 / 255,) * 3)

# ---- outputs to (boxes [n, 4] corners in the input, scores [n, classes], perhaps points [n, 2k])


def cells(side, stride):
    n = math.ceil(side / stride)
    y, x = np.mgrid[0:n, 0:n]
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)


def yolox(outputs, side):
    (out,) = outputs
    out = out.reshape(-1, 85).astype(np.float64)
    grid = np.concatenate([cells(side, s) for s in (8, 16, 32)])
    stride = np.concatenate([np.full((len(cells(side, s)), 1), s) for s in (8, 16, 32)])
    centre, size = (out[:, :2] + grid) * stride, np.exp(out[:, 2:4]) * stride
    return np.concatenate([centre - size / 2, centre + size / 2], 1), out[:, 4:5] * out[:, 5:]


def sides(bins, points, stride):
    d = (softmax(bins.reshape(-1, 4, 8)) * np.arange(8)).sum(-1) * stride
    return np.concatenate([points - d[:, :2], points + d[:, 2:]], 1)


def nanodet(outputs, side):
    n = len(outputs) // 2
    strides = (8, 16, 32, 64)[:n]
    boxes = [sides(o.reshape(-1, 32), (cells(side, s) + 0.5) * s, s) for o, s in zip(outputs[n:], strides)]
    return np.concatenate(boxes), np.concatenate([o.reshape(-1, 80) for o in outputs[:n]])


def nanodet_plus(outputs, side):
    (out,) = outputs
    out = out.reshape(-1, 112)
    strides = (8, 16, 32, 64)
    points = np.concatenate([cells(side, s) * s for s in strides])
    stride = np.concatenate([np.full((len(cells(side, s)), 1), s) for s in strides])
    return sides(out[:, 80:], points, stride), out[:, :80]


def fastestdet(outputs, side):
    (out,) = outputs
    out = out.reshape(85, -1).T.astype(np.float64)
    centre = (np.tanh(out[:, 1:3]) + cells(side, 16)) * 16
    size = sigmoid(out[:, 3:5]) * side
    scores = out[:, :1] ** 0.6 * out[:, 5:] ** 0.4
    return np.concatenate([centre - size / 2, centre + size / 2], 1), scores


def fastestv2(outputs, side):
    anchors = np.array(
        [12.64, 19.39, 37.88, 51.48, 55.71, 138.31, 126.91, 78.23, 131.57, 214.55, 279.92, 258.87]
    )
    boxes, scores = [], []
    for level, (out, stride) in enumerate(zip(outputs, (16, 32))):
        out = out.reshape(-1, 95).astype(np.float64)
        for a in range(3):
            b = out[:, 4 * a : 4 * a + 4]
            centre = (b[:, :2] * 2 - 0.5 + cells(side, stride)) * stride
            size = (b[:, 2:] * 2) ** 2 * anchors[6 * level + 2 * a : 6 * level + 2 * a + 2]
            boxes.append(np.concatenate([centre - size / 2, centre + size / 2], 1))
            scores.append(out[:, 12 + a : 13 + a] * out[:, 15:])
    return np.concatenate(boxes), np.concatenate(scores)


def centerface(outputs, side):
    heat, scale, offset, landmarks = [o.reshape(o.shape[-3:]).astype(np.float64) for o in outputs]
    points = cells(side, 4)
    centre = (points + offset[::-1].reshape(2, -1).T + 0.5) * 4
    size = np.exp(scale[::-1].reshape(2, -1).T) * 4
    parts = landmarks.reshape(5, 2, -1)[:, ::-1].transpose(2, 0, 1)  # cells, points, x y
    places = (centre - size / 2)[:, None] + parts * size[:, None]
    corners = np.concatenate([centre - size / 2, centre + size / 2], 1)
    return corners, heat.reshape(-1, 1), places.reshape(-1, 10)


def yolov5(anchors):
    def decode(outputs, side):
        boxes, scores = [], []
        for level, (out, stride) in enumerate(zip(outputs, (8, 16, 32))):
            out = sigmoid(out.reshape(3, -1, 85))
            for a in range(3):
                size = (out[a, :, 2:4] * 2) ** 2 * np.array(anchors[level][2 * a : 2 * a + 2])
                centre = (out[a, :, :2] * 2 - 0.5 + cells(side, stride)) * stride
                boxes.append(np.concatenate([centre - size / 2, centre + size / 2], 1))
                scores.append(out[a, :, 4:5] * out[a, :, 5:])
        return np.concatenate(boxes), np.concatenate(scores)

    return decode


def rows(outputs, side):
    (out,) = outputs
    scores = np.zeros((len(out), 80))
    scores[np.arange(len(out)), out[:, 0].astype(int) - 1] = out[:, 1]
    return out[:, 2:] * side, scores


# ---- suppression, class by class, of the best class of each box


def suppressed(boxes, scores, points=None):
    best = scores.argmax(1)
    score = scores.max(1)
    kept = []
    for i in np.argsort(-score, kind="stable"):
        if score[i] <= least:
            break
        x0, y0 = np.maximum(boxes[i, :2], boxes[[j for j in kept], :2]).T if kept else ([], [])
        x1, y1 = np.minimum(boxes[i, 2:], boxes[[j for j in kept], 2:]).T if kept else ([], [])
        common = np.maximum(np.subtract(x1, x0), 0) * np.maximum(np.subtract(y1, y0), 0)
        area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
        iou = common / (area(boxes[i]) + area(boxes[kept]) - common) if kept else np.zeros(0)
        if not any(o > overlap and best[j] == best[i] for o, j in zip(iou, kept)):
            kept.append(i)
    none = np.zeros(0)
    return [(int(best[i]), float(score[i]), boxes[i], none if points is None else points[i]) for i in kept]


def run_onnx(file, x):
    model = onnx.load(file)
    for info in [*model.graph.input, *model.graph.output]:  # some are made for another size or batch
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if info.name in {"input.1", *[o.name for o in model.graph.output]}:
                dim.dim_param = f"{info.name}_{axis}"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x[None]})


def run_ncnn(file, x, names):
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(str(file))
    net.load_model(str(file.with_suffix(".bin")))
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(x))
    return [np.array(extractor.extract(name)[1]) for name in names or net.output_names()]


grey_box = dict(fit="letterbox", rgb=True, **unit)
of_yolov5ss = [[4, 5, 8, 10, 13, 16], [23, 29, 43, 55, 73, 105], [146, 217, 231, 300, 335, 433]]
of_yolov5 = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]
models = [
    ("models/real/yolox_nano.onnx", 416, yolox, dict(fit="corner"), None),
    ("models/real/nanodet_m.onnx", 416, nanodet, dict(fit="letterbox", colour=0, **imagenet), None),
    (
        "models/nanodet_m.param",
        320,
        nanodet,
        dict(fit="letterbox", colour=0, **imagenet),
        "792 814 836 795 817 839",
    ),
    ("models/real/nanodet-plus-coco-416.param", 416, nanodet_plus, imagenet, None),
    ("models/real/picodet_s_320.onnx", 320, nanodet, imagenet_rgb, None),
    ("models/real/centerface.onnx", 640, centerface, dict(rgb=True), None),
    ("models/FastestDet.onnx", 352, fastestdet, unit, None),
    ("models/FastestDet.param", 352, fastestdet, unit, None),
    ("models/yolo-fastestv2-opt.param", 352, fastestv2, unit, "794 796"),
    ("models/real/yolo-fastest-1.1.param", 320, rows, dict(rgb=True, **unit), None),
    ("models/yolov5ss.param", 640, yolov5(of_yolov5ss), grey_box, "output 917 937"),
    ("models/v5lite-e.param", 640, yolov5(of_yolov5), grey_box, "output 1111 2222"),
    ("models/v5lite-s.param", 640, yolov5(of_yolov5), grey_box, "output 1111 2222"),
]
out = Path(__file__).parent.parent / "test/heads/goldens.json"
only = sys.argv[2:]
goldens = json.loads(out.read_text()) if only else {}
for name, side, decode, options, names in models:
    if only and name not in only:
        continue
    file = shared / name
    goldens[name] = {}
    for number in pictures:
        picture = cv2.imread(str(shared / f"coco/images/val2017/{number}.jpg"))
        x, back = tensor(picture, side, **options)
        outputs = run_onnx(file, x) if name.endswith(".onnx") else run_ncnn(file, x, names and names.split())
        h, w = picture.shape[:2]
        found = []
        for label, score, box, points in suppressed(*decode(outputs, side)):
            corners = np.clip(back(box), 0, [w, h, w, h])
            places = [v for pair in points.reshape(-1, 2) for v in back(np.tile(pair, 2))[:2]]
            found.append([label, round(score, 5), *[round(float(v), 3) for v in [*corners, *places]]])
        goldens[name][number] = found
    print(name, {k: len(v) for k, v in goldens[name].items()})
lines = ",\n".join(
    f'  "{name}": {{\n' + ",\n".join(f'    "{n}": {json.dumps(b)}' for n, b in of.items()) + "\n  }"
    for name, of in goldens.items()
)
out.parent.mkdir(exist_ok=True)
out.write_text("{\n" + lines + "\n}\n")
