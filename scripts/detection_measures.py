"""Detections from the outputs of a network and their measures, independent of ncnnkit: numpy and pycocotools.

A part of scripts/quantize-peers.py. Detections are rows `image_id category_id bbox score` as COCO writes them.
"""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# Fields of a head (docs/manifest.md) that name blobs.
BLOB_FIELDS = {
    "yolov5": ["blob"],
    "yolox": ["boxes", "objectness", "scores"],
    "distances": ["scores", "boxes"],
}


def blobs_of(heads):
    """The blobs of heads, each once, in order."""
    return list(dict.fromkeys(head[field] for head in heads for field in BLOB_FIELDS[head["kind"]]))


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def grid(cells, columns):
    return cells % columns, cells // columns


def decode_yolov5(head, blobs, size):
    (values,) = blobs  # [anchors, cells, 5 + classes]
    anchors, cells, _ = values.shape
    rows = values.reshape(anchors * cells, -1)
    keep = np.flatnonzero(sigmoid(rows[:, 4]) > 0.001)
    rows = sigmoid(rows[keep])
    x, y = grid(keep % cells, -(-size[0] // head["stride"]))
    sides = np.array(head["anchors"], float).reshape(-1, 2)[keep // cells]
    centers = (2 * rows[:, :2] - 0.5 + np.stack([x, y], 1)) * head["stride"]
    half = 2 * rows[:, 2:4] ** 2 * sides
    return np.concatenate([centers - half, centers + half], 1), rows[:, 4:5] * rows[:, 5:]


def decode_yolox(head, blobs):
    boxes, objectness, scores = (blob.reshape(blob.shape[0], -1).T for blob in blobs)
    keep = np.flatnonzero(sigmoid(objectness[:, 0]) > 0.001)
    boxes, scores = boxes[keep].astype(float), sigmoid(objectness[keep]) * sigmoid(scores[keep])
    x, y = grid(keep, blobs[0].shape[2])
    centers, half = boxes[:, :2] + np.stack([x, y], 1), np.exp(boxes[:, 2:]) / 2
    return np.concatenate([centers - half, centers + half], 1) * head["stride"], scores


def decode_distances(head, blobs, classes):
    planes = lambda blob, field, count: blob[head.get(field, 0) :][:count].reshape(count, -1).T
    scores = sigmoid(planes(blobs[0], "scoresFrom", classes))
    bins = planes(blobs[1], "boxesFrom", 4 * head["bins"]).astype(float)
    keep = np.flatnonzero(scores.max(1) > 0.001)
    bins = bins[keep].reshape(-1, 4, head["bins"])
    weights = np.exp(bins - bins.max(2, keepdims=True))
    sides = (weights * np.arange(head["bins"])).sum(2) / weights.sum(2) if head["bins"] > 1 else bins[..., 0]
    x, y = grid(keep, blobs[0].shape[2])
    points = np.stack([x, y], 1) + head["point"]
    corners = np.concatenate([points - sides[:, :2], points + sides[:, 2:]], 1)
    return corners * head["stride"], scores[keep]


def decode(head, blobs, size, classes):
    """Boxes `x0 y0 x1 y1` in pixels of the input, and scores of every class."""
    if head["kind"] == "distances":
        return decode_distances(head, blobs, classes)
    return decode_yolov5(head, blobs, size) if head["kind"] == "yolov5" else decode_yolox(head, blobs)


def suppress(boxes, scores, classes, limit=0.6, most=300):
    """Indices of the boxes that stay, best first; boxes of different classes do not meet."""
    order = np.argsort(-scores, kind="stable")[:30000]
    apart = boxes + classes[:, None] * 1e5
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(apart[best, :2], apart[order, :2])
        high = np.minimum(apart[best, 2:], apart[order, 2:])
        shared = np.prod(np.clip(high - low, 0, None), 1)
        union = areas[best] + areas[order] - shared
        order = order[~(shared > limit * union)]
    return kept


def detect(image, heads, outputs, classes, placed):
    """What is on picture `image`: `outputs` by blob, `placed` is how the picture lies in the input (ncnnkit's Transform)."""
    size = placed["width"], placed["height"]
    blobs = lambda head: [outputs[head[field]] for field in BLOB_FIELDS[head["kind"]]]
    parts = [decode(head, blobs(head), size, classes) for head in heads]
    boxes, scores = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    at, labels = np.nonzero(scores > 0.001)
    boxes, scores = boxes[at], scores[at, labels]
    one_to_one = any(head.get("oneToOne") for head in heads)
    kept = suppress(boxes, scores, labels, 1 if one_to_one else 0.6)
    corners = boxes[kept] - np.tile([placed["padX"], placed["padY"]], 2)
    corners /= np.tile([placed["scaleX"], placed["scaleY"]], 2)
    corners = np.clip(corners, 0, np.tile([placed["sourceWidth"], placed["sourceHeight"]], 2))
    found = []
    for (x0, y0, x1, y1), score, label in zip(corners, scores[kept], labels[kept]):
        if x1 > x0 and y1 > y0:
            box = [x0, y0, x1 - x0, y1 - y0]
            found.append(dict(image_id=image, category_id=int(label), bbox=box, score=float(score)))
    return found


# One evaluator for all rows.


def average_precision(truth, found, images, classes):
    """COCO AP50-95 in percent, pycocotools, at most 300 boxes of a class and picture."""
    if not truth:
        return None
    gt = COCO()
    objects = [dict(id=i, iscrowd=0, area=t["bbox"][2] * t["bbox"][3], **t) for i, t in enumerate(truth, 1)]
    gt.dataset = dict(
        images=[dict(id=i) for i in range(1, images + 1)],
        annotations=objects,
        categories=[dict(id=i) for i in range(classes)],
    )
    if not found:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(found), "bbox")
        evaluation.params.maxDets = [300]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return 100 * float(precision[precision > -1].mean())


def score_changes(truth, found):
    """Mean relative score change, a fraction, by size of object; None where there is no object."""
    cells = {}
    for row in found:
        cells.setdefault((row["image_id"], row["category_id"]), []).append(row)
    changes = {"small": [], "medium": [], "large": []}
    for row in truth:
        rivals = cells.get((row["image_id"], row["category_id"]), [])
        overlaps = [overlap(row["bbox"], rival["bbox"]) for rival in rivals]
        if not overlaps or max(overlaps) < 0.5:
            continue
        area = row["bbox"][2] * row["bbox"][3]
        size = "small" if area < 32**2 else "medium" if area < 96**2 else "large"
        changes[size].append(rivals[int(np.argmax(overlaps))]["score"] / row["score"] - 1)
    return {size: float(np.mean(values)) if values else None for size, values in changes.items()}


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
