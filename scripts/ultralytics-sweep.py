#!/usr/bin/env python3
"""Exports networks of ultralytics in every way that its package offers, with the boxes that it finds with each of them itself.

    python3 scripts/ultralytics-sweep.py FOLDER PICTURE... [--only yolov8n,yolo11n] [--ways plain,ncnn]
    node scripts/ultralytics-sweep.ts FOLDER

Needs ultralytics, onnxslim, onnxruntime, ncnn and pnnx. Weights are random, with BatchNorm statistics from the pictures, and last layers
that are scaled so that some dozen boxes of different scores come out. Writes the exports and index.json: [{file, network, way, width,
height, boxes: {picture: [[class, score, x0, y0, x1, y1]]}}]. Boxes are those of predict() with a confidence of 0.25 and an overlap of 0.7, by the
export itself, or by the checkpoint for it, for ncnn and for other sizes. Pictures are letterboxed beforehand, so that none is resized.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ["YOLO_AUTOINSTALL"] = "false"

import cv2
import numpy as np
import onnx
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.nn.tasks import DetectionModel

networks = {
    "yolov5nu": "yolov5n.yaml",
    "yolov8n": "yolov8n.yaml",
    "yolov9t": "yolov9t.yaml",
    "yolov10n": "yolov10n.yaml",
    "yolo11n": "yolo11n.yaml",
    "yolo12n": "yolo12n.yaml",
    "yolo26n": "yolo26n.yaml",
}
# Only with --only: more or coarser levels, other blocks, few classes (after the slash).
others = {
    "yolov3-tinyu": "yolov3-tiny.yaml",
    "yolov6n": "yolov6n.yaml",
    "yolov8n-p2": "yolov8n-p2.yaml",
    "yolov8n-p6": "yolov8n-p6.yaml",
    "yolov8n-ghost": "yolov8n-ghost.yaml",
    "yolo26n-p2": "yolo26n-p2.yaml",
    "yolov8n-1": "yolov8n.yaml/1",
    "yolo11n-2": "yolo11n.yaml/2",
    "yolo26n-1": "yolo26n.yaml/1",
}
ways = {
    # The checkpoint itself.
    "pt": {},
    "pt-end2end": {},
    "plain": dict(simplify=False),
    "simplify": dict(simplify=True),
    "dynamic": dict(simplify=False, dynamic=True),
    "dynamic-simplify": dict(simplify=True, dynamic=True),
    "half": dict(simplify=True, quantize=16),
    "nms": dict(simplify=False, nms=True),
    "nms-simplify": dict(simplify=True, nms=True),
    "nms-dynamic": dict(simplify=False, nms=True, dynamic=True),
    "end2end": dict(simplify=False, nms=False),
    **{f"opset{n}": dict(simplify=n % 2 == 0, opset=n) for n in range(12, 21)},
    "nms-opset13": dict(simplify=False, nms=True, opset=13),
    "end2end-opset13": dict(simplify=True, nms=False, opset=13),
    "ncnn": dict(format="ncnn"),
    "ncnn-half": dict(format="ncnn", quantize=16),
}
# Sizes (height, width) beyond the first, at which the checkpoint itself says what boxes there are.
sizes = [(320, 320), (320, 416), (640, 640)]
prediction = dict(conf=0.25, iou=0.7, max_det=10000, rect=False, verbose=False, save=False)


def letterboxed(files, folder):
    """Pictures that need no resizing, by size: how two programs resize is not the question here."""
    made = {}
    for height, width in sizes:
        made[height, width] = []
        for file in files:
            target = folder / f"{Path(file).stem}-{height}x{width}.png"
            cv2.imwrite(str(target), LetterBox((height, width), auto=False)(image=cv2.imread(file)))
            made[height, width].append(target)
    return made


def tensors(pictures):
    images = [cv2.imread(str(file))[..., ::-1].copy() for file in pictures]
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images]).float() / 255


def levelled(layer, found, is_score, bins):
    """Gives the values of a last layer a spread; some scores are above 0, and distances make boxes."""
    first = found[0]
    spread, mean = (0.4, 0.0) if is_score else (1.0, 0.0) if bins > 1 else (0.5, 4.0)
    factor, centre = spread / first.std(), first.mean((0, 2, 3))
    if is_score:
        # At least 12 of each picture at the first size are found, and none is so sure that its score is 1.
        mean = -0.9 - factor * (first - centre[:, None, None]).flatten(1).topk(12).values[:, -1].min()
    layer.weight.data *= factor
    layer.bias.data = (layer.bias.data - centre) * factor + mean


def fitting(yolo):
    """Sizes that are multiples of the network's stride."""
    stride = int(yolo.model.stride.max())
    return [(h, w) for h, w in sizes if h % stride == w % stride == 0]


