#!/usr/bin/env python3
"""Makes small checkpoints of YOLOv5, YOLOv6 and YOLOv7 with their authors' own code, and what that code finds with them.

    python3 scripts/yolo-checkpoints.py yolov5 CHECKOUT     # ultralytics/yolov5 at v7.0: segmentation, classification
    python3 scripts/yolo-checkpoints.py yolov6 CHECKOUT     # meituan/YOLOv6 at 0.4.1, and 0.3.0, 0.1.0 of the older ones
    python3 scripts/yolo-checkpoints.py yolov7 CHECKOUT     # WongKinYiu/yolov7

Those that are not committed are written to a folder that is given as a third argument.
Needs torch, torchvision, numpy and what the project imports. Each NAME.pt in test/formats/torch/data/projects is a training checkpoint in
binary16 with seeded weights and statistics, packed with deflate; NAME.f32 holds all raw outputs for `picture()`; NAME.json
what the authors' decoding and suppression make of them, clipped, in pixels of the network's input.
"""

import json
import random
import sys
import types
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path(__file__).resolve().parent.parent / "test/formats/torch/data/projects"
COMMITTED = {"v5-seg", "v5-cls", "v6", "v6-csp", "v6-lite", "v6-010", "v7", "v7-fused", "v7-aux"}
CONFIDENCE = 0.45
OVERLAP = 0.45


def picture(size):
    """uint8 RGB, size x size x 3, easy to make in any language."""
    y, x, c = np.ogrid[:size, :size, :3]
    return ((7 * x * x + 13 * y * y + 5 * x * y) // 32 + 60 * c).astype(np.uint8)


def tensor_of(size, mean=(0, 0, 0), deviation=(1, 1, 1)):
    x = torch.from_numpy(picture(size)).permute(2, 0, 1).double() / 255
    mean, deviation = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (mean, deviation))
    return ((x - mean) / deviation)[None]


def seeded(model, seed):
    """Weights that keep the size of activations, and statistics of every BatchNorm that are not those of the start."""
    g = torch.Generator().manual_seed(seed)
    uniform = lambda like, low, high: torch.rand(like.shape, generator=g) * (high - low) + low
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            count = m.weight[0].numel() if not isinstance(m, nn.ConvTranspose2d) else m.weight.shape[0]
            m.weight.data = torch.randn(m.weight.shape, generator=g) * (1.6 / count) ** 0.5
            if m.bias is not None:
                m.bias.data = uniform(m.bias, -0.2, 0.2)
        elif isinstance(m, nn.BatchNorm2d):
            m.weight.data = uniform(m.weight, 0.7, 1.3)
            m.bias.data = uniform(m.bias, -0.3, 0.3)
            m.running_mean.data = uniform(m.running_mean, -0.3, 0.3)
            m.running_var.data = uniform(m.running_var, 0.5, 1.5)
            # Nothing reads it, and each tensor is a file in the archive.
            m.num_batches_tracked = None
        elif hasattr(m, "implicit"):
            m.implicit.data += uniform(m.implicit, -0.3, 0.3)
        elif isinstance(getattr(m, "alpha", None), nn.Parameter):
            m.alpha.data = uniform(m.alpha, 0.5, 1.5)
    return model.eval()


def as_saved(model):
    """The weights as binary16 holds them, computed with in double precision."""
    return deepcopy(model).half().double().eval()


def spread(convolutions, outputs, deviation, shift=0.0):
    """Scales the last convolutions so that their outputs vary by `deviation` about `shift`."""
    for m, y in zip(convolutions, outputs):
        y = y.double()
        m.weight.data *= deviation / float(y.std())
        m.bias.data += shift - float(y.mean()) * deviation / float(y.std())


def watch(model, modules, x):
    """Outputs of some modules."""
    found = {}
    hooks = [m.register_forward_hook(lambda m, _, y, i=i: found.__setitem__(i, y.detach())) for i, m in enumerate(modules)]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return [found[i] for i in range(len(modules))]


def rezip(path):
    with zipfile.ZipFile(path) as source:
        entries = [(info.filename, source.read(info)) for info in source.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, contents in entries:
            target.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED, 9)


