#!/usr/bin/env python3
"""Runs the networks that scripts/native-graphs.ts wrote in native ncnn and compares them with the reference's outputs.

    python3 scripts/native-graphs.py FOLDER [--packed]

Needs the packages ncnn and numpy. A network that crashes native is counted and left out: a child process does the work and is
started anew behind it. fp16 and bf16 are off, and packed channels unless --packed. Native x86 multiplies the sums of int8 depthwise layers of 8·n channels by
an approximate reciprocal, so that networks with such layers are counted apart.
"""

import collections
import json
import os
import re
import subprocess
import sys

import numpy as np


def work(folder, entries, start):
    import ncnn

    for i in range(start, len(entries)):
        print("at", i, flush=True)
        entry = entries[i]
        base = os.path.join(folder, entry["file"])
        net = ncnn.Net()
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
        net.opt.use_packing_layout = "--packed" in sys.argv
        net.opt.num_threads = 1
        if net.load_param(base + ".param") or net.load_model(base + ".bin"):
            print("result", i, "does not load", flush=True)
            continue
        # The Mat does not keep the array alive.
        array = np.fromfile(base + ".in", np.float32).reshape(entry["shape"])
        x = ncnn.Mat(array).clone()
        expected = np.fromfile(base + ".out", np.float32)
        worst, offset = 0.0, 0
        for output in entry["outputs"]:
            extractor = net.create_extractor()
            extractor.input(entry["input"], x)
            status, found = extractor.extract(output["name"])
            size = int(np.prod(output["shape"]))
            reference = expected[offset : offset + size]
            offset += size
            if status or found.empty():
                worst = "fails"
                break
            flat = np.array(found).astype(np.float32).ravel()
            if flat.size != size:
                worst = "has another size"
                break
            worst = max(worst, float(np.abs(flat - reference).max() / max(np.abs(reference).max(), 1e-6)))
        print("result", i, worst, flush=True)


def group_of(folder, entry):
    if entry["group"] == "fp32":
        return "fp32"
    text = open(os.path.join(folder, entry["file"] + ".param")).read()
    groups = re.findall(r"^ConvolutionDepthWise .* 7=(\d+)", text, re.M)
    return entry["group"] + (", depthwise of 8n channels" if any(int(g) % 8 == 0 for g in groups) else "")


def main():
    folder = sys.argv[1]
    entries = json.load(open(os.path.join(folder, "index.json")))
    if "--child" in sys.argv:
        work(folder, entries, int(sys.argv[sys.argv.index("--child") + 1]))
        return
    results, start = {}, 0
    while start < len(entries):
        child = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--child", str(start)], capture_output=True, text=True
        )
        at = start
        for line in child.stdout.splitlines():
            if match := re.match(r"at (\d+)", line):
                at = int(match[1])
            if match := re.match(r"result (\d+) (.*)", line):
                results[int(match[1])] = match[2]
        if at not in results:
            results[at] = "crashes"
        start = at + 1
    counts, far = collections.Counter(), []
    for i, entry in enumerate(entries):
        result = results[i]
        try:
            error = float(result)
            result = (
                "equal"
                if error == 0
                else "within 1e-5"
                if error <= 1e-5
                else "within 1e-3"
                if error <= 1e-3
                else "further apart"
            )
            if error > 1e-3:
                far.append((error, entry["file"]))
        except ValueError:
            pass
        counts[(group_of(folder, entry), result)] += 1
    for (group, result), count in sorted(counts.items()):
        print(f"{group}: {result} {count}")
    print("furthest:", sorted(far, reverse=True)[:20])


main()
