#!/usr/bin/env python3
"""Counts layers and operators that onnxsim and pnnx make of the networks that scripts/onnx-check.ts converted.

    node scripts/onnx-check.ts FOLDER --backend none --write CONVERTED
    python3 scripts/onnx-peers.py FOLDER CONVERTED [name …]

Layers are counted without Split, since it only says that a blob has several readers. Needs onnx, onnxsim and the `pnnx` command
(both from PyPI), which is given the input shape; `failed` where it makes no ncnn model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time


def layers(param):
    with open(param) as f:
        lines = f.read().strip().split("\n")
    count = int(lines[1].split()[0])
    return sum(not line.startswith("Split ") for line in lines[2 : 2 + count])


def onnxsim_nodes(path, work):
    import onnx

    out = os.path.join(work, "sim.onnx")
    done = subprocess.run([sys.executable, "-m", "onnxsim", path, out], capture_output=True)
    return len(onnx.load(out, load_external_data=False).graph.node) if done.returncode == 0 else "failed"


def pnnx_layers(path, shape, work):
    link = os.path.join(work, "model.onnx")
    os.symlink(os.path.abspath(path), link)
    argument = f"inputshape=[{','.join(map(str, shape))}]"
    start = time.time()
    done = subprocess.run(["pnnx", link, argument], cwd=work, capture_output=True, timeout=600)
    seconds = time.time() - start
    param = os.path.join(work, "model.ncnn.param")
    if done.returncode or not os.path.exists(param):
        return "failed", seconds
    with open(param) as f:
        foreign = sorted(
            {
                line.split()[0]
                for line in f.read().split("\n")[2:]
                if "." in line.split(" ")[0] or "::" in line.split(" ")[0]
            }
        )
    return f"{layers(param)}{' (not ncnn: ' + ', '.join(foreign) + ')' if foreign else ''}", seconds


folder, converted, *names = sys.argv[1:]
print("| network | onnxsim operators | pnnx layers | pnnx s | our layers |\n|---|---|---|---|---|")
for entry in json.load(open(os.path.join(folder, "index.json"))):
    file = entry["file"]
    if names and not any(file.startswith(name) for name in names):
        continue
    path = os.path.join(folder, file)
    with tempfile.TemporaryDirectory() as work:
        theirs, seconds = pnnx_layers(path, entry["input"]["shape"], work)
        simplified = onnxsim_nodes(path, work)
    ours = layers(os.path.join(converted, file.replace(".onnx", ".param")))
    print(f"| {file[:-5]} | {simplified} | {theirs} | {seconds:.1f} | {ours} |", flush=True)
