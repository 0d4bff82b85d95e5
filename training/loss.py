"""The YOLOv5 loss, in our own words.

Every box is learned by the anchors whose width and height are within a factor `RATIO` of its own, in the cell that holds its
centre and in the two neighbouring cells that the centre is nearest to. Box error is 1 - CIoU (Zheng et al. 2020), the target of
objectness is the overlap that was reached, classes are learned by cross entropy of independent logits.
"""

import math

import torch
import torch.nn.functional as F
from models.yolo import Detect
from torch import Tensor

RATIO = 4.0
BOX, OBJECTNESS, CLASSES = 0.08, 1.0, 0.1
# Small strides have more cells, nearly all of them empty.
BALANCE = (4.0, 1.0, 0.4)
REACH = 0.5


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of boxes `[n, 4]` (centre x, y, width, height)."""
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    shared = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared + 1e-7
    iou = shared / union
    hull = torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)
    distance = (a[:, :2] - b[:, :2]).square().sum(1) / (hull.square().sum(1) + 1e-7)
    angle = torch.atan(b[:, 2] / b[:, 3]) - torch.atan(a[:, 2] / (a[:, 3] + 1e-7))
    shape = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou - distance - weight * shape


def assign(boxes: Tensor, anchors: Tensor, h: int, w: int):
    """Which cells learn which box at one level.

    `boxes`: `[n, 6]` of picture, class, centre x, y, width, height, in cells. `anchors`: `[a, 2]` in cells.
    Returns picture, anchor, row, column, class `[m]`, and the box `[m, 4]` with its centre relative to the cell.
    """
    count = len(anchors)
    boxes = boxes.repeat(count, 1, 1)
    which = torch.arange(count).view(-1, 1).expand(-1, boxes.shape[1])
    ratio = boxes[:, :, 4:6] / anchors[:, None]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < RATIO
    boxes, which = boxes[fits], which[fits]
    centre = boxes[:, 2:4]
    low, high = centre % 1, 1 - centre % 1
    shifts = torch.tensor([[0, 0], [-1, 0], [0, -1], [1, 0], [0, 1]])
    near = torch.stack(
        (
            torch.ones(len(boxes), dtype=torch.bool),
            low[:, 0] < REACH,
            low[:, 1] < REACH,
            high[:, 0] < REACH,
            high[:, 1] < REACH,
        )
    )
    cells = centre.long()[None] + shifts[:, None]
    inside = (cells >= 0).all(2) & (cells[..., 0] < w) & (cells[..., 1] < h)
    shift, index = (near & inside).nonzero(as_tuple=True)
    cell = cells[shift, index]
    boxes, which = boxes[index], which[index]
    target = torch.cat((boxes[:, 2:4] - cell, boxes[:, 4:6]), 1)
    return boxes[:, 0].long(), which, cell[:, 1], cell[:, 0], boxes[:, 1].long(), target


def decode(raw: Tensor, anchors: Tensor) -> Tensor:
    """Logits `[m, 4]` to boxes in cells, the centre relative to the cell: -0.5..1.5; sides up to 4 anchors."""
    y = raw.sigmoid()
    return torch.cat((y[:, :2] * 2 - 0.5, (y[:, 2:] * 2).square() * anchors), 1)


def detection_loss(
    outputs: list[Tensor], boxes: Tensor, detect: Detect, box_weight: float = BOX
) -> tuple[Tensor, Tensor]:
    """`boxes`: `[n, 6]` of picture in the batch, class, centre x, y, width, height as shares of the picture.

    Returns the loss of the batch (times its size) and its three parts, detached.
    """
    box_loss = objectness_loss = class_loss = torch.zeros(())
    for level, output in enumerate(outputs):
        _, _, h, w, _ = output.shape
        anchors = detect.anchors[level]
        scaled = boxes * torch.tensor([1, 1, w, h, w, h])
        picture, anchor, row, column, kind, target = assign(scaled, anchors, h, w)
        wanted = torch.zeros(output.shape[:4])
        if len(picture):
            found = output[picture, anchor, row, column]
            iou = ciou(decode(found[:, :4], anchors[anchor]), target)
            box_loss = box_loss + (1 - iou).mean()
            # Where two boxes want one cell, the better one counts.
            reached = iou.detach().clamp(0)
            order = reached.argsort()
            wanted[picture[order], anchor[order], row[order], column[order]] = reached[order]
            class_loss = class_loss + F.binary_cross_entropy_with_logits(
                found[:, 5:], F.one_hot(kind, detect.nc).float()
            )
        objectness_loss = objectness_loss + BALANCE[level] * F.binary_cross_entropy_with_logits(
            output[..., 4], wanted
        )
    parts = torch.stack((box_weight * box_loss, OBJECTNESS * objectness_loss, CLASSES * class_loss))
    return parts.sum() * len(outputs[0]), parts.detach()
