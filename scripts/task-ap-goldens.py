"""Writes test/evaluate/data/task-ap.json: random objects and detections of masks, key points and turned boxes with the average precision that
pycocotools and DOTA's evaluation give (pip install pycocotools numpy shapely), and ultralytics' figures for turned boxes (pip install ultralytics).

DOTA's task 1 is done here as its kit does it (Pascal VOC 2007: 11 recalls, the best object of all, more than half), with polygons of shapely.
"""

import contextlib
import io
import json
import math
import random
from pathlib import Path

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely.geometry import Polygon

SIDE = 200


def blob(rng, x, y, radius, points=12):
    out = []
    for i in range(points):
        r, a = radius * rng.uniform(0.6, 1.1), 2 * math.pi * i / points
        out += [round(x + r * math.cos(a), 2), round(y + r * math.sin(a), 2)]
    return out


def moved(rng, values, spread, digits=2):
    return [round(v + rng.gauss(0, spread), digits) for v in values]


def rle(outlines):
    merged = masks.merge(masks.frPyObjects(outlines, SIDE, SIDE))
    return {"size": [SIDE, SIDE], "counts": merged["counts"].decode()}


def box_of(outlines):
    xs, ys = [v for o in outlines for v in o[0::2]], [v for o in outlines for v in o[1::2]]
    return [round(min(xs), 2), round(min(ys), 2), round(max(xs) - min(xs), 2), round(max(ys) - min(ys), 2)]


