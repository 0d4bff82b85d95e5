#!/usr/bin/env python3
"""Exports small networks of ultralytics that do more than boxes, with what its predict() finds with each export itself.

    python3 scripts/task-exports.py                        the fixtures: test/heads/data/tasks.zip
    python3 scripts/task-exports.py FOLDER [NAME ...]      every version, task and way, to look at (NAME: yolov8-seg, or yolov8-seg-nms)

Needs ultralytics 8.4, onnxslim, onnxruntime, pnnx, ncnn, pycocotools. Weights are random with few different values, so that they pack well;
last layers are scaled so that some dozens are found. For every export NAME there is NAME.json: {task, way, size, options, pictures: [{width,
height, found: [{class, score, ...}]}]}, with `box` x y x y, `mask` as compressed run lengths (retina_masks, of the picture's size), `points`
x y visibility, `corners`. Pictures are those of `picture()`, which tests make too; they are twice the input, so that resizing is exact.
Of ncnn exports, and of those with nms=True (whose suppression takes boxes that lie outside of the picture for those of other classes), it
is what the checkpoint finds. Rows of classifiers are class and score of the whole picture.
"""

import copy
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ["YOLO_AUTOINSTALL"] = "false"

import numpy as np
import torch
from pycocotools import mask as coco
from torch import nn
from ultralytics import YOLO
from ultralytics.nn import tasks
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils import LOGGER

LOGGER.setLevel("ERROR")
TARGET = Path(__file__).resolve().parent.parent / "test/heads/data/tasks.zip"
MODELS = {
    "seg": tasks.SegmentationModel,
    "pose": tasks.PoseModel,
    "obb": tasks.OBBModel,
    "cls": tasks.ClassificationModel,
}
TASKS = {"seg": "segment", "pose": "pose", "obb": "obb", "cls": "classify"}
CLASSES = {"seg": 3, "pose": 1, "obb": 4, "cls": 7}
WAYS = {
    "plain": dict(simplify=False),
    "simplify": dict(simplify=True),
    "dynamic": dict(simplify=False, dynamic=True),
    "nms": dict(simplify=False, nms=True),
    "nms-simplify": dict(simplify=True, nms=True),
    "end2end": dict(simplify=False, nms=False),
    "end2end-simplify": dict(simplify=True, nms=False),
    "opset13": dict(simplify=False, opset=13),
    "ncnn": dict(format="ncnn"),
}
FIXTURES = [
    "yolov8-seg-plain",
    "yolo11-seg-nms",
    "yolo26-seg-end2end",
    "yolov8-pose-simplify",
    "yolo26-pose-end2end",
    "yolov8-obb-nms-simplify",
    "yolo11-obb-dynamic",
    "yolo26-obb-plain",
    "yolov8-cls-simplify",
    "yolo26-cls-plain",
    "yolov8-seg-ncnn",
    "yolo11-pose-ncnn",
    "yolov8-obb-ncnn",
    "yolo11-cls-ncnn",
]
SIZE = 96
PICTURES = [(2 * SIZE, 2 * SIZE - 48), (2 * SIZE - 64, 2 * SIZE)]
OPTIONS = dict(conf=0.25, iou=0.5, max_det=300)
# Such an export gives as many rows as there are cells, which are few here: fewer must be enough.
SURE = dict(conf=0.45, iou=0.5, max_det=300)


def picture(width, height):
    """Blobs and waves; tests have the same formula."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * x * 3 // 16 + y * 7 + x * y // 8 + c * 50) % 256).astype(np.uint8)


def small(name):
    """The package's network with few channels."""
    yaml = yaml_model_load(f"{name}.yaml")
    yaml["scales"] = {"n": [0.33, 0.0625, 256]}
    yaml["scale"] = "n"
    yaml["reg_max"] = yaml.get("reg_max", 6)
    for _, _, module, args in yaml["backbone"] + yaml["head"]:
        if module in ("Segment", "Segment26"):
            args[1:] = [8, 64]
    if "kpt_shape" in yaml:
        yaml["kpt_shape"] = [17, 3] if "26" not in name else [5, 3]
    return yaml


def last_layers(head):
    """The last convolutions of all branches: what they are, and the layer."""
    for prefix in ("", "one2one_"):
        for name, what in (("cv2", "box"), ("cv3", "score"), ("cv4_kpts", "more"), ("cv4", "more")):
            for each in getattr(head, prefix + name, None) or []:
                last = each[-1] if isinstance(each, nn.Sequential) else each
                if isinstance(last, nn.Conv2d):
                    yield what, last


def levelled(what, layer, found, bins):
    """Gives the values of a last layer a spread."""
    spread, mean = {"score": (0.4, 0.0), "box": (1.0, 0.0) if bins > 1 else (0.4, 2.5), "more": (1.0, 0.0)}[
        what
    ]
    factor, centre = spread / found.std(), found.mean((0, 2, 3))
    if what == "score":
        mean = (factor * (found - centre[:, None, None])).flatten(1)
        mean = -0.9 - mean.topk(min(16, mean.shape[1])).values[:, -1].min()
    layer.weight.data *= factor
    layer.bias.data = (layer.bias.data - centre) * factor + mean


