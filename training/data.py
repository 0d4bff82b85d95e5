"""Pictures and boxes in memory, and what is varied on the way into a batch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


class Dataset:
    """Folders with `images/*.jpg` and `labels/*.txt` (class, centre x, y, width, height as shares), all pictures of one size."""

    def __init__(self, *folders: Path, limit: int = 20000, weights: Sequence[float] = ()) -> None:
        """`weights`: the folders' shares in what `draw` gives, in any unit; by their numbers of pictures when absent."""
        self.folders = folders
        self.weights = np.array(weights, float)
        self.orders = [np.empty(0, int) for _ in folders]
        self.limit = limit
        self.boxes: list[np.ndarray] = []
        self.origin: list[int] = []
        self.labels: set[Path] = set()
        self.pictures = np.empty((0, 0, 0, 3), np.uint8)
        self.refresh()
        if not self.boxes:
            raise SystemExit(f"{', '.join(map(str, folders))}: no images/*.jpg with labels")

    def refresh(self) -> None:
        """Takes in pictures that have come into the folders since; a picture is complete when its label is there."""
        found = (label for folder in self.folders for label in (folder / "labels").glob("*.txt"))
        labels = sorted(label for label in found if label not in self.labels)
        labels = labels[: self.limit - len(self)]
        if not labels:
            return
        if not len(self):
            width, height = Image.open(picture_of(labels[0])).size
            # Pages that are never written cost nothing.
            self.pictures = np.empty((self.limit, height, width, 3), np.uint8)

        def read(item: tuple[int, Path]) -> np.ndarray:
            index, label = item
            self.pictures[index] = np.asarray(Image.open(picture_of(label)).convert("RGB"))
            rows = [line.split() for line in label.read_text().splitlines()]
            return np.array(rows, np.float32).reshape(-1, 5)

        with ThreadPoolExecutor(2) as pool:
            self.boxes += pool.map(read, enumerate(labels, len(self)))
        self.origin += [self.folders.index(label.parents[1]) for label in labels]
        self.labels.update(labels)

    def __len__(self) -> int:
        return len(self.boxes)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of `count` pictures: each folder gives all its pictures before it gives one again."""
        origin = np.array(self.origin)
        counts = np.bincount(origin, minlength=len(self.folders))
        shares = np.where(counts, self.weights, 0) if len(self.weights) else counts
        chosen = []
        for folder in rng.choice(len(self.folders), count, p=shares / shares.sum()):
            if not len(self.orders[folder]):
                self.orders[folder] = rng.permutation(np.flatnonzero(origin == folder))
            chosen.append(self.orders[folder][0])
            self.orders[folder] = self.orders[folder][1:]
        return np.array(chosen)

    def batch(self, indices: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
        """`[n, 3, size, size]` in 0..1, channels last, and boxes `[m, 6]` with the picture's number first. Nothing is varied."""
        pictures = to_tensor(self.pictures[indices], size)
        boxes = [np.insert(self.boxes[index], 0, i, 1) for i, index in enumerate(indices)]
        return pictures, torch.from_numpy(np.concatenate(boxes)).float()

    def varied_batch(self, indices: np.ndarray, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """As `batch`, each picture turned or mirrored, shifted, with other light and colours."""
        pictures = np.empty((len(indices), *self.pictures.shape[1:]), np.uint8)
        boxes = []
        for i, index in enumerate(indices):
            picture, found = orient(self.pictures[index], self.boxes[index], rng)
            pictures[i], found = shift(picture, found, rng)
            boxes.append(np.insert(found, 0, i, 1))
        x = to_tensor(pictures, size)
        count = len(indices)
        contrast = torch.from_numpy(rng.uniform(0.6, 1.3, (count, 1, 1, 1)).astype(np.float32))
        tint = torch.from_numpy(rng.uniform(0.9, 1.1, (count, 3, 1, 1)).astype(np.float32))
        light = torch.from_numpy(rng.uniform(-0.15, 0.2, (count, 1, 1, 1)).astype(np.float32))
        x = x.mul_(contrast * tint).add_(light).clamp_(0, 1)
        return x, torch.from_numpy(np.concatenate(boxes)).float()


def picture_of(label: Path) -> Path:
    return label.parents[1] / "images" / f"{label.stem}.jpg"


def to_tensor(pictures: np.ndarray, size: int) -> Tensor:
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().mul_(1 / 255)
    if x.shape[-1] != size:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x.contiguous(memory_format=torch.channels_last)


def orient(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One of the eight ways to lay a square picture down."""
    boxes = boxes.copy()
    way = rng.integers(8)
    if way & 1:
        picture = picture[:, ::-1]
        boxes[:, 1] = 1 - boxes[:, 1]
    if way & 2:
        picture = picture[::-1]
        boxes[:, 2] = 1 - boxes[:, 2]
    if way & 4:
        picture = picture.transpose(1, 0, 2)
        boxes = boxes[:, [0, 2, 1, 4, 3]]
    return picture, boxes


def shift(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Moves the picture by whole pixels, up to an eighth; what leaves on one side is grey on the other. Boxes that lose half go."""
    side = picture.shape[0]
    dy, dx = rng.integers(-side // 8, side // 8 + 1, 2)
    out = np.full_like(picture, 114)
    out[max(dy, 0) : side + min(dy, 0), max(dx, 0) : side + min(dx, 0)] = picture[
        max(-dy, 0) : side + min(-dy, 0), max(-dx, 0) : side + min(-dx, 0)
    ]
    if not len(boxes):
        return out, boxes
    low = np.clip(boxes[:, 1:3] - boxes[:, 3:5] / 2 + (dx / side, dy / side), 0, 1)
    high = np.clip(boxes[:, 1:3] + boxes[:, 3:5] / 2 + (dx / side, dy / side), 0, 1)
    kept = (high - low).prod(1) > 0.5 * boxes[:, 3:5].prod(1)
    moved = np.concatenate((boxes[:, :1], (low + high) / 2, high - low), 1)
    return out, moved[kept].astype(np.float32)
