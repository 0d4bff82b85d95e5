#!/usr/bin/env python3
"""Evaluates size expressions with native ncnn and writes test/ops/data/expressions.json: expression to value.

Needs the Python packages ncnn and numpy; run from the repository root. Nothing else needs this script: its results are
committed. A value v is read from a Crop to 3000 + v of 8000 columns, and 100 v in the same way, which shows fractions. null is
a crop that native refuses.
"""

import json
import os
import tempfile

import ncnn
import numpy as np

UNARY = (
    "abs neg sign square trunc ceil floor round acos acosh asin asinh atan atanh cos cosh erf exp log log10 "
    "reciprocal rsqrt sin sinh sqrt tan tanh"
)
BINARY = "+ - * / // max min pow fmod remainder atan2 logaddexp"
BITS = "and or xor lshift rshift"
NUMBERS = "0.5 2 2.5 -2.5 3 8 0.1 1.7 2e0 -1.5e-1".split()
PAIRS = [
    ("7", "2"),
    ("7.5", "2"),
    ("-7", "2"),
    ("2", "-7"),
    ("-7.5", "2"),
    ("8", "6"),
    ("3", "0.5"),
    ("1", "3"),
]


def value(expression):
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "m.param")
    with open(path, "w") as file:
        file.write(
            f'7767517\n2 2\nInput x 0 1 x\nCrop c 1 1 x y 19="0,0" 20="1,+(3000,{expression})" 21="0,1"\n'
        )
    open(os.path.join(folder, "m.bin"), "wb").close()
    net = ncnn.Net()
    if net.load_param(path) or net.load_model(os.path.join(folder, "m.bin")):
        return None
    extractor = net.create_extractor()
    blob = ncnn.Mat(np.zeros((6, 8000), np.float32)).clone()
    extractor.input("x", blob)
    status, out = extractor.extract("y")
    return None if status or out.w == 0 or out.w >= 8000 else out.w - 3000


cases = [f"{name}({a})" for name in UNARY.split() for a in NUMBERS]
cases += [f"{name}({a},{b})" for name in BINARY.split() for a, b in PAIRS]
cases += [
    f"{name}({a},{b})" for name in BITS.split() for a, b in [("6", "3"), ("8", "1"), ("5", "2"), ("1", "3")]
]
cases += [f"*({case},100)" for case in cases]
cases += ["0w", "0h", "0c", "0d", "*(0h,+(0w,-7990))", "max(1,min(9,//(0h,4)))"]
with open("test/ops/data/expressions.json", "w") as file:
    json.dump({case: value(case) for case in cases}, file, indent=1)
    file.write("\n")
