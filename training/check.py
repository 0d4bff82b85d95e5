"""Whether ncnnkit reads a checkpoint as PyTorch does: compares the raw outputs of both for one picture.

npm run build
python3 training/check.py CHECKPOINT PICTURE [--size 320]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

TOLERANCE = 1e-4
ROOT = Path(__file__).resolve().parent.parent


def compare(checkpoint: Path, picture: Path, size: int, folder: Path) -> list[float]:
    """The largest absolute difference of every head, whose layout in ncnnkit is `[anchors, h * w, 5 + classes]`."""
    dump = [
        "node",
        str(ROOT / "scripts/dump-outputs.ts"),
        str(checkpoint),
        str(picture),
        str(folder),
        "--size",
        str(size),
    ]
    subprocess.run(dump, check=True)
    index = json.loads((folder / "index.json").read_text())

    def read(blob: str, shape: list[int]) -> np.ndarray:
        return np.fromfile(folder / f"{blob}.f32", "<f4").reshape(shape)

    model = torch.load(checkpoint, weights_only=False)["model"].float().eval()
    with torch.no_grad():
        wanted = model(torch.from_numpy(read(**index["input"]))[None])
    if len(index["outputs"]) != len(wanted):
        sys.exit(f"{len(index['outputs'])} outputs, expected {len(wanted)}")
    return [
        float(np.abs(read(blob, shape) - head[0].flatten(1, 2).numpy()).max())
        for (blob, shape), head in zip(sorted(index["outputs"].items()), wanted)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        differences = compare(options.checkpoint, options.picture, options.size, Path(folder))
    print("largest difference of each head:", ", ".join(f"{value:.1e}" for value in differences))
    # Written so that a NaN fails.
    if not all(value <= TOLERANCE for value in differences):
        sys.exit(f"more than {TOLERANCE}")


if __name__ == "__main__":
    main()
