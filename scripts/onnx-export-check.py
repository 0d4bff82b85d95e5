#!/usr/bin/env python3
"""Checks ONNX files that ncnnkit wrote: onnx.checker with full shape inference, and outputs in onnxruntime.

    ncnnkit export yolov5ss.pt -o a.onnx && ncnnkit convert yolov5ss.pt --no-optimize -o plain/
    python3 scripts/onnx-export-check.py a.onnx plain/yolov5ss.param [size …]

    ncnnkit simplify model.onnx s.onnx
    python3 scripts/onnx-export-check.py s.onnx model.onnx [size …]

The second file is what outputs are compared with: an ncnn model, run by native ncnn, or another ONNX file. Sizes (as 320 or
416x320, width first) are for models that leave theirs open; the input is the same seeded noise. Errors are relative to the
greatest element; above 1e-4 the exit status is 1. Needs numpy, onnx, onnxruntime, and ncnn for a .param.
"""

import sys

import numpy as np
import onnx
import onnxruntime

LIMIT = 1e-4


def input_shape(model, size):
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    width, height = size or (320, 320)
    fallback = [1, 3, height, width]
    return [d if d > 0 else fallback[i] for i, d in enumerate(dims)]


def run_onnx(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x})))


def run_ncnn(path, x, outputs):
    import ncnn

    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.num_threads = 1
    if net.load_param(path) or net.load_model(path[: -len("param")] + "bin"):
        raise RuntimeError(f"{path} does not load")
    found = {}
    with net.create_extractor() as extractor:
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(x[0])).clone())
        for name in outputs:
            status, mat = extractor.extract(name)
            if status:
                raise RuntimeError(f"{path} has no output {name}")
            found[name] = np.array(mat)[None]
    return found


def main(checked, reference, *sizes):
    model = onnx.load(checked)
    onnx.checker.check_model(model, full_check=True)
    worst = 0.0
    for size in [tuple(map(int, (s + "x" + s).split("x")[:2])) if s else None for s in sizes or [""]]:
        shape = input_shape(model, size)
        x = np.random.default_rng(1).random(shape, np.float32)
        ours = run_onnx(checked, x)
        theirs = run_ncnn(reference, x, ours) if reference.endswith(".param") else run_onnx(reference, x)
        for name, value in ours.items():
            if value.size != theirs[name].size:
                raise RuntimeError(f"{name}: {value.shape} against {theirs[name].shape}")
            error = np.abs(value.ravel() - theirs[name].ravel()).max() / max(np.abs(theirs[name]).max(), 1e-9)
            worst = max(worst, float(error))
    print(
        f"{checked}: valid, {len(model.graph.node)} nodes, {len(ours)} outputs, worst error {worst:.1e} against {reference}"
    )
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
