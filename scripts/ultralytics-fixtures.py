#!/usr/bin/env python3
"""Makes checkpoints of the ultralytics package with random weights, and what PyTorch computes with them. Needs ultralytics 8.4.

    python3 scripts/ultralytics-fixtures.py                    the small ones in test/formats/torch/data/ultralytics
    python3 scripts/ultralytics-fixtures.py FOLDER NAME...     full-size ones, NAME as in yolo11n-seg (a yaml of the package)

NAME.pt is binary16. NAME.f32 holds, in float64 arithmetic rounded to float32, the outputs of the head's last convolutions for `picture()`:
level by level scores, boxes and, where the task has them, mask coefficients, angles or points, with the prototypes behind the first level;
or, of a classifier, the logits. Of models with one2one branches their outputs follow. NAME-fused are as the package's fuse() leaves them. BatchNorm statistics are far from trivial.
"""

import copy
import pickletools
import sys
import zipfile
from pathlib import Path

import torch
from torch import nn
from ultralytics.data.augment import classify_transforms
from ultralytics.nn import tasks
from ultralytics.nn.modules import block, conv, head
from ultralytics.nn.tasks import yaml_model_load

DATA = Path(__file__).resolve().parent.parent / "test/formats/torch/data/ultralytics"
SIZE = 64
CLASSES = {0: "ball", 1: "bat", 2: "glove"}
MODELS = {
    "detect": tasks.DetectionModel,
    "segment": tasks.SegmentationModel,
    "pose": tasks.PoseModel,
    "obb": tasks.OBBModel,
    "classify": tasks.ClassificationModel,
}
# Blocks that the package has for networks of one's own, and none of those below.
EXTRAS = {
    "nc": 80,
    "reg_max": 4,
    "backbone": [
        [-1, 1, "Focus", [16, 3]],
        [-1, 1, "Conv2", [16, 16, 3, 2]],
        [-1, 1, "C1", [16]],
        [-1, 1, "C2", [16]],
        [-1, 1, "C3f", [16, 16, 2]],
        [-1, 1, "C3Ghost", [16]],
        [-1, 1, "GhostConv", [16, 3, 2]],
        [-1, 1, "GhostBottleneck", [16]],
        [-1, 1, "BottleneckCSP", [16]],
        [-1, 1, "C3x", [16]],
        [-1, 1, "SPP", [16]],
        [-1, 1, "C2fPSA", [16]],
        [-1, 1, "C2fCIB", [16, True, True]],
        [-1, 1, "ADown", [16]],
        [-1, 1, "ResNetLayer", [16, 8, 1, False, 2]],
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "ConvTranspose", [16]],
        [-1, 1, "DWConvTranspose2d", [16, 4, 2, 1]],
    ],
    "head": [[[13, 17], 1, "Detect", ["nc"]]],
}


def picture(size, count=1):
    """Values that TypeScript makes too."""
    i = torch.arange(count * 3 * size * size, dtype=torch.float64)
    return (((i * i * 31 + i * 17) % 251) / 250).view(count, 3, size, size)


# Arguments of a module that are channels, beside the first one.
more_channels = {"RepNCSPELAN4": [1, 2], "ELAN1": [1, 2], "SPPELAN": [1]}


def small(name, least=lambda module: 8):
    """The package's network with a 32nd of its channels, or as few as a module takes."""
    yaml = yaml_model_load(f"{name}.yaml")
    yaml.pop("scales", None)
    yaml.pop("scale", None)
    yaml.update(width_multiple=1, depth_multiple=0.33, reg_max=yaml.get("reg_max", 4))
    for _, _, module, args in yaml["backbone"] + yaml["head"]:
        if module == "CBFuse":
            continue
        fewer = lambda c, module=module: [fewer(each) for each in c] if isinstance(c, list) else max(c // 32, least(module))
        for at in [0, *more_channels.get(module, [])]:
            if module in ("Segment", "Segment26"):
                args[1:] = [4, 8]
            if module in ("Pose", "Pose26"):
                yaml["kpt_shape"] = [2, 3] if module == "Pose" else [3, 2]
            if args and (isinstance(args[at], list) or (isinstance(args[at], int) and args[at] > 8)):
                args[at] = fewer(args[at])
    return yaml


def build(yaml, task):
    torch.manual_seed(7)
    tasks.__dict__.update(Conv2=conv.Conv2, C3f=block.C3f)
    model = MODELS[task](yaml, ch=3, nc=len(CLASSES), verbose=False)
    model.names = dict(CLASSES)
    if task == "classify":
        # 1280 in all sizes.
        last = model.model[-1]
        last.conv, last.linear = conv.Conv(last.conv.conv.in_channels, 16), nn.Linear(16, len(CLASSES))
        model.transforms = classify_transforms(96, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    model.args = {"task": task, "imgsz": 96, "model": "small.yaml"}
    return model


def seeded(model, levels):
    """Weights of few different values where `levels` is set, so that they pack well; statistics of a picture, moved a little."""
    g = torch.Generator().manual_seed(11)
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)) and m.weight.requires_grad:
            random = torch.randn(m.weight.shape, generator=g)
            step = (1.0 / m.weight[0].numel()) ** 0.5
            m.weight.data = (random * levels).round().clamp(-levels, levels) / levels * step if levels else random * step
            if m.bias is not None:
                m.bias.data = torch.randn(m.bias.shape, generator=g) * 0.3
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 1.0
            m.weight.data = (torch.rand(m.weight.shape, generator=g) * 8).round() / 8 + 0.5
            m.bias.data = (torch.randn(m.bias.shape, generator=g) * 8).round() / 32
    for m in model.modules():
        if levels and isinstance(m, block.Attention):
            # Small ones would have one head.
            m.num_heads, m.head_dim, m.key_dim = 2, m.head_dim // 2, m.key_dim // 2
            m.scale = m.key_dim**-0.5
        if levels and isinstance(m, block.AAttn):
            m.num_heads, m.head_dim = 2 * m.num_heads, m.head_dim // 2
    model.train()
    with torch.no_grad():
        # Statistics of few cells would be far from those of the next picture in deep networks, layer by layer.
        model(picture(SIZE if levels else 4 * SIZE, 2).float())
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            # Binary16 keeps it above 0; a bound keeps a channel that hardly varies from blowing up small differences.
            m.running_var = (m.running_var * 1.25).clamp(1e-2, 1e4)
            m.running_mean = m.running_mean + torch.randn(m.running_mean.shape, generator=g) * 0.05
            m.momentum = 0.03
        if isinstance(m, block.A2C2f) and m.gamma is not None:
            m.gamma.data = torch.rand(m.gamma.shape, generator=g)
    return model.half().eval()