def prepared(name, folder, pictures):
    """A checkpoint with weights that give boxes."""
    file = folder / f"{name}.pt"
    if file.exists():
        return file
    torch.manual_seed(7)
    [yaml, *classes] = {**networks, **others}[name].split("/")
    yolo = YOLO(yaml)
    if classes:
        yolo.model = DetectionModel(yaml, nc=int(classes[0]), verbose=False)
    model = yolo.model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Small, so that activations are nearly linear: else a deep network makes large differences of rounding.
            nn.init.normal_(module.weight, 0.4, 0.05)
            nn.init.normal_(module.bias, 0, 0.1)
            module.momentum = None
    inputs = [tensors(pictures[each]) for each in fitting(yolo)]
    head = model.model[-1]
    found = {}
    for branch in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        for last in [each[-1] for each in getattr(head, branch, None) or []]:
            found[last] = (branch.endswith("cv3"), [])
            last.register_forward_hook(lambda layer, _, out: found[layer][1].append(out))
    with torch.no_grad():
        model.train()
        for each in inputs:
            model(each)
        model.eval()
        for _, outs in found.values():
            outs.clear()
        for each in inputs:
            model(each)
        for last, (is_score, outs) in found.items():
            levelled(last, outs, is_score, head.reg_max)
            last._forward_hooks.clear()
    model.names = {i: f"class {i}" for i in range(len(model.names))}
    yolo.save(file)
    return file


def widened(file):
    """A float16 export that computes in float32: what onnxruntime loses by its float16 arithmetic is no part of the model."""
    model = onnx.load(file)
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for tensor in model.graph.initializer:
        if tensor.data_type == half:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype") and attribute.i == half:
                attribute.i = full
            if attribute.t.data_type == half:
                values = onnx.numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(values))
    for info in [*model.graph.input, *model.graph.output]:
        if info.type.tensor_type.elem_type == half:
            info.type.tensor_type.elem_type = full
    del model.graph.value_info[:]
    target = file.with_name(f"{file.stem}-widened.onnx")
    onnx.save(model, target)
    return target


def cut(yolo):
    """With weights (not biases) as pnnx stores them in float16, where it cuts and does not round; BatchNorm folded before."""
    yolo.fuse()
    for parameter in yolo.model.parameters():
        if parameter.ndim > 1:
            bits = parameter.data.view(torch.int32) & ~0x1FFF
            small = (parameter.data * 2**24).trunc() / 2**24
            parameter.data = torch.where(parameter.data.abs() < 2**-14, small, bits.view(torch.float32))
    return yolo


def many_of(checkpoint):
    """The network with the branch whose boxes are suppressed."""
    yolo = YOLO(checkpoint)
    if getattr(yolo.model, "end2end", False):
        yolo.model.end2end = False
    return yolo


def boxes_of(yolo, pictures, imgsz, **more):
    found = {}
    for file in pictures:
        [result] = yolo.predict(str(file), imgsz=imgsz, **prediction, **more)
        rows = torch.cat([result.boxes.cls[:, None], result.boxes.conf[:, None], result.boxes.xyxy], 1)
        found[file.name] = [[round(v, 5) for v in row] for row in rows.tolist()]
    return found


def exported(checkpoint, folder, way, size):
    """The export under a name of its own, or why there is none."""
    if way.startswith("pt"):
        return checkpoint
    is_folder = ways[way].get("format") == "ncnn"
    target = folder / f"{checkpoint.stem}-{way}{'' if is_folder else '.onnx'}"
    if not target.exists():
        made = YOLO(checkpoint).export(**{"format": "onnx", "imgsz": size, **ways[way]})
        shutil.move(made, target)
    return target


def entries_of(name, folder, pictures, wanted):
    size = sizes[0][0]
    checkpoint = prepared(name, folder, pictures)
    is_one_to_one = name.startswith(("yolov10", "yolo26"))
    many = many_of(checkpoint)
    truth = {f"{h}x{w}": boxes_of(many, pictures[h, w], (h, w)) for h, w in fitting(many)}
    print(name, {k: [len(b) for b in v.values()] for k, v in truth.items()}, flush=True)
    for way in wanted:
        if "end2end" in way and not is_one_to_one:
            continue
        entry = {"network": name, "way": way, "width": size, "height": size}
        try:
            file = exported(checkpoint, folder, way, size)
        except Exception as problem:
            yield {**entry, "problem": str(problem).splitlines()[0]}
            continue
        entry["file"] = str(file.relative_to(folder))
        if way in ("ncnn", "pt"):
            entry["boxes"] = truth[f"{size}x{size}"]
        else:
            by_export = lambda: YOLO(widened(file) if way == "half" else file, task="detect")
            own = YOLO(checkpoint) if way == "pt-end2end" else cut(many_of(checkpoint)) if file.is_dir() else by_export()
            entry["boxes"] = boxes_of(own, pictures[sizes[0]], size, **({"nms": False} if way == "pt-end2end" else {}))
        if way in ("pt", "plain", "ncnn", "simplify"):
            entry["others"] = {k: v for k, v in truth.items() if k != f"{size}x{size}"}
        yield entry


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--only", default=",".join(networks))
    parser.add_argument("--ways", default=",".join(ways))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    pictures = letterboxed(args.pictures, args.folder)
    index = args.folder / "index.json"
    known = json.loads(index.read_text()) if index.exists() else []
    for name in args.only.split(","):
        for entry in entries_of(name, args.folder, pictures, args.ways.split(",")):
            same = lambda e: (e["network"], e["way"]) == (entry["network"], entry["way"])
            known = [e for e in known if not same(e)] + [entry]
            index.write_text(json.dumps(known))
            print(
                name,
                entry["way"],
                entry.get("problem") or [len(b) for b in entry["boxes"].values()],
                flush=True,
            )


main()
