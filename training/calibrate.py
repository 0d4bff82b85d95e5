"""Shifts the objectness of a finished run so that the usual confidence of 0.25 is its best working point.

    python3 calibrate.py CHECKPOINT CODES --empty FOLDER… [--out CHECKPOINT]

Scores of a detector are no probabilities: where they stand depends on how often things were shown while training, not on
how often they are met. The shift (in logits, taken off the bias of objectness) is the one with the best F2 at 0.25 where a picture
is as likely to have codes as to have none: recall weighs twice, as a decoder turns down what is no code but cannot find what was
missed. A box is right when it has the right class and overlaps the code by half. Order of scores, and so average precision, stays
nearly as it was. The folders must be held out, and be others than those on which figures are reported.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from data import Dataset
from models.yolo import Model
from torch import Tensor
from torchvision.ops import box_iou

from evaluate import boxes_of

CONFIDENCE = 0.25
SIZE = 320
SHIFTS = np.round(np.arange(-0.5, 2.01, 0.1), 1)


@torch.no_grad()
def raw_outputs(model: Model, dataset: Dataset, batch: int = 32) -> list[list[Tensor]]:
    starts = range(0, len(dataset), batch)
    return [
        model(dataset.batch(np.arange(start, min(start + batch, len(dataset))), SIZE)[0]) for start in starts
    ]


def shifted(outputs: list[Tensor], shift: float) -> list[Tensor]:
    moved = [output.clone() for output in outputs]
    for output in moved:
        output[..., 4] -= shift
    return moved


def count_right(boxes: Tensor, labels: np.ndarray) -> int:
    """Greedy, best score first."""
    label = torch.from_numpy(labels)
    low, high = label[:, 1:3] - label[:, 3:] / 2, label[:, 1:3] + label[:, 3:] / 2
    overlaps = box_iou(boxes[:, :4], torch.cat((low, high), 1) * SIZE)
    overlaps[boxes[:, 5:6] != label[None, :, 0]] = 0
    right = 0
    for row in overlaps:
        if len(row) and row.max() >= 0.5:
            overlaps[:, row.argmax()] = 0
            right += 1
    return right


def working_point(
    model: Model, codes: Dataset, with_codes: list[list[Tensor]], without: list[list[Tensor]], shift: float
) -> tuple[float, float, float, float]:
    """Recall; boxes that are wrong a picture with codes; boxes a picture without; F2."""
    number = right = found = 0
    for outputs in with_codes:
        for boxes in boxes_of(shifted(outputs, shift), model, SIZE, CONFIDENCE, 0.45):
            right += count_right(boxes, codes.boxes[number])
            found += len(boxes)
            number += 1
    empty = [
        len(boxes)
        for outputs in without
        for boxes in boxes_of(shifted(outputs, shift), model, SIZE, CONFIDENCE, 0.45)
    ]
    wanted = sum(map(len, codes.boxes))
    false = float(np.mean(empty)) * number
    f2 = 5 * right / (4 * wanted + found + false)
    return right / wanted, (found - right) / number, float(np.mean(empty)), f2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("codes", type=Path)
    parser.add_argument("--empty", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, help="where the shifted checkpoint goes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint = torch.load(options.checkpoint, weights_only=False)
    model = checkpoint["model"].float().eval()
    codes, empty = Dataset(options.codes), Dataset(*options.empty)
    with_codes, without = raw_outputs(model, codes), raw_outputs(model, empty)
    rows = []
    for shift in SHIFTS:
        recall, wrong, false, f2 = working_point(model, codes, with_codes, without, shift)
        rows.append((f2, shift))
        print(
            f"{shift:4.1f}: recall {100 * recall:.1f}, {wrong:.3f} wrong boxes a picture with codes, {false:.3f} without, F2 {100 * f2:.2f}",
            flush=True,
        )
    shift = max(rows)[1]
    print(f"best: {shift}")
    if options.out:
        for head in model.model[-1].m:
            with torch.no_grad():
                head.bias.view(model.model[-1].na, -1)[:, 4] -= shift
        checkpoint["model"] = model.half()
        torch.save(checkpoint, options.out)


if __name__ == "__main__":
    main()
