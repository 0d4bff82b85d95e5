#!/usr/bin/env python3
"""Runs the networks that scripts/zoo-boxes.ts wrote in native ncnn and compares their outputs, and the boxes in them.

    python3 scripts/zoo-boxes.py FOLDER [test/zoo/data/native-boxes.json]

Needs the packages ncnn and numpy. Rows of detection layers are matched by class, score (within 0.001) and corners (IoU above 0.99) with the rows
and with the boxes of `detect`; other outputs are compared value by value, relative to the greatest. Writes the rows of native as goldens where
a file for them is named. fp16 and bf16 are off, and packed channels for int8.
"""

import json
import sys
from pathlib import Path

import ncnn
import numpy as np


def run(folder, entry):
    net = ncnn.Net()
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    # Packed int8 depthwise layers of native x86 multiply by an approximate reciprocal.
    net.opt.use_packing_layout = not entry["name"].endswith("_int8")
    net.opt.num_threads = 1
    net.load_param(str(folder / f"{entry['name']}.param"))
    net.load_model(str(folder / f"{entry['name']}.bin"))
    array = np.fromfile(folder / f"{entry['name']}.in", np.float32).reshape(entry["shape"])
    extractor = net.create_extractor()
    extractor.input(entry["input"], ncnn.Mat(array).clone())
    return {output["name"]: np.array(extractor.extract(output["name"])[1]) for output in entry["outputs"]}


def unmatched(expected, found):
    """Rows of class, score and corners without a counterpart, on both sides."""
    left, missing = [list(row) for row in found], 0
    for row in expected:
        for other in left:
            x0, y0 = np.maximum(row[2:4], other[2:4])
            x1, y1 = np.minimum(row[4:6], other[4:6])
            area = lambda r: (r[4] - r[2]) * (r[5] - r[3])
            common = max(x1 - x0, 0) * max(y1 - y0, 0)
            overlap = common / max(area(row) + area(other) - common, 1e-12)
            if row[0] == other[0] and abs(row[1] - other[1]) <= 1e-3 and overlap >= 0.99:
                left.remove(other)
                break
        else:
            missing += 1
    return missing, len(left)


def main():
    folder = Path(sys.argv[1])
    goldens = {}
    print("| network | seed | output | native rows | missing, extra in the rows | in detect | worst value |")
    print("|" + "---|" * 7)
    for entry in json.loads((folder / "index.json").read_text()):
        native = run(folder, entry)
        for output in entry["outputs"]:
            rows, ours = native[output["name"]], np.array(output["values"]).reshape(output["shape"])
            cells = [entry["name"], entry["seed"], output["name"]]
            if rows.ndim == 2 and rows.shape[1] == 6:
                scale = np.array([1, 1] + [entry["size"]] * 4)
                boxes = rows * scale
                boxes[:, 0] -= 1
                boxes[:, 2:] = boxes[:, 2:].clip(0, entry["size"])
                cells += [
                    len(rows),
                    unmatched(rows * scale, ours * scale),
                    unmatched(boxes, entry["boxes"]),
                    "",
                ]
                values = [[float(f"{v:.5g}") for v in row] for row in rows.tolist()]
                goldens[entry["name"]] = {"seed": entry["seed"], "rows": values}
            else:
                cells += ["", "", len(entry["boxes"])]
                # Heads are cut to logits; the official file may have their sigmoid in the convolution.
                forms = [ours, 1 / (1 + np.exp(-ours))]
                error = min(np.abs(rows.ravel() - form.ravel()).max() / np.abs(rows).max() for form in forms)
                cells += [f"{error:.1e}"]
            print("| " + " | ".join(map(str, cells)) + " |")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(json.dumps(goldens) + "\n")


main()
