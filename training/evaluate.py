"""Boxes from raw outputs, and COCO's average precision of them: the quick look while training. The figures of the model card
come from `ncnnkit eval`, whose arithmetic is checked against pycocotools.

    python3 evaluate.py CHECKPOINT FOLDER [--empty FOLDER] [--size 320]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from data import Dataset
from loss import decode
from models.yolo import Model
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

THRESHOLDS = np.arange(0.5, 1.0, 0.05)
RECALLS = np.linspace(0, 1, 101)


def boxes_of(
    outputs: list[Tensor], model: Model, size: int, confidence: float, overlap: float
) -> list[Tensor]:
    """`[n, 6]` a picture: x0, y0, x1, y1 in pixels, score, class; best first, at most 300."""
    detect = model.model[-1]
    rows = []
    for level, output in enumerate(outputs):
        batch, count, h, w, values = output.shape
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        corner = torch.stack((x, y), 2).view(1, 1, h, w, 2).expand(batch, count, -1, -1, -1).reshape(-1, 2)
        anchors = detect.anchors[level].view(1, count, 1, 1, 2).expand(batch, -1, h, w, -1).reshape(-1, 2)
        flat = output.reshape(-1, values)
        box = decode(flat[:, :4], anchors)
        box[:, :2] += corner
        box *= detect.stride[level]
        scores = flat[:, 4:5].sigmoid() * flat[:, 5:].sigmoid()
        rows.append(torch.cat((box, scores), 1).view(batch, -1, 4 + detect.nc))
    found = []
    for picture in torch.cat(rows, 1):
        index, kind = (picture[:, 4:] > confidence).nonzero(as_tuple=True)
        box, score = picture[index, :4], picture[index, 4 + kind]
        corners = torch.cat((box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2), 1).clamp(0, size)
        best = batched_nms(corners, score, kind, overlap)[:300]
        found.append(torch.cat((corners[best], score[best, None], kind[best, None].float()), 1))
    return found


def average_precision(found: list[Tensor], truth: list[Tensor], classes: int) -> np.ndarray:
    """`[classes, thresholds]` by COCO's rule (101 recalls, greedy matching, best score first). Truth: x0, y0, x1, y1, class."""
    result = np.full((classes, len(THRESHOLDS)), np.nan)
    for kind in range(classes):
        scores, hits, total = [], [], 0
        for boxes, real in zip(found, truth):
            boxes, real = boxes[boxes[:, 5] == kind], real[real[:, 4] == kind]
            total += len(real)
            hit = np.zeros((len(boxes), len(THRESHOLDS)), bool)
            overlaps = box_iou(boxes[:, :4], real[:, :4]).numpy() if len(real) else np.zeros((len(boxes), 0))
            for t, threshold in enumerate(THRESHOLDS):
                free = np.ones(len(real), bool)
                for i, row in enumerate(overlaps):
                    row = np.where(free, row, -1)
                    if len(row) and row.max() >= threshold:
                        free[row.argmax()] = False
                        hit[i, t] = True
            scores.append(boxes[:, 4].numpy())
            hits.append(hit)
        if not total:
            continue
        order = np.argsort(-np.concatenate(scores), kind="stable")
        hit = np.concatenate(hits)[order]
        true = hit.cumsum(0)
        recall = true / total
        precision = true / np.arange(1, len(hit) + 1)[:, None]
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        for t in range(len(THRESHOLDS)):
            at = np.searchsorted(recall[:, t], RECALLS, side="left")
            padded = np.append(precision[:, t], 0)
            result[kind, t] = padded[np.minimum(at, len(precision))].mean()
    return result


@torch.no_grad()
def evaluate(model: Model, dataset: Dataset, size: int, batch: int = 32) -> np.ndarray:
    """Average precision `[classes, thresholds]` on all pictures."""
    training = model.training
    model.eval()
    found, truth = [], []
    for start in range(0, len(dataset), batch):
        indices = np.arange(start, min(start + batch, len(dataset)))
        x, _ = dataset.batch(indices, size)
        found += boxes_of(model(x), model, size, 0.01, 0.6)
        for index in indices:
            label = torch.from_numpy(dataset.boxes[index])
            low, high = label[:, 1:3] - label[:, 3:] / 2, label[:, 1:3] + label[:, 3:] / 2
            truth.append(torch.cat((low * size, high * size, label[:, :1]), 1))
    model.train(training)
    return average_precision(found, truth, model.model[-1].nc)


@torch.no_grad()
def false_boxes(
    model: Model, dataset: Dataset, size: int, confidence: float = 0.25, batch: int = 32
) -> tuple[int, int]:
    """Boxes, and pictures with any, where there are no codes."""
    training = model.training
    model.eval()
    counts = []
    for start in range(0, len(dataset), batch):
        x, _ = dataset.batch(np.arange(start, min(start + batch, len(dataset))), size)
        counts += [len(boxes) for boxes in boxes_of(model(x), model, size, confidence, 0.45)]
    model.train(training)
    return sum(counts), sum(count > 0 for count in counts)


def describe(ap: np.ndarray, names: list[str]) -> str:
    classes = ", ".join(f"{name} {100 * np.nanmean(row):.1f}" for name, row in zip(names, ap))
    return f"AP {100 * np.nanmean(ap):.2f}, AP50 {100 * np.nanmean(ap[:, 0]):.2f} ({classes})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--empty", type=Path, help="pictures without codes, to count false boxes on")
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    network = torch.load(options.checkpoint, weights_only=False)["model"].float()
    print(describe(evaluate(network, Dataset(options.folder), options.size), network.names))
    if options.empty:
        boxes, pictures = false_boxes(network, Dataset(options.empty), options.size)
        print(f"{boxes} false boxes on {pictures} pictures")