def prepared(name, folder):
    """A checkpoint of the network, made once."""
    file = folder / f"{name}.pt"
    if file.exists():
        return file
    torch.manual_seed(7)
    kind = name.split("-")[1]
    model = MODELS[kind](small(name), ch=3, nc=CLASSES[kind], verbose=False)
    head = model.model[-1]
    if kind == "cls":
        head.conv, head.linear = Conv(head.conv.conv.in_channels, 520), nn.Linear(520, CLASSES[kind])
    g = torch.Generator().manual_seed(11)
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)) and m.weight.requires_grad:
            step = (2.0 / m.weight[0].numel()) ** 0.5
            m.weight.data = (torch.randn(m.weight.shape, generator=g) * 2).round().clamp(-3, 3) / 2 * step
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data = (torch.rand(m.weight.shape, generator=g) * 4).round() / 8 + 0.5
            m.bias.data = (torch.randn(m.bias.shape, generator=g) * 8).round() / 32
            m.momentum = None
    images = [picture(SIZE, SIZE), picture(2 * SIZE, 2 * SIZE)[::2, ::2].copy()]
    inputs = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images]).float() / 255
    with torch.no_grad():
        model.train()
        model(inputs)
        model.eval()
        if kind == "cls":
            head.linear.weight.data *= 6
        else:
            found = {}
            for what, last in last_layers(head):
                found[last] = (what, [])
                last.register_forward_hook(lambda layer, _, out: found[layer][1].append(out))
            model(inputs)
            for last, (what, outs) in found.items():
                levelled(what, last, outs[0], head.reg_max)
                last._forward_hooks.clear()
    model.names = {i: f"{kind} {i}" for i in range(CLASSES[kind])}
    model.args = {"task": TASKS[kind], "imgsz": SIZE, "model": f"{name}.yaml"}
    model.task = TASKS[kind]
    yolo = YOLO(f"{name}.yaml")
    yolo.model = model
    yolo.save(file)
    return file


def rounded(tensor, digits=5):
    return np.round(tensor.cpu().numpy().astype(float), digits).tolist()


def found_in(result):
    if result.probs is not None:
        return [{"class": i, "score": round(float(v), 6)} for i, v in enumerate(result.probs.data)]
    boxes = result.obb if result.obb is not None else result.boxes
    rows = [{"class": int(c), "score": round(float(s), 6)} for c, s in zip(boxes.cls, boxes.conf)]
    for i, row in enumerate(rows):
        row["box"] = rounded(boxes.xyxy[i], 3)
        if result.obb is not None:
            row["corners"] = rounded(boxes.xyxyxyxy[i].flatten(), 3)
        if result.keypoints is not None:
            row["points"] = rounded(result.keypoints.data[i].flatten(), 4)
        if result.masks is not None:
            bits = np.asfortranarray(result.masks.data[i].cpu().numpy().astype(np.uint8))
            row["mask"] = coco.encode(bits)["counts"].decode()
    return rows


def entry(checkpoint, way, folder):
    kind = checkpoint.stem.split("-")[1]
    name = f"{checkpoint.stem}-{way}"
    is_ncnn = way == "ncnn"
    target = folder / (name if is_ncnn else f"{name}.onnx")
    yolo = YOLO(checkpoint)
    if not target.exists():
        made = copy.deepcopy(yolo).export(
            **{"format": "onnx", "imgsz": SIZE, **(OPTIONS if "nms" in way else {}), **WAYS[way]}
        )
        shutil.move(made, target)
    if is_ncnn or way.startswith("nms"):
        if getattr(yolo.model, "end2end", False):
            yolo.model.end2end = False
        judge = yolo
    else:
        judge = YOLO(target, task=TASKS[kind])
    pictures = []
    options = SURE if way.startswith("end2end") else OPTIONS
    for width, height in PICTURES:
        image = picture(width, height)[..., ::-1].copy()
        [result] = judge.predict(
            image, imgsz=SIZE, rect=False, retina_masks=True, verbose=False, save=False, **options
        )
        pictures.append({"width": width, "height": height, "found": found_in(result)})
    data = {"task": TASKS[kind], "way": way, "size": SIZE, "options": options, "pictures": pictures}
    (folder / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")))
    print(name, [len(p["found"]) for p in pictures], flush=True)


def main():
    given = sys.argv[1:]
    folder = Path(given[0] if given else Path(tempfile.gettempdir()) / "ncnnkit-task-exports")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = given[1:] or ([] if given else FIXTURES)
    for version in ("yolov8", "yolo11", "yolo26"):
        for kind in MODELS:
            name = f"{version}-{kind}"
            for way in WAYS:
                if (
                    way.startswith("end2end")
                    and version != "yolo26"
                    or way.startswith(("nms", "end2end"))
                    and kind == "cls"
                ):
                    continue
                if wanted and name not in wanted and f"{name}-{way}" not in wanted:
                    continue
                try:
                    entry(prepared(name, folder), way, folder)
                except Exception as problem:
                    print(f"{name}-{way}: {str(problem).splitlines()[:1]}", flush=True)
    if given:
        return
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in FIXTURES:
            for file in sorted(
                [folder / f"{name}.onnx", folder / f"{name}.json", *(folder / name).glob("*")]
            ):
                if file.exists() and file.suffix != ".py":
                    archive.write(file, file.relative_to(folder))
    print(TARGET.stat().st_size, "bytes")


main()