def make_masks(seed, images, classes, crowd, tie, per_image, with_box):
    rng = random.Random(seed)
    truth, found = [], []
    for image in rng.sample(range(1, 1000), images):
        for _ in range(rng.randint(0, per_image)):
            radius = rng.choice([3, 10, 20, 30, 60])
            x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
            outlines = [blob(rng, x, y, radius) for _ in range(rng.choice([1, 1, 2]))]
            area = float(masks.area(masks.merge(masks.frPyObjects(outlines, SIDE, SIDE))))
            category = rng.randint(1, classes)
            is_crowd = int(rng.random() < crowd)
            segmentation = outlines
            if is_crowd:
                bits = masks.decode(masks.merge(masks.frPyObjects(outlines, SIDE, SIDE)))
                flat = bits.T.ravel()
                ends = [*(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
                counts = np.diff([0, *ends]).tolist()
                segmentation = {"size": [SIDE, SIDE], "counts": ([0] if flat[0] else []) + counts}
            truth.append(
                dict(
                    image_id=image,
                    category_id=category,
                    segmentation=segmentation,
                    bbox=box_of(outlines),
                    area=area,
                    iscrowd=is_crowd,
                )
            )
            for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
                near = [moved(rng, o, rng.choice([0, 0.5, 2, 6]), 0) for o in outlines]
                score = rng.randint(0, tie) / tie if tie else round(rng.random(), 6)
                guess = category if rng.random() < 0.85 else rng.randint(1, classes + 1)
                row = dict(image_id=image, category_id=guess, score=score, segmentation=rle(near))
                found.append(row | (dict(bbox=box_of(near)) if with_box else {}))
        for _ in range(rng.randint(0, 2)):
            outside = rng.random() < 0.3  # a mask without pixels
            o = [
                blob(
                    rng, -100 if outside else rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.choice([4, 40])
                )
            ]
            row = dict(
                image_id=image, category_id=rng.randint(1, classes), score=round(rng.random() * 0.5, 6)
            )
            found.append(row | dict(segmentation=rle(o)) | (dict(bbox=box_of(o)) if with_box else {}))
    rng.shuffle(found)
    return truth, found


def make_points(seed, images, classes, crowd, tie, per_image, count, unlabelled):
    rng = random.Random(seed)
    truth, found = [], []
    for image in rng.sample(range(1, 1000), images):
        for _ in range(rng.randint(0, per_image)):
            size = rng.choice([16, 40, 80, 150])
            x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
            places = [
                (round(x + rng.uniform(0, size), 1), round(y + rng.uniform(0, size), 1)) for _ in range(count)
            ]
            none = rng.random() < unlabelled
            seen = [0 if none or rng.random() < 0.3 else rng.choice([1, 2]) for _ in range(count)]
            keypoints = [v for (px, py), s in zip(places, seen) for v in ((px, py, s) if s else (0, 0, 0))]
            category = rng.randint(1, classes)
            truth.append(
                dict(
                    image_id=image,
                    category_id=category,
                    keypoints=keypoints,
                    num_keypoints=sum(s > 0 for s in seen),
                    bbox=[round(x, 1), round(y, 1), size, size],
                    area=round(size * size * rng.uniform(0.3, 0.9), 2),
                    iscrowd=int(rng.random() < crowd),
                )
            )
            for _ in range(rng.choice([0, 1, 1, 1, 2, 8])):
                spread = rng.choice([0, 0.02, 0.05, 0.2]) * size
                row = [v for px, py in places for v in (*moved(rng, (px, py), spread), 1)]
                score = rng.randint(0, tie) / tie if tie else round(rng.random(), 6)
                guess = category if rng.random() < 0.9 else rng.randint(1, classes + 1)
                found.append(dict(image_id=image, category_id=guess, score=score, keypoints=row))
        for _ in range(rng.randint(0, 2)):
            row = [
                v
                for _ in range(count)
                for v in (round(rng.uniform(0, SIDE), 1), round(rng.uniform(0, SIDE), 1), 1)
            ]
            found.append(
                dict(
                    image_id=image,
                    category_id=rng.randint(1, classes),
                    score=round(rng.random() / 2, 6),
                    keypoints=row,
                )
            )
    rng.shuffle(found)
    return truth, found


def corners(x, y, w, h, angle):
    c, s = math.cos(angle), math.sin(angle)
    out = []
    for dx, dy in ((w, h), (w, -h), (-w, -h), (-w, h)):
        out += [round(x + (dx * c - dy * s) / 2, 3), round(y + (dx * s + dy * c) / 2, 3)]
    return out


def make_turned(seed, images, classes, difficult, tie, per_image, shear):
    rng = random.Random(seed)
    truth, found = [], []
    for image in rng.sample(range(1, 1000), images):
        for _ in range(rng.randint(0, per_image)):
            w, h = rng.choice([8, 40, 120]) * rng.uniform(0.5, 1.5), rng.choice([8, 30, 90])
            box = [rng.uniform(0, SIDE), rng.uniform(0, SIDE), w, h, rng.uniform(-math.pi, math.pi)]
            category = rng.randint(1, classes)
            quad = moved(rng, corners(*box), shear * min(w, h), 3)
            if rng.random() < 0.5:  # the other way round
                quad = [v for i in (3, 2, 1, 0) for v in quad[2 * i : 2 * i + 2]]
            if not Polygon(np.reshape(quad, (4, 2))).is_valid:
                quad = corners(*box)
            is_difficult = int(rng.random() < difficult)
            truth.append(dict(image_id=image, category_id=category, corners=quad, iscrowd=is_difficult))
            for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
                spread = rng.choice([0, 0.02, 0.1, 0.3])
                near = [box[0] + rng.gauss(0, spread) * w, box[1] + rng.gauss(0, spread) * h]
                near += [max(1, w * (1 + rng.gauss(0, spread))), max(1, h * (1 + rng.gauss(0, spread)))]
                near += [box[4] + rng.gauss(0, spread)]
                score = rng.randint(0, tie) / tie if tie else round(rng.random(), 6)
                guess = category if rng.random() < 0.9 else rng.randint(1, classes + 1)
                found.append(dict(image_id=image, category_id=guess, score=score, corners=corners(*near)))
    rng.shuffle(found)
    for row in truth + found:
        xs, ys = row["corners"][0::2], row["corners"][1::2]
        row["bbox"] = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        if "score" not in row:
            row["area"] = row["bbox"][2] * row["bbox"][3]
    return truth, found


def polygon(row):
    return Polygon(np.reshape(row["corners"], (4, 2)))


def polygon_iou(a, b):
    shared = a.intersection(b).area
    return shared / (a.area + b.area - shared)


class TurnedEval(COCOeval):
    """COCO's evaluation with polygons instead of boxes; a crowd is only ignored."""

    def computeIoU(self, image, category):
        gt, dt = self._gts[image, category], self._dts[image, category]
        if not gt or not dt:
            return []
        order = np.argsort([-d["score"] for d in dt], kind="mergesort")[: self.params.maxDets[-1]]
        return np.array([[polygon_iou(polygon(dt[i]), polygon(g)) for g in gt] for i in order])


def evaluate(kind, truth, found, sigmas=None):
    images = sorted({row["image_id"] for row in truth + found})
    categories = sorted({row["category_id"] for row in truth + found})
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "width": SIDE, "height": SIDE} for i in images],
        "categories": [{"id": c, "name": str(c)} for c in categories],
        "annotations": [{"id": i + 1} | row for i, row in enumerate(json.loads(json.dumps(truth)))],
    }
    coco.createIndex()
    run = (TurnedEval if kind == "bbox" else COCOeval)(
        coco, coco.loadRes(json.loads(json.dumps(found))), kind
    )
    if sigmas:
        run.params.kpt_oks_sigmas = np.array(sigmas)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats.tolist()