def last_layers(m, prefix):
    """The modules whose outputs are wanted, in order."""
    part = lambda name: getattr(m, prefix + name, None)
    found = []
    if part("cv2") is None:
        return found
    for i in range(m.nl):
        found += [part("cv3")[i][-1], part("cv2")[i][-1]]
        if part("cv4_kpts") is not None:
            found.append(part("cv4_kpts")[i])
        elif part("cv4") is not None:
            found.append(part("cv4")[i][-1])
        if isinstance(m, head.Segment) and i == 0:
            found.append(m.proto)
    return found


def outputs(model):
    """The bytes of NAME.f32."""
    model = copy.deepcopy(model).double()
    last = model.model[-1]
    if isinstance(last, head.Classify):
        wanted = [last.linear]
    else:
        wanted = [*last_layers(last, ""), *last_layers(last, "one2one_")]
    found = {}
    for m in wanted:
        m.register_forward_hook(lambda m, _, output: found.update({m: output}))
    with torch.no_grad():
        model(picture(SIZE))
    return b"".join(found[m].float().numpy().tobytes() for m in wanted)


def one_storage(model):
    """All parameters and buffers of a type as views of one tensor: far fewer entries in the archive."""
    tensors = [t for t in [*model.parameters(), *model.buffers()]]
    for dtype in {t.dtype for t in tensors}:
        same = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.data.flatten() for t in same])
        at = 0
        for t in same:
            t.data = flat[at : at + t.numel()].view(t.shape)
            at += t.numel()


def rezip(path):
    with zipfile.ZipFile(path) as source:
        entries = [(info.filename, source.read(info)) for info in source.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, contents in entries:
            # A third of it says where to remember what nobody asks for again.
            contents = pickletools.optimize(contents) if name.endswith(".pkl") else contents
            target.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED, 9)


def trained(model):
    """What is left of training before the optimizer is stripped."""
    worse = copy.deepcopy(model)
    for p in worse.parameters():
        p.data += 1
    return {
        "epoch": 2,
        "best_fitness": 0.5,
        "model": worse,
        "ema": model,
        "updates": 7,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01, "params": [0]}]},
        "train_args": {"task": "detect", "imgsz": 160, "data": "balls.yaml"},
        "train_metrics": {"fitness": 0.5},
        "train_results": {"epoch": [1, 2]},
        "date": "2026-01-02T03:04:05",
        "version": "8.4.190",
    }


def fixtures():
    """Name: (yaml, task, what is saved)."""
    bare = lambda model: {"model": model, "date": "2026-01-02T03:04:05", "version": "8.4.190"}
    ema = lambda model: {**bare(None), "ema": model}
    yield "v5n", small("yolov5n"), "detect", trained
    yield "v8n", small("yolov8n"), "detect", bare
    yield "v9t", small("yolov9t"), "detect", ema
    yield "v9t-fused", small("yolov9t"), "detect", bare
    yield "v9e", small("yolov9e"), "detect", bare
    yield "v10n", small("yolov10n"), "detect", bare
    yield "11n", small("yolo11n"), "detect", bare
    yield "12n", small("yolo12n", lambda module: 64 if module == "A2C2f" else 8), "detect", bare
    yield "26n", small("yolo26n"), "detect", bare
    yield "extras", EXTRAS, "detect", bare
    yield "26n-fused", small("yolo26n"), "detect", bare
    for version in ["yolov8", "yolo26"]:
        for end, task in {"seg": "segment", "pose": "pose", "obb": "obb", "cls": "classify"}.items():
            yield f"{version.removeprefix('yolo')}n-{end}", small(f"{version}n-{end}"), task, bare


def save(name, model, checkpoint, folder, is_small):
    (folder / f"{name}.f32").write_bytes(outputs(model))
    if is_small:
        one_storage(model)
    torch.save(checkpoint(model), folder / f"{name}.pt")
    if is_small:
        rezip(folder / f"{name}.pt")


def main():
    torch.set_num_threads(2)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name in sys.argv[2:]:
            task = next((t for end, t in {"-seg": "segment", "-pose": "pose", "-obb": "obb", "-cls": "classify"}.items() if end in name), "detect")
            model = seeded(build(yaml_model_load(f"{name}.yaml"), task), 0)
            save(name, model, lambda model: {"model": model}, folder, False)
        return
    DATA.mkdir(parents=True, exist_ok=True)
    for name, yaml, task, checkpoint in fixtures():
        model = seeded(build(yaml, task), 2)
        if name.endswith("fused"):
            # As predict() does it. In binary16 of few values folding would lose much.
            model.end2end = True
            model = model.float().fuse(verbose=False).half()
        save(name, model, checkpoint, DATA, True)


if __name__ == "__main__":
    main()
