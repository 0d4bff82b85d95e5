"""Writes test/evaluate/data/tracks.json: small MOT files, and what trackeval and py-motmetrics measure on them.

    pip install trackeval motmetrics
    python3 scripts/mot-goldens.py

Every case has its rules, sequences of two texts (truth, result), trackeval's measures of each and of all together, and motmetrics' MOTA,
IDF1, switches and fragmentations where it counts as trackeval does (its matches outlive gaps, which those of trackeval do not).
"""

import contextlib
import io
import json
import math
import random
import tempfile
from pathlib import Path

import motmetrics as mm
import numpy as np
import trackeval

if not hasattr(np, "asfarray"):  # motmetrics 1.4 calls what NumPy 2 removed
    np.asfarray = lambda each: np.asarray(each, dtype=float)


def walk(seed, pictures, things, noise=2.0, missing=0.1, false=0.2, switch=0.03, distractors=0):
    """Truth and result of things that move evenly; results are noisy, incomplete, partly wrong, and now and then renamed."""
    rng = random.Random(seed)
    truth, result, names, fresh = [], [], {}, 1
    paths = [
        [
            rng.uniform(0, 400),
            rng.uniform(0, 300),
            rng.uniform(-6, 6),
            rng.uniform(-4, 4),
            rng.uniform(20, 60),
            rng.uniform(20, 80),
        ]
        for _ in range(things + distractors)
    ]
    for t in range(1, pictures + 1):
        for i, (x, y, vx, vy, w, h) in enumerate(paths):
            if rng.random() < 0.05:
                continue
            box = [x + vx * t, y + vy * t, w, h]
            kind = 1 if i < things else rng.choice([2, 7, 8, 12, 3])
            flag = 0 if rng.random() < 0.05 else 1
            truth.append([t, i + 1, *box, flag, kind, 1])
            if rng.random() < missing:
                continue
            if i not in names or rng.random() < switch:
                names[i], fresh = fresh, fresh + 1
            result.append([t, names[i], *(v + rng.gauss(0, noise) for v in box), rng.random(), -1, -1, -1])
        while rng.random() < false:
            result.append(
                [
                    t,
                    1000 + rng.randrange(6) * 10 + t % 10,
                    rng.uniform(0, 400),
                    rng.uniform(0, 300),
                    30,
                    30,
                    rng.random(),
                    -1,
                    -1,
                    -1,
                ]
            )
    keys = set()
    result = [r for r in result if (r[0], r[1]) not in keys and not keys.add((r[0], r[1]))]
    rng.shuffle(truth)
    rng.shuffle(result)
    return text(truth), text(result)


def text(rows):
    return "".join(",".join(f"{v:.2f}".rstrip("0").rstrip(".") for v in row) + "\n" for row in rows)


def rows_of(boxes, flag=(1, 1, 1)):
    return text([[t, i, *box, *flag] for t, i, *box in boxes])


def hostile():
    """Exact ties, boxes without area or with negative extent, gaps, far numbers, nothing at all."""
    same = [(t, i, 10, 10, 20, 20) for t in range(1, 8) for i in (3, 1, 2)]
    flat = [
        (t, i, 5 * i, 5, 0 if i == 2 else 10, -4 if i == 3 else 10) for t in range(1, 6) for i in (1, 2, 3)
    ]
    swapped = [(t, (i if t < 5 else 3 - i), 50 * i + t, 5, 30, 30) for t in range(1, 12) for i in (1, 2)]
    straight = [(t, i, 50 * i + t, 5, 30, 30) for t in range(1, 12) for i in (1, 2)]
    gap = [(t, 1, t, t, 30, 30) for t in (2, 3, 7, 8, 9, 15, 40)]
    renamed = [(t, 1 if t < 9 else 987654, t, t, 30, 30) for t in (1, 3, 7, 8, 9, 40, 41)]
    half = [(t, 1, 0, 0, 20, 10) for t in range(1, 5)]
    halved = [(t, 1, 0, 0, 10, 10) for t in range(1, 5)]  # overlap exactly 0.5
    return [
        ("ties", rows_of(same), rows_of(same[::-1])),
        ("ties, fewer", rows_of(same), rows_of([s for s in same if (s[0] + s[1]) % 3])),
        ("without area", rows_of(flat), rows_of(flat)),
        ("swapped", rows_of(straight), rows_of(swapped)),
        ("gaps", rows_of(gap), rows_of(renamed)),
        ("at the threshold", rows_of(half), rows_of(halved)),
        ("nothing found", rows_of(gap), ""),
        ("nothing labelled", "", rows_of(gap)),
        ("all marked 0", rows_of(gap, (0, 1, 1)), rows_of(gap)),
    ]


