"""Writes test/detect/data/crop.json: what torchvision (Resize and CenterCrop with Pillow) and OpenCV (the middle square, cut and then
resized, as YOLOv5 classifies) make of a formula picture (pip install torchvision pillow opencv-python numpy)."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import torchvision.transforms as T
from PIL import Image


def picture(width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return np.ascontiguousarray(((x * 7 + y * 13 + c * 31 + x * y * (c + 3)) % 256).astype(np.uint8))


cases = []
for source, size in [
    ((61, 47), 16),
    ((47, 90), 32),
    ((32, 32), 32),
    ((17, 11), 24),
    ((300, 41), 7),
    ((33, 50), 20),
]:
    pixels = picture(*source)
    pillow = np.array(T.Compose([T.Resize(size), T.CenterCrop(size)])(Image.fromarray(pixels)))
    width, height = source
    side = min(source)
    top, left = (height - side) // 2, (width - side) // 2
    opencv = cv2.resize(
        pixels[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR
    )
    text = {
        name: base64.b64encode(each.tobytes()).decode()
        for name, each in (("pillow", pillow), ("opencv", opencv))
    }
    cases.append({"source": source, "size": size, **text})
out = Path(__file__).parent.parent / "test/detect/data/crop.json"
out.write_text(json.dumps(cases, indent=1) + "\n")
