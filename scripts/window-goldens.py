#!/usr/bin/env python3
"""Runs random pooling, convolution and deconvolution layers on native ncnn and writes test/ops/data/windows.json.

Needs the Python packages ncnn and numpy; run from the repository root. Nothing else needs this script: its results are
committed. Left out is what native has no defined result for (it reads or writes beyond its memory there): SAME padding where a
kernel is smaller than the stride on one axis and the other axis is padded, and windows that do not fit. Values are whole
numbers over 16.
"""

import json
import os
import tempfile

import ncnn
import numpy as np

rng = np.random.default_rng(11)
FOLDER = tempfile.mkdtemp()


def pick(*values):
    return values[rng.integers(len(values))]


def native(line, weights, x):
    param = os.path.join(FOLDER, "m.param")
    with open(param, "w") as file:
        file.write(f"7767517\n2 2\nInput x 0 1 x\n{line}\n")
    with open(os.path.join(FOLDER, "m.bin"), "wb") as file:
        file.write(weights)
    net = ncnn.Net()
    for name in (
        "use_fp16_packed",
        "use_fp16_storage",
        "use_fp16_arithmetic",
        "use_bf16_storage",
        "use_packing_layout",
    ):
        setattr(net.opt, name, False)
    net.opt.num_threads = 1
    assert not net.load_param(param) and not net.load_model(os.path.join(FOLDER, "m.bin")), line
    extractor = net.create_extractor()
    blob = ncnn.Mat(x).clone()
    extractor.input("x", blob)
    status, out = extractor.extract("y")
    return None if status else np.array(out)


def numbers(count):
    return rng.integers(-20, 21, count)


def window(kind):
    c, h, w = (int(v) for v in (pick(1, 2, 3), rng.integers(1, 8), rng.integers(1, 9)))
    kernel = [int(v) for v in rng.integers(1, 5, 2)]
    stride = [int(v) for v in rng.integers(1, 5, 2)]
    dilation = [1, 1] if kind == "Pooling" else [int(pick(1, 1, 2)), int(pick(1, 1, 2))]
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    total = [e + (n - 1) // s * s - n for e, n, s in zip(extent, (w, h), stride)]
    pads = [int(v) for v in rng.integers(0, 3, 4)]
    params, weights = [], b""
    if kind == "Pooling":
        mode = int(pick(0, 1, 2, 3))
        params = [
            f"0={pick(0, 1)} 1={kernel[0]} 11={kernel[1]} 2={stride[0]} 12={stride[1]} 5={mode} 6={pick(0, 0, 1)}"
        ]
        is_same = mode >= 2
        if rng.random() < 0.5:
            params.append("3={} 14={} 13={} 15={}".format(*pads))
        else:
            pads = [0] * 4
        is_legal = (
            is_same
            or mode == 0
            or (w + pads[0] + pads[1] >= kernel[0] and h + pads[2] + pads[3] >= kernel[1])
        )
    else:
        outputs, group = int(pick(1, 2, 4)), 1
        if "DepthWise" in kind:
            group, outputs = c, c
        count = outputs * c // group * kernel[0] * kernel[1]
        raw = [numbers(count), numbers(outputs)]
        weights = b"\0\0\0\0" + b"".join((v / 16).astype("<f4").tobytes() for v in raw)
        params = [
            f"0={outputs} 1={kernel[0]} 11={kernel[1]} 2={dilation[0]} 12={dilation[1]} 3={stride[0]} 13={stride[1]}"
        ]
        params.append(f"5=1 6={count}" + (f" 7={group}" if "DepthWise" in kind else ""))
        is_deconvolution = kind.startswith("Deconvolution")
        same = pick(-233, -234, 0, 0)
        is_same = same < 0 and not is_deconvolution
        if same:
            params.append(f"4={same}")
        elif rng.random() < 0.6:
            params.append("4={} 15={} 14={} 16={}".format(*pads))
        else:
            pads = [0] * 4
        is_legal = is_same or (w + sum(pads[:2]) >= extent[0] and h + sum(pads[2:]) >= extent[1])
        if is_deconvolution:
            full = [(n - 1) * s + e for n, s, e in zip((w, h), stride, extent)]
            is_legal = all(f > 2 * 4 for f in full)
            if same:
                params.append(f"20={rng.integers(1, full[0] + 1)} 21={rng.integers(1, full[1] + 1)}")
    if not is_legal or (is_same and min(total) < 0 < max(total)):
        return None
    x = numbers((c, h, w))
    line = f"{kind} l 1 1 x y {' '.join(params)}"
    y = native(line, weights, (x / 16).astype(np.float32))
    if y is None:
        return None
    return {
        "line": line,
        "shape": [c, h, w],
        "x": x.ravel().tolist(),
        "weights": [v.tolist() for v in raw] if weights else [],
        "y": [None if np.isnan(v) else round(float(v), 5) for v in y.ravel()],
        "yShape": list(y.shape),
    }


cases = []
for kind, count in [
    ("Pooling", 60),
    ("Convolution", 24),
    ("ConvolutionDepthWise", 16),
    ("Deconvolution", 16),
    ("DeconvolutionDepthWise", 8),
]:
    found = []
    while len(found) < count:
        case = window(kind)
        if case and len(case["y"]) <= 250:
            found.append(case)
    cases += found
with open("test/ops/data/windows.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