def write(name, checkpoint, raw, found):
    folder = DATA if name in COMMITTED else Path(sys.argv[3]) if len(sys.argv) > 3 else None
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    # The name is in every entry of the archive.
    torch.save(checkpoint, folder / "m.pt")
    rezip(folder / "m.pt")
    (folder / "m.pt").rename(folder / f"{name}.pt")
    (folder / f"{name}.f32").write_bytes(b"".join(x.detach().float().numpy().tobytes() for x in raw))
    (folder / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    counts = ", ".join(f"{len(v)} {k}" for k, v in found.items())
    print(f"{name}: {(folder / f'{name}.pt').stat().st_size} bytes, {sum(x.numel() for x in raw)} values, {counts}")


def boxes_of(rows, size):
    """`x0 y0 x1 y1 score class` rows, in few digits so that the file stays small."""
    clip = lambda v: float(f"{min(max(float(v), 0.0), float(size)):.8g}")
    return [[*map(clip, row[:4]), round(float(row[4]), 4), int(row[5])] for row in rows]


def planes(x):
    """`[1, anchors, h, w, values]` as `[anchors, h·w, values]`."""
    return x[0].flatten(1, 2)


def rle(mask):
    """COCO's run lengths of a mask [h, w]: column by column, beginning with zeros."""
    values = np.asarray(mask).astype(bool).flatten(order="F")
    edges = np.flatnonzero(np.diff(values)) + 1
    counts = np.diff(np.concatenate([[0], edges, [values.size]])).tolist()
    return [0, *counts] if values[0] else counts


# YOLOv5 v7.0

V5_BACKBONE = [
    [-1, 1, "Conv", [64, 6, 2, 2]],
    [-1, 1, "Conv", [64, 3, 2]],
    [-1, 1, "C3", [64]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "C3", [128]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "SPPF", [128, 5]],
]
ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


def yolov5(checkout):
    from models.yolo import ClassificationModel, DetectionModel, SegmentationModel
    from utils.augmentations import classify_transforms
    from utils.general import non_max_suppression
    from utils.segment.general import process_mask_upsample

    seg = {
        **{"nc": 3, "depth_multiple": 0.33, "width_multiple": 0.0625, "anchors": ANCHORS[:2]},
        "backbone": V5_BACKBONE,
        "head": [
            [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
            [[-1, 4], 1, "Concat", [1]],
            [-1, 1, "C3", [128, False]],
            [[9, 6], 1, "Segment", ["nc", "anchors", 4, 128]],
        ],
    }
    size = 64
    model = SegmentationModel(seg)
    model.names = {0: "cat", 1: "dog", 2: "bird"}
    seeded(model, 1)
    head = model.model[-1]
    spread(head.m, watch(model, head.m, tensor_of(size).float()), 1.5, 0.2)
    # Prototypes of which each is above and below 0, so that masks have a shape.
    last = head.proto.cv3
    y = watch(model, [last.conv], tensor_of(160).float())[0]
    last.bn.running_mean.data, last.bn.running_var.data = y.mean((0, 2, 3)), y.var((0, 2, 3))
    last.bn.weight.data, last.bn.bias.data = last.bn.weight * 0 + 1.5, last.bn.bias * 0
    for m in head.m:
        m.bias.data.view(head.na, -1)[:, -head.nm :] -= m.bias.data.view(head.na, -1)[:, -head.nm :].mean(1, keepdim=True) + 0.2
    ours = as_saved(model)
    raw, prototypes = ours(tensor_of(size))[2], ours(tensor_of(size))[1]
    large = 160
    decoded, protos, _ = ours(tensor_of(large))
    rows = non_max_suppression(decoded, CONFIDENCE, OVERLAP, nm=4)[0]
    masks = process_mask_upsample(protos[0].float(), rows[:, 6:].float(), rows[:, :4].float(), (large, large))
    found = {"boxes": boxes_of(rows, large), "masks": [rle(m) for m in masks]}
    checkpoint = {
        **{"epoch": 2, "best_fitness": np.array([0.1]), "model": None, "ema": deepcopy(model).half()},
        **{"updates": 30, "optimizer": None, "opt": {"imgsz": size}, "git": None, "date": "2023-01-02T03:04:05.678901"},
    }
    write("v5-seg", checkpoint, [*map(planes, raw), prototypes[0]], found)

    size = 32
    base = DetectionModel({**seg, "head": [[-1, 1, "Conv", [64, 1, 1]], [[-1], 1, "Detect", ["nc", ANCHORS[:1]]]]})
    model = ClassificationModel(model=base, nc=5, cutoff=6)
    model.names = {0: "ant", 1: "bee", 2: "cow", 3: "dog", 4: "elk"}
    model.transforms = classify_transforms(size)
    seeded(model, 2)
    linear = model.model[-1].linear
    spread([linear], watch(model, [linear], tensor_of(size).float()), 2.0)
    ours = as_saved(model)
    from PIL import Image

    # Not square: it is cut out of the middle.
    photo = picture(48)[:40]
    x = model.transforms(np.ascontiguousarray(photo[:, :, ::-1]))[None].double()
    plain = tensor_of(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        raw, found = ours(plain), ours(x).softmax(1)[0]
    checkpoint = {
        **{"epoch": -1, "best_fitness": 0.5, "model": deepcopy(model).half(), "ema": None, "updates": None, "optimizer": None},
        **{"opt": {"imgsz": size}, "git": None, "date": "2023-01-02T03:04:05.678901"},
    }
    write("v5-cls", checkpoint, [raw[0]], {"probabilities": [round(float(v), 6) for v in found]})


# YOLOv7


def v7_model(cfg, seed, size, names, deviation=1.5):
    from models.yolo import Model

    model = Model(cfg)
    model.names = names
    seeded(model, seed)
    head = model.model[-1]
    x = tensor_of(size).float()
    spread(head.m, watch(model, head.m, x), deviation, 0.2)
    return model


def v7_write(name, model, size, checkpoint):
    from utils.general import non_max_suppression

    ours = as_saved(model)
    with torch.no_grad():
        decoded, raw = ours(tensor_of(size))
    rows = non_max_suppression(decoded.clone(), CONFIDENCE, OVERLAP)[0]
    write(name, checkpoint, [planes(x) for x in raw], {"boxes": boxes_of(rows, size)})


ELAN = lambda c, act="": [
    [-1, 1, "Conv", [c, 1, 1, *act]],
    [-2, 1, "Conv", [c, 1, 1, *act]],
    [-1, 1, "Conv", [c, 3, 1, *act]],
    [-1, 1, "Conv", [c, 3, 1, *act]],
    [[-1, -2, -3, -4], 1, "Concat", [1]],
    [-1, 1, "Conv", [2 * c, 1, 1, *act]],
]


def yolov7(checkout):
    base = {"nc": 2, "depth_multiple": 1.0, "width_multiple": 0.125}
    # Trained: branches not merged, implicit knowledge, SPPCSPC, pooling beside a convolution.
    training = {
        **base,
        "anchors": ANCHORS[:2],
        "backbone": [
            [-1, 1, "Conv", [64, 3, 2]],
            [-1, 1, "Conv", [64, 3, 2]],
            *ELAN(64),  # 7
            [-1, 1, "MP", []],
            [-1, 1, "Conv", [64, 1, 1]],
            [-3, 1, "Conv", [64, 1, 1]],
            [-1, 1, "Conv", [64, 3, 2]],
            [[-1, -3], 1, "Concat", [1]],  # 12
            *ELAN(64),  # 18
            [-1, 1, "DownC", [128]],  # 19
        ],
        "head": [
            [-1, 1, "SPPCSPC", [64]],  # 20
            [-1, 1, "Conv", [64, 1, 1]],
            [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
            [18, 1, "Conv", [64, 1, 1]],
            [[-1, -2], 1, "Concat", [1]],
            [-1, 1, "RepConv", [128, 3, 1]],  # 25
            [20, 1, "RepConv", [64, 3, 1]],  # 26, with the identity's branch
            [[25, 26], 1, "IDetect", ["nc", "anchors"]],
        ],
    }
    model = v7_model(training, 3, 64, ["cat", "dog"])
    checkpoint = {
        **{"epoch": 4, "best_fitness": np.array([0.25]), "training_results": "", "model": model.half()},
        **{"ema": model.half(), "updates": 50, "optimizer": None, "wandb_id": None},
    }
    v7_write("v7", model, 64, checkpoint)

    # As published: merged by fuse(), with tiny's activation and pooling; a Detect that has taken up what IDetect learnt.
    act = ["nn.LeakyReLU(0.1)"]
    one = lambda k, s: ["Conv", [64, k, s, "None", 1, *act]]
    tiny = {
        **base,
        "anchors": ANCHORS[:2],
        "backbone": [
            [-1, 1, *one(3, 2)],
            [-1, 1, *one(3, 2)],
            *ELAN(64, ["None", 1, *act]),  # 7
            [-1, 1, "MP", []],
            [-1, 1, *one(3, 1)],  # 9
            [-1, 1, "MP", []],
            [-1, 1, *one(3, 1)],  # 11
        ],
        "head": [
            [-1, 1, *one(1, 1)],
            [-1, 1, "SP", [5]],
            [-2, 1, "SP", [9]],
            [-3, 1, "SP", [13]],
            [[-1, -2, -3, -4], 1, "Concat", [1]],
            [-1, 1, *one(1, 1)],  # 17
            [9, 1, "RepConv", [64, 3, 1]],
            [[18, 17], 1, "IDetect", ["nc", "anchors"]],
        ],
    }
    model = v7_model(tiny, 4, 64, ["cat", "dog"])
    model.fuse()
    head = model.model[-1]
    # The project's notebook reparameterises into a plain Detect in the same way.
    from models.yolo import Detect

    plain = Detect(2, ANCHORS[:2], [8, 8])
    for key in ("m", "anchors", "anchor_grid", "stride", "i", "f", "type", "np"):
        setattr(plain, key, getattr(head, key))
    model.model[-1] = plain.eval()
    v7_write("v7-fused", model, 64, {"model": deepcopy(model).half(), "ema": None, "epoch": -1})

    # W6 and its like: space to depth, auxiliary heads, additions, four levels.
    aux = {
        **base,
        "anchors": [[16 + 9 * i, 24, 24, 16 + 9 * i] for i in range(4)],
        "backbone": [
            [-1, 1, "ReOrg", []],
            [-1, 1, "Conv", [64, 3, 1]],
            [-1, 1, "Conv", [64, 3, 2]],  # 2
            [-1, 1, "Conv", [64, 1, 1]],
            [[-1, -2], 1, "Shortcut", [1]],  # 4
            [-1, 1, "DownC", [64]],  # 5
            [-1, 1, "ResCSPC", [64]],  # 6
            [-1, 1, "Ghost", [64]],  # 7
            [4, 1, "ReOrg", []],  # 8, not read by a convolution alone
            [[7, 8], 1, "Concat", [1]],
            [-1, 1, "Stem", [64]],  # 10, stride 32
            [[-1, -1], 1, "Chuncat", [1]],
            [-1, 1, "MP", []],  # 12
        ],
        "head": [
            [4, 1, "Conv", [64, 3, 1]],  # 13
            [6, 1, "BottleneckCSPB", [64]],
            [10, 1, "RepResCSPA", [64]],
            [12, 1, "Conv", [64, 3, 1]],
            [13, 1, "Conv", [64, 3, 1]],  # 17, auxiliary
            [14, 1, "Conv", [64, 3, 1]],
            [15, 1, "Conv", [64, 3, 1]],
            [16, 1, "Conv", [64, 3, 1]],
            [[13, 14, 15, 16, 17, 18, 19, 20], 1, "IAuxDetect", ["nc", "anchors"]],
        ],
    }
    model = v7_model(aux, 5, 64, ["cat", "dog"])
    v7_write("v7-aux", model, 64, {"model": deepcopy(model).half(), "ema": None, "epoch": -1})


# YOLOv6


class Settings(dict):
    """The project's configuration: a dict whose keys are attributes too."""

    def __getattr__(self, key):
        if key not in self:
            raise AttributeError(key)
        return Settings(self[key]) if isinstance(self[key], dict) else self[key]


def v6_last(model):
    """The last convolutions: classes, boxes and, in 0.1.0, objectness; 0.3.0 says which of them have no anchors."""
    names = ("cls_preds", "reg_preds", "obj_preds")
    found = [getattr(model.detect, f"{name}_af", None) or getattr(model.detect, name, None) for name in names]
    return [part for part in found if part is not None]


def v6_write(name, model, size, save=lambda m: {"model": m, "ema": None, "epoch": 3}):
    from yolov6.utils.nms import non_max_suppression

    if hasattr(model.detect, "proj_conv"):
        model.detect.proj_conv.weight.data = torch.arange(model.detect.reg_max + 1.0).view(1, -1, 1, 1)
    x = tensor_of(size).float()
    has_bins = getattr(model.detect, "use_dfl", False)
    for part, deviation, shift in zip(v6_last(model), (1.5, 4.0 if has_bins else 0.5, 1.0), (-1.0, 0.0 if has_bins else 2.0, 1.0)):
        spread(part, watch(model, part, x), deviation, shift)
    if has_bins:
        # Small boxes: the far bins are less likely.
        for m in model.detect.reg_preds:
            m.bias.data -= 0.6 * torch.arange(model.detect.reg_max + 1.0).repeat(4)
    ours = as_saved(model)
    decoded = ours(tensor_of(size))
    decoded = decoded[0] if isinstance(decoded, list) else decoded
    raw = watch(ours, [m for level in zip(*v6_last(ours)) for m in level], tensor_of(size))
    rows = non_max_suppression(decoded.clone(), CONFIDENCE, OVERLAP)[0]
    write(name, save(model.half()), [x[0] for x in raw], {"boxes": boxes_of(rows, size)})


def v6_settings(backbone, neck, head, **more):
    channels = {"out_channels": [128] * 5, "num_repeats": [1, 1, 1, 1, 1]}
    return Settings(
        model={
            **{"depth_multiple": 1.0, "width_multiple": 0.0625},
            "backbone": {**channels, **backbone},
            "neck": {"out_channels": [128] * 6, "num_repeats": [1, 1, 1, 1], **neck},
            "head": {"num_layers": 3, "anchors": 3, "anchors_init": [[10, 13, 19, 19, 33, 23]] * 3, **head},
        },
        **{"training_mode": "repvgg", **more},
    )


def yolov6(checkout):
    from yolov6.models import yolo

    if hasattr(yolo, "build_effidehead_layer"):
        return yolov6_first(checkout)
    plain = {"use_dfl": False, "reg_max": 0}
    bins = {"use_dfl": True, "reg_max": 16}
    # N and S: three anchors beside, which only training uses.
    cfg = v6_settings({"type": "EfficientRep", "fuse_P2": True, "cspsppf": True, "num_repeats": [1, 1, 2, 1, 1]}, {"type": "RepBiFPANNeck"}, plain)
    older = not (Path(checkout) / "yolov6/models/heads/effidehead_lite.py").exists()
    model = seeded(yolo.build_model(cfg, 2, "cpu", fuse_ab=True), 6)
    v6_write("v6-030" if older else "v6", model, 64)
    if older:
        return
    # M and L: stacks of blocks that are merged later, bins, and a network beside for quantization.
    csp = {"csp_e": 0.5}
    cfg = v6_settings(
        {"type": "CSPBepBackbone", "fuse_P2": True, "num_repeats": [1, 1, 4, 1, 1], **csp}, {"type": "CSPRepBiFPANNeck", **csp}, bins, training_mode="qarepvggv2"
    )
    model = seeded(yolo.build_model(cfg, 2, "cpu"), 7)
    v6_write("v6-csp", model, 64, lambda m: {"model": m, "ema": m, "updates": 4, "optimizer": None, "epoch": 5, "results": None})
    # P6, four levels.
    six = {"out_channels": [128] * 6, "num_repeats": [1, 1, 4, 1, 1, 1]}
    cfg = v6_settings(
        {"type": "CSPBepBackbone_P6", "fuse_P2": True, "stage_block_type": "MBLABlock", **csp, **six},
        {"type": "CSPRepBiFPANNeck_P6", "stage_block_type": "MBLABlock", **csp, **six},
        {**plain, "num_layers": 4},
        training_mode="conv_silu",
    )
    model = seeded(yolo.build_model(cfg, 2, "cpu"), 8)
    v6_write("v6-mbla", model, 64)
    from yolov6.models import yolo_lite

    cfg = Settings(
        model={
            "width_multiple": 0.25,
            "backbone": {"type": "Lite_EffiBackbone", "num_repeats": [1, 2, 1, 1], "out_channels": [24, 32, 64, 64, 64], "scale_size": 0.5},
            "neck": {"type": "Lite_EffiNeck", "in_channels": [64, 64, 64], "unified_channels": 16},
            "head": {"in_channels": [16] * 4, "num_layers": 4},
        }
    )
    model = seeded(yolo_lite.build_model(cfg, 2, "cpu"), 9)
    v6_write("v6-lite", model, 64)


def yolov6_first(checkout):
    """0.1.0: objectness and YOLOX's boxes."""
    from yolov6.models import yolo

    head = {"anchors": 1, "begin_indices": 24, "out_indices": [17, 20, 23]}
    cfg = v6_settings({"type": "EfficientRep"}, {"type": "RepPANNeck"}, head)
    model = seeded(yolo.build_model(cfg, 2, "cpu"), 10)
    v6_write("v6-010", model, 64)


def main():
    project, checkout = sys.argv[1], sys.argv[2]
    sys.path.insert(0, checkout)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    {"yolov5": yolov5, "yolov6": yolov6, "yolov7": yolov7}[project](checkout)


if __name__ == "__main__":
    main()
