"""Of pictures without codes, those where a checkpoint sees some: links to them, as a folder to learn from with more weight.

python3 hard.py CHECKPOINT FOLDER OUT [--confidence 0.1]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from data import Dataset, picture_of

from evaluate import boxes_of


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--confidence", type=float, default=0.1)
    options = parser.parse_args()
    model = torch.load(options.checkpoint, weights_only=False)["model"].float().eval()
    data = Dataset(options.folder)
    labels = sorted(data.labels)
    size = data.pictures.shape[1]
    empty = [index for index in range(len(data)) if not len(data.boxes[index])]
    for name in ("images", "labels"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    count = 0
    for start in range(0, len(empty), 32):
        indices = np.array(empty[start : start + 32])
        x, _ = data.batch(indices, size)
        for index, boxes in zip(indices, boxes_of(model(x), model, size, options.confidence, 0.45)):
            if not len(boxes):
                continue
            count += 1
            label = labels[index].resolve()
            for folder, file in (("images", picture_of(label)), ("labels", label)):
                link = options.out / folder / f"{options.folder.name}-{file.name}"
                if not link.exists():
                    link.symlink_to(file)
    print(f"{count} of {len(empty)} pictures without codes")


if __name__ == "__main__":
    main()
