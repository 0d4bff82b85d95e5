"""Writes test/evaluate/data/coco-ap.json: random truth and detections with pycocotools' numbers (pip install pycocotools numpy).

Rows are [image, category, x, y, width, height, area, crowd] and [image, category, score, x, y, width, height].
"""

import contextlib
import io
import json
import random
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def make(seed, images, classes, crowd, tie, integers, per_image):
    rng = random.Random(seed)
    digits = 0 if integers else 2
    truth, found = [], []
    for image in rng.sample(range(1, 1000), images):
        for _ in range(rng.randint(0, per_image)):
            size = rng.choice([8, 32, 33, 60, 96, 150])
            w, h = (round(max(1, size * rng.uniform(0.6, 1.4)), digits) for _ in "wh")
            if rng.random() < 0.2:
                w, h = size, size  # areas exactly on the borders of the ranges
            x, y = (round(rng.uniform(0, 400), digits) for _ in "xy")
            category = rng.randint(1, classes)
            area = w * h if rng.random() < 0.5 else round(w * h * rng.uniform(0.4, 1), 3)
            truth.append([image, category, x, y, w, h, area, int(rng.random() < crowd)])
            for _ in range(rng.choice([0, 1, 1, 1, 2, 12])):
                spread = rng.choice([0, 0.02, 0.1, 0.3])
                box = [x + rng.gauss(0, spread) * w, y + rng.gauss(0, spread) * h]
                box += [max(1, w * (1 + rng.gauss(0, spread))), max(1, h * (1 + rng.gauss(0, spread)))]
                score = rng.randint(0, tie) / tie if tie else rng.random()
                guess = category if rng.random() < 0.85 else rng.randint(1, classes + 1)
                found.append([image, guess, round(score, 6), *(round(v, digits) for v in box)])
        for _ in range(rng.randint(0, 4)):
            box = [round(rng.uniform(1, 200), digits) for _ in range(4)]
            found.append([image, rng.randint(1, classes), round(rng.random() * 0.5, 6), *box])
    rng.shuffle(found)
    return truth, found


def evaluate(truth, found, max_dets):
    images = sorted({row[0] for row in truth} | {row[0] for row in found})
    categories = sorted({row[1] for row in truth} | {row[1] for row in found})
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in images],
        "categories": [{"id": c, "name": str(c)} for c in categories],
        "annotations": [
            {
                "id": i + 1,
                "image_id": r[0],
                "category_id": r[1],
                "bbox": r[2:6],
                "area": r[6],
                "iscrowd": r[7],
            }
            for i, r in enumerate(truth)
        ],
    }
    coco.createIndex()
    results = coco.loadRes(
        [{"image_id": r[0], "category_id": r[1], "score": r[2], "bbox": r[3:7]} for r in found]
    )
    run = COCOeval(coco, results, "bbox")
    run.params.maxDets = max_dets
    run.evaluate()
    run.accumulate()
    precision, recall = run.eval["precision"], run.eval["recall"]

    def mean(values):
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    # The twelve numbers of summarize(), which itself only knows a limit of 100.
    stats = [
        mean(precision[:, :, :, 0, -1]),
        mean(precision[0, :, :, 0, -1]),
        mean(precision[5, :, :, 0, -1]),
    ]
    stats += [mean(precision[:, :, :, area, -1]) for area in (1, 2, 3)]
    stats += [mean(recall[:, :, 0, limit]) for limit in (0, 1, 2)]
    stats += [mean(recall[:, :, area, -1]) for area in (1, 2, 3)]
    if max_dets == [1, 10, 100]:
        run.summarize()
        assert np.allclose(run.stats, stats, atol=1e-15), (run.stats, stats)
    per_class = [
        [c, mean(precision[:, :, k, 0, -1]), mean(precision[0, :, k, 0, -1])]
        for k, c in enumerate(categories)
    ]
    return stats, per_class


cases = []
for name, arguments, max_dets in [
    ("plain", dict(seed=1, images=20, classes=4, crowd=0, tie=0, integers=False, per_image=6), [1, 10, 100]),
    (
        "crowds",
        dict(seed=2, images=20, classes=3, crowd=0.3, tie=0, integers=False, per_image=6),
        [1, 10, 100],
    ),
    (
        "equal scores",
        dict(seed=3, images=20, classes=3, crowd=0.1, tie=4, integers=False, per_image=6),
        [1, 10, 100],
    ),
    (
        "equal boxes and overlaps",
        dict(seed=4, images=15, classes=2, crowd=0.2, tie=3, integers=True, per_image=8),
        [1, 10, 100],
    ),
    (
        "one class, many objects",
        dict(seed=5, images=4, classes=1, crowd=0.1, tie=20, integers=True, per_image=60),
        [1, 10, 100],
    ),
    (
        "other limits",
        dict(seed=6, images=10, classes=2, crowd=0.1, tie=0, integers=False, per_image=20),
        [2, 5, 300],
    ),
    (
        "only crowds",
        dict(seed=7, images=4, classes=2, crowd=1, tie=0, integers=False, per_image=4),
        [1, 10, 100],
    ),
]:
    truth, found = make(**arguments)
    with contextlib.redirect_stdout(io.StringIO()):
        stats, per_class = evaluate(truth, found, max_dets)
    cases.append(dict(name=name, maxDets=max_dets, truth=truth, found=found, stats=stats, perClass=per_class))
out = Path(__file__).parent.parent / "test/evaluate/data/coco-ap.json"
out.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
