"""Writes test/detect/data/resize.json: native ncnn's bilinear resize of a formula picture (pip install ncnn numpy)."""

import base64
import json
from pathlib import Path

import ncnn
import numpy as np


def picture(width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return np.ascontiguousarray(((x * 7 + y * 13 + c * 31 + x * y * (c + 3)) % 256).astype(np.uint8))


cases = []
for source, target in [
    ((17, 11), (32, 32)),
    ((64, 48), (32, 24)),
    ((61, 47), (20, 33)),
    ((5, 90), (23, 7)),
    ((30, 30), (31, 29)),
]:
    mat = ncnn.Mat.from_pixels_resize(picture(*source), ncnn.Mat.PixelType.PIXEL_RGB, *source, *target)
    pixels = np.array(mat).transpose(1, 2, 0).astype(np.uint8)
    cases.append({"source": source, "target": target, "rgb": base64.b64encode(pixels.tobytes()).decode()})
out = Path(__file__).parent.parent / "test/detect/data/resize.json"
out.write_text(json.dumps(cases, indent=1) + "\n")
