"""Networks as YOLOv5 up to 5.0 had them (Focus stem, SPP; SiLU, or hard-swish as in 3.0) for docs/quantization.md: random weights,
batch norm statistics of photographs, so that activations have the ranges and tails that they have in a trained network.

    python3 scripts/focus-model.py FOLDER
    node scripts/quantize-experiments.ts focus FOLDER

Photographs are those of NCNNKIT_DATA (default ../shared), coco/images/train2017. Needs torch, onnx, Pillow.
"""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
fixtures = importlib.import_module("onnx-fixtures")

SIZE = 320


def photographs(count):
    folder = Path(os.environ.get("NCNNKIT_DATA", "../shared")) / "coco/images/train2017"
    files = sorted(folder.glob("*.jpg"))[:count]
    levels = [np.asarray(Image.open(f).convert("RGB").resize((SIZE, SIZE))) for f in files]
    return torch.from_numpy(np.stack(levels)).permute(0, 3, 1, 2).float() / 255


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pictures = photographs(64)
    for act in ("silu", "hardswish"):
        torch.manual_seed(0)
        model = fixtures.YoloFive(fixtures.FULL, 1, 80, act, focus=True)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the mean over all batches
        with torch.no_grad():
            for batch in pictures.split(16):
                model(batch)
        fixtures.export(model.eval(), SIZE, str(folder / f"yolov5s-focus-{act}.onnx"), fixtures.TS, 12, False)
        print(folder / f"yolov5s-focus-{act}.onnx")


if __name__ == "__main__":
    main()
