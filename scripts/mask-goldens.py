"""Writes test/detect/data/masks.json: outlines with the masks that pycocotools makes of them (pip install pycocotools numpy).

Each is [width, height, outlines, string, area, bounds]; "overlaps" holds those of all with all, of one size each, plain and with crowds.
"""

import json
import random
from pathlib import Path

import numpy as np
from pycocotools import mask as masks

rng = random.Random(1)


def star(width, height, points, digits, spread):
    return [
        round(rng.uniform(-spread, 1 + spread) * side, digits)
        for _ in range(points)
        for side in (width, height)
    ]


groups = []
for width, height in [(40, 30), (7, 50), (1, 1), (3, 1), (64, 64)]:
    outlines = []
    for digits in (0, 1, 2, 6):
        for spread in (0, 0.3, 2):
            for points in (3, 4, 9):
                outlines.append([star(width, height, points, digits, spread)])
        outlines.append([star(width, height, 5, digits, 0.1), star(width, height, 3, digits, 0)])
    x, y = width / 2, height / 2
    outlines += [
        [[0, 0, 0, height, width, height, width, 0]],
        [[x, y, x, y, x, y]],  # one point
        [[0, y, width, y, 0, y]],  # there and back
        [[x, 0, x, height, x, 0, x, 0]],
        [[-1000, -1000, 1000, -1000, 1000, 1000, -1000, 1000]],
        [[-5, -5, -1, -5, -1, -1]],
        [[x, y, x + 2.5, y + 2.5, x + 2.5, y - 2.5, x, y, x - 2.5, y - 2.5, x - 2.5, y + 2.5]],
        [[0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1]],
        [[-0.3, -0.3, -0.3, 1.3, 1.3, 1.3, 1.3, -0.3]],
        [[width - 0.5, 0, width + 0.5, 0, width + 0.5, height + 3, width - 0.5, height + 3]],
    ]
    if (width, height) == (64, 64):
        angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        for radius in (3.3, 20, 31.7):
            outlines.append(
                [np.round(32 + radius * np.stack([np.cos(angles), np.sin(angles)], 1), 2).ravel().tolist()]
            )
        outlines.append([star(64, 64, 200, 2, 0.1)])
    rows, made = [], []
    for each in outlines:
        merged = masks.merge(masks.frPyObjects(each, height, width))
        made.append(merged)
        text = merged["counts"].decode()
        rows.append([each, text, int(masks.area(merged)), [int(v) for v in masks.toBbox(merged)]])
    some = made[:: max(1, len(made) // 12)]
    overlaps = [masks.iou(some, some, [crowd] * len(some)).ravel().tolist() for crowd in (0, 1)]
    groups.append(
        dict(width=width, height=height, rows=rows, step=max(1, len(made) // 12), overlaps=overlaps)
    )
out = Path(__file__).parent.parent / "test/detect/data/masks.json"
out.write_text("[\n" + ",\n".join(json.dumps(group, separators=(",", ":")) for group in groups) + "\n]\n")
