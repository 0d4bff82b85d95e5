"""Runs a file of `ncnnkit compile` on a raw RGB picture: detect.py NAME.wasm picture.rgb WIDTH HEIGHT [ROUNDS] (pip install wasmtime).

Prints a line for each box: class, score, x, y, width, height; on stderr milliseconds, from the start and of the fastest round.
"""

import struct
import sys
import time

from wasmtime import Engine, Instance, Module, Store

file, picture, width, height = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 1
with open(picture, "rb") as stream:
    pixels = stream.read()

began = time.perf_counter()
store = Store(Engine())
exports = Instance(store, Module.from_file(store.engine, file), []).exports(store)
memory = exports["memory"]


def detect() -> int:
    """The number of boxes."""
    address = exports["picture"](store, width, height, 3)
    memory.write(store, pixels, address)
    if address == 0 or exports["preprocess"](store, width, height, 3, 0) != 0:
        sys.exit("not a picture that the file takes")
    exports["run"](store)
    return exports["detect"](store, 0.25, 0.45, 300)


count = detect()
first = time.perf_counter() - began
fastest = first
for _ in range(rounds - 1):
    start = time.perf_counter()
    count = detect()
    fastest = min(fastest, time.perf_counter() - start)
print(f"{first * 1000:.1f} {fastest * 1000:.1f}", file=sys.stderr)
table = exports["detections"].value(store)
for i in range(count):
    start = table + i * 24
    x, y, w, h, score, label = struct.unpack("<5fi", memory.read(store, start, start + 24))
    print(f"{label} {score:.4f} {x:.2f} {y:.2f} {w:.2f} {h:.2f}")
