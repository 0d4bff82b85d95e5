"""Trains the code finder on a CPU. The schedule follows the clock: it ends after `--minutes`, however fast the machine is.

    node training/generate.ts /tmp/codes/train --count 13500 --seed 1 --split training
    node training/generate.ts /tmp/codes/valid --count 400 --seed 1000001 --split held-out
    python3 training/train.py /tmp/codes/train /tmp/codes/valid --minutes 85 --out codefinder.pt

Most of the time goes to small pictures, which cost less, and the end to those of full size. Ctrl-C keeps what there is in
`OUT.state`; `--resume` goes on from it. `--start CHECKPOINT` begins with the weights of a finished run instead of random ones.
Several folders of pictures to learn from are mixed, by their size or as in `a=3 b=1`; the last folder is the one to look at. `--empty` names one without codes, where
boxes are counted.
"""

import argparse
import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from data import Dataset
from loss import BOX, RATIO, detection_loss
from models.yolo import Model

from evaluate import describe, evaluate, false_boxes

NAMES = ["QR", "Data Matrix", "Aztec", "PDF417", "barcode"]
# (share of the time at which it begins, side of pictures in pixels)
SIZES = ((0.0, 192), (0.25, 256), (0.6, 320))


def parse_folder(text: str) -> tuple[Path, float]:
    folder, _, weight = text.partition("=")
    return Path(folder), float(weight or 0)


def parse_sizes(text: str) -> list[tuple[float, int]]:
    pairs = [part.split(":") for part in text.split(",")]
    return [(float(begin), int(size)) for begin, size in pairs]


def size_at(progress: float, sizes: Sequence[tuple[float, int]]) -> int:
    return [size for begin, size in sizes if progress >= begin][-1]


def rate_at(progress: float, peak: float) -> float:
    """Warm-up in the first 3 %, then half a cosine down to a hundredth."""
    if progress < 0.03:
        return peak * (progress / 0.03 * 0.97 + 0.03)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1, (progress - 0.03) / 0.97))) / 2)


def find_anchors(boxes: np.ndarray, size: int, seed: int = 0) -> list[list[float]]:
    """Nine pairs by k-means on the logarithm of the sides in pixels, smallest area first, three a level."""
    rng = np.random.default_rng(seed)
    points = np.log(boxes[:, 3:5] * size)
    points = points[rng.permutation(len(points))[:20000]]
    centres = points[rng.choice(len(points), 9, replace=False)]
    for _ in range(100):
        nearest = np.square(points[:, None] - centres[None]).sum(2).argmin(1)
        centres = np.stack(
            [points[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(9)]
        )
    anchors = np.exp(centres)
    anchors = np.round(anchors[anchors.prod(1).argsort()])
    ratio = np.exp(np.abs(points[:, None] - np.log(anchors)[None])).max(2).min(1)
    print(
        f"anchors {anchors.tolist()}; {100 * (ratio < RATIO).mean():.2f} % of boxes within a factor of {RATIO}"
    )
    return anchors.reshape(3, 6).tolist()


class Average:
    """The exponential moving average of all weights and statistics: what is evaluated and kept."""

    def __init__(self, model: Model, horizon: int = 800) -> None:
        self.model = copy.deepcopy(model).eval()
        self.steps = 0
        self.horizon = horizon
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model) -> None:
        self.steps += 1
        keep = min(1 - 1 / self.horizon, self.steps / (self.steps + 10))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values()):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


def save(model: Model, path: Path, size: int) -> None:
    """As YOLOv5 leaves a finished run: the whole module in float16, without the optimizer."""
    kept = copy.deepcopy(model).half().cpu().to(memory_format=torch.contiguous_format)
    checkpoint = {"epoch": -1, "model": kept, "ema": None, "optimizer": None, "opt": {"imgsz": size}}
    partial = path.with_suffix(".part")
    torch.save(checkpoint, partial)
    partial.rename(path)


def optimizer_of(model: Model) -> torch.optim.Optimizer:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=parse_folder, nargs="+", metavar="FOLDER[=WEIGHT]")
    parser.add_argument("valid", type=Path)
    parser.add_argument("--empty", type=Path, help="pictures without codes, to count false boxes on")
    parser.add_argument("--out", type=Path, default=Path("codefinder.pt"))
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--limit", type=int, default=20000, help="most pictures to keep in memory")
    parser.add_argument("--evaluate-every", type=float, default=8, metavar="MINUTES")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="weights to begin with")
    parser.add_argument("--sizes", type=parse_sizes, default=SIZES, help='as in "0:192,0.25:256,0.6:320"')
    parser.add_argument("--box", type=float, default=BOX, help="weight of the box loss")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="about 1.2 times as many steps; two minutes a size to begin with",
    )
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    valid = Dataset(options.valid)
    empty = options.empty and Dataset(options.empty)
    folders, weights = zip(*options.train)
    if any(weights) and not all(weights):
        parser.error("weights: for all folders or for none")
    data = Dataset(*folders, limit=options.limit, weights=weights if any(weights) else ())
    side = data.pictures.shape[1]
    if options.start:
        model = torch.load(options.start, weights_only=False)["model"].float().requires_grad_(True)
    else:
        model = Model(NAMES, find_anchors(np.concatenate(data.boxes), side))
    model = model.to(memory_format=torch.channels_last)
    average = Average(model)
    optimizer = optimizer_of(model)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {len(data)} pictures, {len(valid)} to look at", flush=True)

    state_path = options.out.with_suffix(".state")
    spent = 0.0
    if options.resume:
        state = torch.load(state_path, weights_only=False)
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        average.steps = state["steps"]
        optimizer.load_state_dict(state["optimizer"])
        spent = state["spent"]

    def keep() -> None:
        state = {"model": model.state_dict(), "average": average.model.state_dict(), "steps": average.steps}
        partial = state_path.with_suffix(".part")
        torch.save({**state, "optimizer": optimizer.state_dict(), "spent": spent}, partial)
        partial.rename(state_path)
        save(average.model, options.out, side)

    def look() -> str:
        seen = describe(evaluate(average.model, valid, side), NAMES)
        if not empty:
            return seen
        boxes, pictures = false_boxes(average.model, empty, side)
        return f"{seen}, {boxes} false boxes on {pictures} of {len(empty)} empty pictures"

    total = options.minutes * 60
    model.train()
    forward = torch.compile(model) if options.compile else model
    sums, seen, looked, begun = torch.zeros(3), 0, spent, time.monotonic() - spent
    try:
        while (spent := time.monotonic() - begun) < total:
            progress = spent / total
            indices = data.draw(options.batch, rng)
            x, boxes = data.varied_batch(indices, size_at(progress, options.sizes), rng)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(progress, options.rate)
            loss, parts = detection_loss(forward(x), boxes, model.model[-1], options.box)
            optimizer.zero_grad(set_to_none=True)
            (loss / options.batch).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            average.update(model)
            sums += parts
            seen += 1
            if seen % 100 == 0:
                box, objectness, kind = (sums / 100).tolist()
                print(
                    f"{spent / 60:5.1f} min, step {average.steps}, {x.shape[-1]} px: box {box:.4f} objectness {objectness:.4f} classes {kind:.4f}",
                    flush=True,
                )
                sums.zero_()
            if spent - looked > options.evaluate_every * 60:
                looked = spent
                keep()
                data.refresh()
                print(
                    f"{spent / 60:5.1f} min: {len(data)} pictures, {look()}",
                    flush=True,
                )
    except KeyboardInterrupt:
        print("stopped")
    keep()
    print(look())


if __name__ == "__main__":
    main()