def last_picture(*texts):
    return max([int(float(line.split(",")[0])) for each in texts for line in each.splitlines()], default=1)


def by_trackeval(sequences, rules):
    benchmark = {"all": "MOT15", "mot17": "MOT17", "mot20": "MOT20"}[rules]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, truth, result in sequences:
            for path, content in (
                (root / "gt" / name / "gt/gt.txt", truth),
                (root / "trackers/ours/data" / f"{name}.txt", result),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        dataset = trackeval.datasets.MotChallenge2DBox(
            {
                "GT_FOLDER": str(root / "gt"),
                "TRACKERS_FOLDER": str(root / "trackers"),
                "BENCHMARK": benchmark,
                "SKIP_SPLIT_FOL": True,
                "SEQ_INFO": {name: last_picture(truth, result) for name, truth, result in sequences},
                "PRINT_CONFIG": False,
            }
        )
        metrics = [
            trackeval.metrics.HOTA(),
            trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
            trackeval.metrics.Identity({"PRINT_CONFIG": False}),
        ]
        results = {}
        for name, _, _ in sequences:
            data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
            results[name] = {metric.get_name(): metric.eval_sequence(data) for metric in metrics}
        results["all"] = {
            metric.get_name(): metric.combine_sequences({k: v[metric.get_name()] for k, v in results.items()})
            for metric in metrics
        }
    return {name: flat(each) for name, each in results.items()}


def flat(result):
    out = {}
    for name, values in result.items():
        out[name] = {
            k: plain(v)
            for k, v in values.items()
            if k not in ("CLR_Frames", "FP_per_frame", "MTR", "PTR", "MLR", "MOTP_sum")
        }
    return out


def plain(value):
    if isinstance(value, np.ndarray):
        return [round(float(v), 9) for v in value]
    return round(float(value), 9)


def by_motmetrics(truth, result):
    gt, found = (
        mm.io.load_motchallenge(io.StringIO(each), min_confidence=least)
        for each, least in ((truth, 1), (result, -1))
    )
    accumulator = mm.utils.compare_to_groundtruth(gt, found, "iou", distth=0.5)
    summary = mm.metrics.create().compute(
        accumulator, metrics=["mota", "idf1", "num_switches", "num_fragmentations"]
    )
    return {k: float(v) for k, v in summary.iloc[0].items()}


def main():
    walks = [(f"walk {i}", *walk(i, 30, 5)) for i in range(3)]
    cases = [
        ("walks", "all", walks),
        ("rough", "all", [("rough", *walk(11, 40, 6, noise=6, missing=0.3, false=0.6, switch=0.1))]),
        ("mot17", "mot17", [("street", *walk(21, 25, 4, distractors=3))]),
        ("mot20", "mot20", [("square", *walk(22, 20, 4, distractors=3))]),
        *((name, "all", [(name, truth, result)]) for name, truth, result in hostile()),
    ]
    out = []
    for name, rules, sequences in cases:
        with contextlib.redirect_stdout(io.StringIO()):
            measures = by_trackeval(sequences, rules)
        case = {"name": name, "rules": rules, "sequences": sequences, "trackeval": measures}
        if rules == "all":
            agreeing = {}
            for each, truth, result in sequences:
                if not truth or not result:
                    continue
                theirs = by_motmetrics(truth, result)
                clear = measures[each]["CLEAR"]
                if (
                    not math.isnan(theirs["mota"])
                    and theirs["num_switches"] == clear["IDSW"]
                    and abs(theirs["mota"] - clear["MOTA"]) < 1e-6
                ):
                    agreeing[each] = {"mota": theirs["mota"], "idf1": theirs["idf1"]}
                else:
                    print(f"motmetrics differs on {each}: {theirs} {clear['MOTA']}, {clear['IDSW']}")
            case["motmetrics"] = agreeing
        out.append(case)
    target = Path(__file__).parent.parent / "test/evaluate/data/tracks.json"
    target.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in out) + "\n]\n")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