def dota(truth, found):
    out = []
    for category in sorted({row["category_id"] for row in truth}):
        objects = {}
        for row in truth:
            if row["category_id"] == category:
                objects.setdefault(row["image_id"], []).append([polygon(row), row["iscrowd"], False])
        positives = sum(not o[1] for rows in objects.values() for o in rows)
        if not positives:
            continue
        rows = [row for row in found if row["category_id"] == category]
        # Equal scores in the order of the pictures, as COCO has it: the kit leaves it open.
        rows.sort(key=lambda row: (-row["score"], row["image_id"]))
        tp, fp = np.zeros(len(rows)), np.zeros(len(rows))
        for d, row in enumerate(rows):
            mine = polygon(row)
            overlaps = [polygon_iou(mine, o[0]) for o in objects.get(row["image_id"], [])]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if best >= 0 and overlaps[best] > 0.5:
                target = objects[row["image_id"]][best]
                if not target[1]:
                    tp[d], fp[d] = not target[2], target[2]
                    target[2] = True
            else:
                fp[d] = 1
        tp, fp = np.cumsum(tp), np.cumsum(fp)
        recall = tp / positives
        precision = tp / np.maximum(tp + fp, np.finfo(np.float64).eps)
        ap = sum(
            (np.max(precision[recall >= t]) if np.any(recall >= t) else 0) / 11
            for t in np.arange(0.0, 1.1, 0.1)
        )
        out.append([category, float(ap)])
    return out


def ultralytics_figure(truth, found):
    """AP50 and AP50-95 as its validation prints them, of the same rows: its own matching, by probabilistic overlap."""
    import torch
    from ultralytics.models.yolo.obb import OBBValidator
    from ultralytics.utils.metrics import ap_per_class, batch_probiou
    from ultralytics.utils.ops import xyxyxyxy2xywhr

    validator = OBBValidator.__new__(OBBValidator)
    validator.iouv, validator.niou = torch.linspace(0.5, 0.95, 10), 10
    stats = []
    for image in {row["image_id"] for row in truth + found}:
        gt = [r for r in truth if r["image_id"] == image]
        dt = sorted((r for r in found if r["image_id"] == image), key=lambda r: -r["score"])
        a, b = (torch.tensor([r["corners"] for r in rows]).reshape(-1, 8) for rows in (gt, dt))
        cls_a, cls_b = (torch.tensor([r["category_id"] for r in rows]) for rows in (gt, dt))
        tp = np.zeros((len(dt), 10), dtype=bool)
        if gt and dt:
            iou = batch_probiou(xyxyxyxy2xywhr(a), xyxyxyxy2xywhr(b))
            tp = validator.match_predictions(cls_b, cls_a, iou).numpy()
        stats.append((tp, np.array([r["score"] for r in dt]), cls_b.numpy(), cls_a.numpy()))
    ap = ap_per_class(*[np.concatenate(each) for each in zip(*stats)])[5]
    return ap[:, 0].mean(), ap.mean()


cases = []


def add(name, kind, truth, found, **more):
    iou_type = dict(mask="segm", points="keypoints", corners="bbox")[kind]
    with contextlib.redirect_stdout(io.StringIO()):
        stats = evaluate(iou_type, truth, found, more.get("sigmas"))
    cases.append(dict(name=name, measure=kind, stats=stats, **more, truth=truth, found=found))


plain = dict(classes=3, crowd=0, tie=0, per_image=5)
add("masks", "mask", *make_masks(1, images=10, **plain, with_box=False))
add("masks with boxes beside them", "mask", *make_masks(2, images=8, **plain, with_box=True))
add("crowds", "mask", *make_masks(3, images=10, **plain | dict(crowd=0.4), with_box=False))
add("equal scores", "mask", *make_masks(4, images=8, **plain | dict(tie=3, crowd=0.2), with_box=False))
add("only crowds", "mask", *make_masks(5, images=3, **plain | dict(crowd=1), with_box=False))
truth, found = make_masks(6, images=4, **plain, with_box=False)
add("detections where nothing is", "mask", [row | dict(category_id=9) for row in truth[:1]], found)
people = plain | dict(classes=1, count=17, unlabelled=0)
add("people", "points", *make_points(1, images=12, **people))
add(
    "people in crowds, some without points",
    "points",
    *make_points(2, images=12, **people | dict(crowd=0.3, unlabelled=0.3)),
)
add(
    "people with equal scores",
    "points",
    *make_points(3, images=10, **people | dict(tie=3, per_image=9, unlabelled=0.1)),
)
add("none labelled", "points", *make_points(4, images=3, **people | dict(unlabelled=1)))
five = [0.05, 0.1, 0.2, 0.05, 0.1]
add(
    "five points, two classes",
    "points",
    *make_points(5, images=10, **people | dict(count=5, classes=2)),
    sigmas=five,
)
turned = dict(images=12, classes=3, difficult=0, tie=0, per_image=6, shear=0)
for name, options in [
    ("turned boxes", turned | dict(seed=1)),
    ("other quadrilaterals, some difficult", turned | dict(seed=2, difficult=0.3, shear=0.15)),
    ("turned boxes with equal scores", turned | dict(seed=3, tie=3, difficult=0.1)),
    ("only difficult", turned | dict(seed=4, images=3, difficult=1)),
]:
    truth, found = make_turned(**options)
    add(name, "corners", truth, found, dota=dota(truth, found))
    cases[-1]["ultralytics"] = [float(v) for v in ultralytics_figure(truth, found)]
out = Path(__file__).parent.parent / "test/evaluate/data/task-ap.json"
out.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
