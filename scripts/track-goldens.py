"""Writes test/track/data/bytetrack.json: generated sequences of detections, and whom ultralytics' BYTETracker takes each for.

    pip install ultralytics lap
    python3 scripts/track-goldens.py

Each sequence has its settings, its detections (`x y w h score class`, or `cx cy w h angle score class` of turned boxes) by picture, and
for each picture `[identity, index of the detection]` of what is tracked. Gaps are at most 25 pictures or at least 40: a lost track
stays in the pool of ultralytics for one picture after it was removed, which is not copied.
"""

import json
import math
import pathlib
import random
from types import SimpleNamespace

import numpy as np
from ultralytics.engine.results import OBB, Boxes
from ultralytics.trackers.byte_tracker import BYTETracker

DEFAULTS = {
    "track_high_thresh": 0.25,
    "track_low_thresh": 0.1,
    "new_track_thresh": 0.25,
    "track_buffer": 30,
    "match_thresh": 0.8,
    "fuse_score": True,
}
SIZE = (720, 1280)


def sequence(seed, pictures, things, turned=False, noise=1.5, false_rate=0.2, weak=0.15, missing=0.04):
    """Things that move evenly with a little sway, measured with noise, now and then weakly, not at all, or not for a while."""
    rng = random.Random(seed)
    paths = []
    for _ in range(things):
        start = rng.randrange(0, max(1, pictures // 3))
        gap_at = rng.randrange(start + 8, start + 60)
        paths.append(
            {
                "x": rng.uniform(100, 1180),
                "y": rng.uniform(100, 620),
                "vx": rng.uniform(-6, 6),
                "vy": rng.uniform(-3, 3),
                "w": rng.uniform(40, 140),
                "h": rng.uniform(50, 160),
                "angle": rng.uniform(-1.5, 1.5),
                "turn": rng.uniform(-0.03, 0.03),
                "class": rng.randrange(4),
                "score": rng.uniform(0.4, 0.95),
                "start": start,
                "end": start + rng.randrange(30, pictures),
                "gap": (gap_at, gap_at + rng.choice([0, 3, 8, 20, 25, 40, 45])),
            }
        )
    out = []
    for frame in range(pictures):
        rows = []
        for p in paths:
            t = frame - p["start"]
            if (
                not p["start"] <= frame < p["end"]
                or p["gap"][0] <= frame < p["gap"][1]
                or rng.random() < missing
            ):
                continue
            x = p["x"] + p["vx"] * t + 4 * math.sin(t / 9)
            y = p["y"] + p["vy"] * t + 4 * math.cos(t / 7)
            w, h = (max(8, side * (1 + 0.002 * t) + rng.gauss(0, noise)) for side in (p["w"], p["h"]))
            x, y = x + rng.gauss(0, noise), y + rng.gauss(0, noise)
            score = (
                rng.uniform(0.11, 0.24)
                if rng.random() < weak
                else min(0.99, max(0.26, p["score"] + rng.gauss(0, 0.1)))
            )
            if turned:
                rows.append([x, y, w, h, p["angle"] + p["turn"] * t, score, p["class"]])
            else:
                rows.append([x - w / 2, y - h / 2, w, h, score, p["class"]])
        while rng.random() < false_rate:
            box = [rng.uniform(0, 1100), rng.uniform(0, 600), rng.uniform(20, 150), rng.uniform(20, 150)]
            rows.append(
                box + ([rng.uniform(-1, 1)] if turned else []) + [rng.uniform(0.05, 0.6), rng.randrange(4)]
            )
        rng.shuffle(rows)
        digits = [2, 2, 2, 2, 4, 3, 0] if turned else [2, 2, 2, 2, 3, 0]
        out.append([[round(v, d) if d else int(v) for v, d in zip(row, digits)] for row in rows])
    return out


def results_of(rows, turned):
    data = np.array(rows, dtype=np.float64).reshape(-1, 7 if turned else 6)
    if turned:
        return OBB(data, SIZE)
    data[:, 2] += data[:, 0]
    data[:, 3] += data[:, 1]
    return Boxes(data, SIZE)


def run(rows_by_picture, turned, settings):
    tracker = BYTETracker(SimpleNamespace(**settings))
    return [
        sorted([int(row[-4]), int(row[-1])] for row in tracker.update(results_of(rows, turned)))
        for rows in rows_by_picture
    ]


def main():
    cases = [
        ("plain", {}, {"seed": 1, "pictures": 90, "things": 6}),
        ("crowded", {}, {"seed": 2, "pictures": 80, "things": 12}),
        (
            "noisy",
            {},
            {
                "seed": 3,
                "pictures": 100,
                "things": 6,
                "noise": 5,
                "weak": 0.4,
                "missing": 0.15,
                "false_rate": 0.6,
            },
        ),
        (
            "high 0.5",
            {"track_high_thresh": 0.5, "new_track_thresh": 0.6},
            {"seed": 4, "pictures": 90, "things": 6},
        ),
        (
            "without scores",
            {"fuse_score": False, "track_buffer": 10},
            {"seed": 5, "pictures": 90, "things": 6},
        ),
        ("turned", {}, {"seed": 6, "pictures": 90, "things": 6, "turned": True}),
    ]
    out = []
    for name, changes, how in cases:
        rows = sequence(**how)
        settings = {**DEFAULTS, **changes}
        turned = how.get("turned", False)
        out.append(
            {
                "name": name,
                "turned": turned,
                "settings": settings,
                "pictures": rows,
                "tracked": run(rows, turned, settings),
            }
        )
    target = pathlib.Path(__file__).parent.parent / "test/track/data/bytetrack.json"
    target.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in out) + "\n]\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
