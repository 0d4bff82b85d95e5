#!/usr/bin/env python3
"""Runs files converted by scripts/onnx-check.ts in native ncnn and compares them with the recorded outputs of onnxruntime,
and of PyTorch and for a picture where those are recorded. Prints the worst error of each network, relative to the largest output.

    node scripts/onnx-check.ts FOLDER --write CONVERTED && python3 scripts/onnx-native.py FOLDER CONVERTED [name …]

Needs the `ncnn` package. fp16 and bf16 shortcuts are off, so that differences are those of float32 arithmetic.
"""

import json
import os
import sys

import ncnn
import numpy as np


def mulberry(seed, count):
    out, s, m = np.empty(count, np.float32), seed & 0xFFFFFFFF, 0xFFFFFFFF
    for i in range(count):
        s = (s + 0x6D2B79F5) & m
        t = ((s ^ (s >> 15)) * (1 | s)) & m
        t = ((t + (((t ^ (t >> 7)) * (61 | t)) & m)) & m) ^ t
        out[i] = ((t ^ (t >> 14)) & m) / 4294967296
    return out


def run(folder, base, entry):
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = (
        net.opt.use_bf16_storage
    ) = False
    net.opt.num_threads = 1
    if net.load_param(base + ".param") or net.load_model(base + ".bin"):
        raise RuntimeError("does not load")
    shape = entry["input"]["shape"][1:]
    x = mulberry(entry["seed"], int(np.prod(shape)))
    errors = compare(net, x.reshape(shape), entry["outputs"]) + compare(
        net, x.reshape(shape), entry.get("pytorch", [])
    )
    if "picture" in entry:
        x = np.fromfile(os.path.join(folder, entry["picture"]["file"]), np.float32).reshape(shape)
        errors += compare(net, x, entry["picture"]["outputs"]) + compare(net, x, entry["picture"]["pytorch"])
    return max(errors)


def compare(net, x, outputs):
    errors = []
    with net.create_extractor() as extractor:
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(x)).clone())
        for output in outputs:
            status, mat = extractor.extract(output["name"].replace(" ", "_"))
            if status:
                raise RuntimeError(f"extract {output['name']} gives {status}")
            flat = np.array(mat).astype(np.float32).ravel()
            if flat.size != int(np.prod(output["shape"])):
                raise RuntimeError(f"{output['name']} has {flat.size} elements, expected {output['shape']}")
            expected = np.array(output["values"], np.float32)
            errors.append(
                np.abs(flat[:: output["step"]] - expected).max() / max(np.abs(expected).max(), 1e-6)
            )
    return errors


def main():
    folder, converted, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    bad = count = 0
    for entry in json.load(open(os.path.join(folder, "index.json"))):
        base = os.path.join(converted, entry["file"].removesuffix(".onnx"))
        if not os.path.exists(base + ".param") or (names and not entry["file"].startswith(tuple(names))):
            continue
        count += 1
        try:
            error = run(folder, base, entry)
            note = f"{error:.1e}" if error < 1e-4 else f"{error:.1e} TOO LARGE"
        except Exception as problem:
            error, note = 1, f"FAILED {problem}"
        bad += error >= 1e-4
        if error >= 1e-4 or not entry["file"].startswith("op-"):
            print(entry["file"], note, flush=True)
    print(f"{count} models, {bad} bad")
    sys.exit(bad > 0)


main()
