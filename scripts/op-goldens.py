#!/usr/bin/env python3
"""Runs one-layer networks on native ncnn and writes test/ops/data/{cases.json,cases.bin}.

Needs the Python packages ncnn and numpy; run from the repository root. Nothing else needs this script: its results are
committed. fp16 and bf16 are switched off, so that results are those of the definitions in float32. Every case runs with
and without packed channels; where the two differ by more than the tolerance, the case is reported.

Inputs and weights are whole numbers times a power of two, so that they are exact and stored as one byte each.
"""

import json
import os
import sys

import ncnn
import numpy as np

OUT = "test/ops/data"
rng = np.random.default_rng(7)


class Array:
    """Values that the binary file holds as int8 x 2^exponent, or as float32 (exponent None)."""

    def __init__(self, values, exponent=None):
        self.values = np.asarray(values, np.float32)
        self.exponent = exponent

    def encode(self):
        if self.exponent is None:
            return self.values.astype("<f4").tobytes()
        return np.round(self.values / 2.0**self.exponent).astype(np.int8).tobytes()


def grid(shape, spread=1.0, exponent=-5, low=None, high=None):
    """Normal values on a grid; with low/high uniform ones in that range."""
    step = 2.0**exponent
    raw = rng.normal(size=shape) * spread if low is None else rng.uniform(low, high, size=shape)
    return Array(np.clip(np.round(raw / step), -127, 127) * step, exponent)


def positive(count, low=0.25, high=3.5):
    return grid(count, low=low, high=high)


def small(count):
    return grid(count, spread=0.3, exponent=-7)


def exact(values):
    return Array(values)


def raw(array):
    return ("raw", array)


def tagged(array):
    return ("tagged", array)


def int8(count):
    return ("int8", Array(rng.integers(-127, 128, size=count), 0))


def half(array):
    return ("half", array)


def bin_bytes(weights):
    out = b""
    for kind, array in weights:
        v = array.values.ravel()
        if kind == "raw":
            out += v.astype("<f4").tobytes()
        elif kind == "tagged":
            out += b"\0\0\0\0" + v.astype("<f4").tobytes()
        else:
            tag, body = (0x01306B47, v.astype("<f2")) if kind == "half" else (0x000D4B38, v.astype(np.int8))
            body = body.tobytes()
            out += tag.to_bytes(4, "little") + body + b"\0" * (-len(body) % 4)
    return out


def param_text(case):
    n, outs = len(case["inputs"]), case["outputs"]
    lines = [f"Input in{i} 0 1 in{i}" for i in range(n)]
    bottoms = " ".join(f"in{i}" for i in range(n))
    tops = " ".join(f"out{i}" for i in range(outs))
    lines.append(f"{case['type']} layer {n} {outs} {bottoms} {tops} {case['params']}")
    return "\n".join(["7767517", f"{n + 1} {n + outs}", *lines]) + "\n"


def run(case, packing):
    net = ncnn.Net()
    opt = net.opt
    opt.num_threads = 1
    opt.use_vulkan_compute = False
    for name in (
        "use_fp16_storage",
        "use_fp16_arithmetic",
        "use_fp16_packed",
        "use_bf16_storage",
        "use_bf16_packed",
    ):
        setattr(opt, name, False)
    opt.use_packing_layout = packing
    if net.load_param_mem(param_text(case)) != 0:
        raise RuntimeError("load_param failed")
    # load_model_mem keeps no copy: hold the bytes until the end.
    path = "/tmp/op-goldens.bin"
    with open(path, "wb") as file:
        file.write(bin_bytes(case["weights"]))
    if net.load_model(path) != 0:
        raise RuntimeError("load_model failed")
    extractor = net.create_extractor()
    for i, array in enumerate(case["inputs"]):
        values = array.values.astype(np.int32) if case.get("integers") else array.values
        extractor.input(f"in{i}", ncnn.Mat(np.ascontiguousarray(values)).clone())
    results = []
    for i in range(case["outputs"]):
        status, mat = extractor.extract(f"out{i}")
        if status != 0:
            raise RuntimeError(f"extract returned {status}")
        results.append(np.array(mat, np.float32) if mat.dims else np.zeros((0, 6), np.float32))
        del mat  # the network's allocators have to outlive everything taken from them
    del extractor
    return results


cases = []


def case(type, params, inputs, weights=(), outputs=1, tol=1e-6, spread=1.0, **more):
    """A case; tol is relative to the largest output, 0 asks for equality."""
    arrays = [x if isinstance(x, Array) else grid(x, spread) for x in inputs]
    cases.append(
        {
            "type": type,
            "params": params,
            "inputs": arrays,
            "weights": list(weights),
            "outputs": outputs,
            "tol": tol,
            **more,
        }
    )


def arr(id, values):
    return f"-{23300 + id}={len(values)}," + ",".join(str(v) for v in values)


def conv_cases():
    def conv(cin, cout, k, extra, hw, group=1, kw=None, bias=1, tol=1e-5):
        kw = kw or k
        size = cout * cin // group * k * kw
        kind = "Convolution" if group == 1 else "ConvolutionDepthWise"
        g = "" if group == 1 else f" 7={group}"
        weights = [tagged(small(size))] + ([raw(small(cout))] if bias else [])
        case(kind, f"0={cout} 1={kw} 11={k} 5={bias} 6={size}{g} {extra}", [(cin, *hw)], weights, tol=tol)

    conv(3, 5, 3, "", (7, 6))
    conv(4, 8, 3, "4=1 9=1", (9, 11), bias=0)
    conv(3, 16, 3, "3=2 4=1", (12, 9))
    conv(5, 7, 1, "9=2 -23310=1,1.000000e-01", (5, 5))
    conv(16, 24, 1, "", (3, 7))
    conv(2, 3, 3, "2=2 12=1 3=1 13=2", (9, 10))
    conv(3, 4, 5, "4=2 14=1 15=0 16=3 18=5.000000e-01", (8, 7))
    conv(3, 4, 2, "3=2 4=-233", (7, 8))
    conv(3, 4, 3, "3=2 4=-234", (8, 7), kw=2)
    conv(8, 4, 1, "9=3 -23310=2,-2.000000e-01,5.000000e-01 3=2", (5, 6))
    conv(4, 4, 3, "9=4", (5, 5))
    conv(4, 4, 3, "9=5", (5, 5))
    conv(4, 4, 3, "9=6 -23310=2,2.000000e-01,5.000000e-01", (5, 5))
    conv(6, 6, 3, "4=1", (7, 6), group=6)
    conv(8, 8, 3, "3=2 4=1 9=1", (9, 7), group=8)
    conv(16, 16, 5, "4=2", (6, 7), group=16)
    conv(6, 9, 3, "4=1", (6, 5), group=3)
    conv(6, 12, 3, "4=1", (6, 5), group=6)
    # fp16 weights in the file, odd count: padding of the block.
    size = 3 * 3 * 3 * 3
    case("Convolution", f"0=3 1=3 5=1 6={size}", [(3, 5, 5)], [half(small(size)), raw(small(3))])

    # int8 is exact, the rounding of the float results included.
    def conv8(cin, cout, k, extra, hw, term, group=1, weights8=True):
        size = cout * cin // group * k * k
        scales = 1 if term % 100 == 2 and group > 1 else group if group > 1 else cout
        kind = "Convolution" if group == 1 else "ConvolutionDepthWise"
        g = "" if group == 1 else f" 7={group}"
        top = [raw(exact([9.5]))] if term > 100 else []
        weight = int8(size) if weights8 else tagged(small(size))
        w = [weight, raw(small(cout)), raw(exact(rng.uniform(100, 300, scales))), raw(exact([31.7])), *top]
        case(kind, f"0={cout} 1={k} 5=1 6={size}{g} 8={term} {extra}", [(cin, *hw)], w, tol=0)

    conv8(3, 5, 3, "4=1", (7, 6), 2)
    conv8(3, 5, 3, "4=1 9=1", (7, 6), 102)
    conv8(16, 16, 1, "9=1", (5, 6), 102)
    conv8(8, 12, 3, "3=2 4=1", (7, 6), 2)
    conv8(12, 10, 1, "9=2 -23310=1,1.000000e-01", (5, 5), 2, weights8=False)
    # Depthwise with a multiple of 8 channels uses approximate reciprocals on x86: avoided.
    conv8(6, 6, 3, "4=1 9=1", (7, 6), 101, group=6)
    conv8(12, 12, 3, "3=2 4=1", (7, 6), 1, group=12)
    conv8(5, 5, 3, "4=1", (7, 6), 2, group=5)
    conv8(6, 9, 3, "4=1", (6, 5), 1, group=3)


def move_cases():
    case("Noop", "", [(3, 4)], tol=0)
    for axis in (0, 1, 2, -1):
        shapes = [[3, 4, 5], [3, 4, 5], [3, 4, 5]]
        shapes[1][axis], shapes[2][axis] = 2, 9
        case("Concat", f"0={axis}", [tuple(s) for s in shapes], tol=0)
    case("Concat", "", [(8, 3, 3), (16, 3, 3)], tol=0)
    case("Concat", "", [(4,), (3,)], tol=0)
    case("Concat", "0=-1", [(4, 3), (4, 2)], tol=0)
    case("Concat", "0=1", [(2, 3, 2, 2), (2, 4, 2, 2)], tol=0)
    case("Slice", "-23300=2,-233,-233", [(7, 3, 4)], outputs=2, tol=0)
    case("Slice", "-23300=3,2,-233,-233 1=1", [(3, 9, 4)], outputs=3, tol=0)
    case("Slice", "-23300=2,5,-233 1=-1", [(2, 3, 12)], outputs=2, tol=0)
    case("Slice", "-23302=2,2,-3 1=0", [(12, 3, 2)], outputs=3, tol=0)
    case("Slice", "-23300=2,3,5", [(8,)], outputs=2, tol=0)
    case("Slice", "-23300=2,-233,-233 1=1", [(3, 5)], outputs=2, tol=0)
    case("Slice", "-23300=2,8,-233", [(24, 3, 3)], outputs=2, tol=0)
    case("Crop", "2=2 3=3 4=4 5=4", [(8, 5, 6)], tol=0)
    case("Crop", "0=1 1=2 3=-233 4=-233 5=-233", [(4, 5, 6)], tol=0)
    case("Crop", "0=1 3=-233 4=2 5=-233 6=1 7=1 8=1", [(4, 5, 6)], tol=0)
    case("Crop", "-23309=1,3 -23310=1,9 -23311=1,0", [(12, 3, 4)], tol=0)
    case("Crop", "-23309=2,1,-4 -23310=2,-1,-233 -23311=2,1,-1", [(3, 6, 7)], tol=0)
    # Without axes native reads a start for every axis, whatever the count says.
    case("Crop", "-23309=3,0,2,1 -23310=3,2,0,-1", [(3, 6, 7)], tol=0)
    case("Crop", "-23309=1,-233 -23310=1,4 -23311=1,2", [(3, 6, 7)], tol=0)
    case("Crop", "-23309=1,1 -23310=1,100 -23311=1,1", [(3, 6)], tol=0)
    case("Crop", "-23309=1,-3 -23310=1,-1", [(9,)], tol=0)
    case("Crop", "0=1 1=1", [(4, 5, 6), (2, 3, 4)], tol=0)
    case("Crop", "0=1", [(4, 5, 6), (3, 4)], tol=0)
    case("Crop", "-23309=2,1,1 -23310=2,2,3 -23311=2,1,3", [(2, 3, 4, 5)], tol=0)
    case("ShuffleChannel", "0=2", [(6, 3, 4)], tol=0)
    case("ShuffleChannel", "0=2 1=1", [(8, 3, 4)], tol=0)
    case("ShuffleChannel", "0=3 1=1", [(12, 2, 3)], tol=0)
    case("ShuffleChannel", "0=2", [(16, 3, 3)], tol=0)
    case("Flatten", "", [(3, 4, 5)], tol=0)
    case("Flatten", "", [(3, 5)], tol=0)
    case("Flatten", "", [(8, 2, 3, 3)], tol=0)
    case("Reshape", "0=-1", [(3, 4, 5)], tol=0)
    case("Reshape", "0=-1 1=4", [(8, 3, 3)], tol=0)
    case("Reshape", "0=-1 1=5 2=3", [(15, 3, 4)], tol=0)
    case("Reshape", "0=0 1=-1", [(4, 5, 6)], tol=0)
    case("Reshape", "0=3 1=2 11=2 2=-1", [(6, 4)], tol=0)
    case("Reshape", "0=4 1=5 2=0", [(3, 10, 2)], tol=0)
    case("Reshape", "0=4 1=3", [(12,)], tol=0)
    for order in range(2):
        case("Permute", f"0={order}", [(3, 5)], tol=0)
    for order in range(6):
        case("Permute", f"0={order}", [(4, 5, 3)], tol=0)
    for order in range(24):
        case("Permute", f"0={order}", [(2, 3, 4, 5)], tol=0)
    case("Permute", "0=3", [(16, 3, 2)], tol=0)
    case("Permute", "0=0", [(7,)], tol=0)
    case("Squeeze", "1=1", [(3, 1, 5)], tol=0)
    case("Squeeze", "0=1 1=1 2=1", [(1, 1, 5)], tol=0)
    case("Squeeze", "-23303=2,0,-1", [(1, 4, 1)], tol=0)
    case("Squeeze", "11=1", [(2, 1, 3, 4)], tol=0)
    case("ExpandDims", "-23303=1,0", [(3, 4)], tol=0)
    case("ExpandDims", "-23303=1,-1", [(3, 4)], tol=0)
    case("ExpandDims", "-23303=2,0,2", [(5,)], tol=0)
    case("ExpandDims", "-23303=1,1", [(2, 3, 4)], tol=0)
    for mode in (0, 1):
        case("Reorg", f"0=2 1={mode}", [(3, 6, 4)], tol=0)
        case("PixelShuffle", f"0=2 1={mode}", [(12, 3, 4)], tol=0)
    case("Reorg", "0=3", [(2, 6, 9)], tol=0)
    case("PixelShuffle", "0=3", [(9, 2, 3)], tol=0)
    for kind in (0, 1, 2):
        case("Padding", f"0=1 1=2 2=3 3=1 4={kind} 5=1.500000e+00", [(3, 5, 6)], tol=0)
        case("Padding", f"2=1 3=2 4={kind} 5=-1.000000e+00", [(7,)], tol=0)
        case("Padding", f"0=2 1=1 2=1 3=2 4={kind}", [(4, 6)], tol=0)
        case("Padding", f"0=1 1=1 2=1 3=1 4={kind} 7=1 8=2 5=2.500000e-01", [(4, 5, 6)], tol=0)
        case("Padding", f"0=1 1=0 2=2 3=1 4={kind} 7=1 8=2", [(2, 4, 5, 6)], tol=0)
    case("Padding", "0=1 1=1 2=1 3=1 6=3", [(3, 4, 4)], [raw(grid(3))], tol=0)
    case("Padding", "0=0 1=0 2=0 3=0 4=0 5=0.000000e+00 7=0 8=8", [(8, 4, 4)], tol=0)
    case("Padding", "0=1 1=2 2=1 3=2", [(8, 4, 5)], tol=0)
    case("Tile", "0=0 1=3", [(2, 3, 4)], tol=0)
    case("Tile", "0=1 1=2", [(3, 4)], tol=0)
    case("Tile", "-23302=3,2,1,3", [(2, 3, 4)], tol=0)
    case("Tile", "-23302=3,2,1,3", [(4,)], tol=0)
    case("Tile", "-23302=2,2,3", [(2, 3, 4)], tol=0)
    case("Flip", "-23300=1,0", [(3, 4, 5)], tol=0)
    case("Flip", "-23300=2,1,-1", [(3, 4, 5)], tol=0)
    case("Flip", "-23300=1,-1", [(6,)], tol=0)
    case("CopyTo", "0=1 1=2 2=1", [(4, 5, 6), (2, 3, 4)], tol=0)
    case("CopyTo", "-23309=1,-3 -23311=1,-1", [(3, 5), (3, 2)], tol=0)
    for k in (0, 2, -1):
        case("Diag", f"0={k}", [(4,)], tol=0)
        case("Diag", f"0={k}", [(4, 5)], tol=0)


def picture_cases():
    for kind in (0, 1):
        tol = 0 if kind == 0 else 1e-6
        case("Pooling", f"0={kind} 4=1", [(5, 4, 6)], tol=tol)
        case("Pooling", f"0={kind} 4=1", [(16, 3, 3)], tol=tol)
        case("Pooling", f"0={kind} 1=2 2=2", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=2 2=2", [(16, 7, 7)], tol=tol)
        case("Pooling", f"0={kind} 1=3 2=2 3=1 5=1", [(8, 9, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=3 11=2 2=2 12=1 3=1 13=0 5=1", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=3 2=2 3=1 14=0 13=1 15=2", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=3 2=2 5=2", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=4 2=3 5=3", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 7=1 8=3", [(4, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 7=1 8=3 18=2", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 7=1 8=-233 18=2", [(3, 7, 8)], tol=tol)
        case("Pooling", f"0={kind} 1=5 2=1 3=2 5=1", [(8, 6, 6)], tol=tol)
        case("Pooling1D", f"0={kind} 1=3 2=2 3=1 5=1", [(3, 9)], tol=tol)
        case("Pooling1D", f"0={kind} 1=2 2=2", [(4, 9)], tol=tol)
        case("Pooling1D", f"0={kind} 4=1", [(4, 9)], tol=tol)
        case("Pooling1D", f"0={kind} 7=1 8=4", [(4, 9)], tol=tol)
        case("Pooling1D", f"0={kind} 1=3 2=2 5=2", [(4, 8)], tol=tol)
    case("Pooling", "0=1 1=3 2=2 3=1 5=1 6=1", [(4, 8, 9)], tol=1e-6)
    case("Pooling", "0=1 1=3 2=2 3=1 6=1", [(3, 8, 9)], tol=1e-6)
    for kind, tol in ((1, 0), (2, 2e-6), (3, 2e-6)):
        case("Interp", f"0={kind} 1=2.000000e+00 2=2.000000e+00", [(3, 5, 6)], tol=tol)
        case("Interp", f"0={kind} 1=5.000000e-01 2=5.000000e-01", [(8, 9, 8)], tol=tol)
        case("Interp", f"0={kind} 3=7 4=9", [(3, 5, 6)], tol=tol)
        case("Interp", f"0={kind} 3=4 4=3", [(4, 9, 10)], tol=tol)
        case("Interp", f"0={kind} 1=1.500000e+00 2=1.300000e+00", [(2, 6, 7)], tol=tol)
        case("Interp", f"0={kind} 3=5 4=6", [(3, 5, 6)], tol=0)
        case("Interp", f"0={kind} 3=2 4=3", [(5,)], tol=tol)
        case("Interp", f"0={kind} 3=3 4=11", [(3, 7)], tol=tol)
        if kind > 1:
            case("Interp", f"0={kind} 3=9 4=11 6=1", [(3, 5, 6)], tol=tol)
            case("Interp", f"0={kind} 5=1", [(3, 5, 6), (1, 7, 8)], tol=tol)

    def deconv(cin, cout, k, extra, hw, group=1, kw=None):
        kw = kw or k
        size = cout * cin // group * k * kw
        kind = "Deconvolution" if group == 1 else "DeconvolutionDepthWise"
        g = "" if group == 1 else f" 7={group}"
        case(
            kind,
            f"0={cout} 1={kw} 11={k} 5=1 6={size}{g} {extra}",
            [(cin, *hw)],
            [tagged(small(size)), raw(small(cout))],
        )

    deconv(3, 5, 3, "", (4, 5))
    deconv(4, 8, 4, "3=2 4=1", (4, 5))
    deconv(3, 4, 3, "3=2 13=3 4=1 14=0 9=1", (4, 5), kw=2)
    deconv(2, 3, 3, "2=2 3=2 18=1", (4, 5))
    deconv(3, 2, 3, "3=2 20=7 21=8 4=-233", (4, 4))
    deconv(3, 2, 4, "3=2 20=9 21=7 4=-234", (4, 4))
    deconv(4, 4, 4, "3=2 4=1", (5, 4), group=4)
    deconv(8, 8, 1, "3=2 9=2 -23310=1,1.000000e-01", (4, 4), group=8)
    deconv(6, 4, 3, "3=2", (4, 4), group=2)

    def conv1d(cin, cout, k, extra, w, group=1):
        size = cout * cin // group * k
        kind = "Convolution1D" if group == 1 else "ConvolutionDepthWise1D"
        g = "" if group == 1 else f" 7={group}"
        case(
            kind,
            f"0={cout} 1={k} 5=1 6={size}{g} {extra}",
            [(cin, w)],
            [tagged(small(size)), raw(small(cout))],
        )

    conv1d(3, 5, 3, "", 9)
    conv1d(8, 4, 3, "3=2 4=1 9=1", 10)
    conv1d(3, 4, 3, "2=2 4=1 15=2 18=2.500000e-01", 9)
    conv1d(3, 4, 3, "3=2 4=-233", 10)
    conv1d(6, 6, 3, "4=1", 9, group=6)
    conv1d(6, 4, 3, "4=1", 9, group=2)


def element_cases():
    shapes = [(7,), (3, 5), (5, 3, 4), (8, 3, 3), (3, 2, 3, 4)]
    plain = [
        ("ReLU", "", 0),
        ("ReLU", "0=1.250000e-01", 0),
        ("Sigmoid", "", 1e-6),
        ("Swish", "", 1e-6),
        ("TanH", "", 1e-6),
        ("Mish", "", 1e-6),
        ("HardSwish", "", 1e-6),
        ("HardSwish", "0=1.666667e-01", 1e-6),
        ("HardSigmoid", "", 1e-6),
        ("HardSigmoid", "0=1.666667e-01 1=4.000000e-01", 1e-6),
        ("Clip", "0=-5.000000e-01 1=1.000000e+00", 0),
        ("Clip", "0=0.000000e+00", 0),
        ("ELU", "", 1e-6),
        ("ELU", "0=1.000000e+00", 1e-6),
        ("SELU", "", 1e-6),
        ("GELU", "", 2e-6),
        ("GELU", "0=1", 2e-6),
        ("Softplus", "", 1e-6),
        ("CELU", "", 1e-6),
        ("CELU", "0=5.000000e-01", 1e-6),
        ("Erf", "", 1e-6),
        ("Shrink", "", 0),
        ("Shrink", "0=2.500000e-01 1=1.000000e+00", 0),
        ("AbsVal", "", 0),
        ("Exp", "", 1e-6),
        ("Exp", "0=2.000000e+00 1=5.000000e-01 2=1.000000e-01", 1e-6),
        ("BNLL", "", 1e-6),
        ("Threshold", "0=2.500000e-01", 0),
        ("Dropout", "", 0),
        ("Dropout", "0=5.000000e-01", 0),
        ("Power", "0=2.000000e+00 1=5.000000e-01 2=1.000000e+00", 1e-6),
    ]
    for i, (kind, params, tol) in enumerate(plain):
        for shape in (shapes[i % 5], (4, 3, 3) if i % 2 else (3, 5, 7)):
            case(kind, params, [shape], tol=tol, spread=1.6)
    for params in ("", "0=2.000000e+00", "0=1.000000e+01 1=2.000000e+00 2=1.000000e-01"):
        case("Log", params, [positive((3, 4, 5))], tol=1e-6)
    positives, unit = {5, 6, 8, 15, 17, 27}, {12, 13, 26}
    for op in range(28):
        shape = shapes[op % 5]
        if op in positives:
            x = positive(shape)
        elif op == 25:
            x = grid(shape, low=1.1, high=3.5)
        elif op in unit:
            x = grid(shape, low=-0.9, high=0.9)
        elif op == 11:
            x = grid(shape, low=-1.2, high=1.2)
        else:
            x = grid(shape, spread=1.2)
        case("UnaryOp", f"0={op}", [x], tol=2e-6)
    case("UnaryOp", "0=18", [Array(np.arange(-8, 9) / 2, -1)], tol=0)

    pairs = [
        ((5, 3, 4), (5, 3, 4)),
        ((5,), (5, 3, 4)),
        ((3, 4), (3, 4, 5)),
        ((4,), (3, 4)),
        ((4, 3, 3), (4,)),
    ]
    for op in range(19):
        a, b = pairs[op % 5]
        if op in (6, 9):
            x, y = positive(a), grid(b, spread=0.8)
            if op == 9:
                x, y = grid(a, spread=0.8), positive(b)
        else:
            # Quotients that are close to whole numbers or halves round differently in the last place; odd steps avoid them.
            x, y = grid(a, spread=1.5), positive(b) if op in (3, 12, 15, 17) else grid(b, spread=1.5)
            if op in (8, 13, 16, 18):
                x, y = positive(a), grid(b, spread=1.5)
        case("BinaryOp", f"0={op}", [x, y], tol=0 if op in (0, 1, 2, 4, 5, 7) else 3e-6)
    for op in (0, 1, 2, 3, 4, 5, 7):
        case("BinaryOp", f"0={op} 1=1 2=1.250000e+00", [(3, 4, 5)], tol=1e-6)
    case("BinaryOp", "0=6 1=1 2=2.000000e+00", [positive((8, 2, 3))], tol=1e-6)
    case("BinaryOp", "0=8 1=1 2=1.000000e+00", [positive((4, 2, 3))], tol=1e-6)
    case("BinaryOp", "0=9 1=1 2=2.000000e+00", [(4, 2, 3)], tol=1e-6)
    for a, b in [
        ((1,), (3, 4, 5)),
        ((3, 4, 5), (1,)),
        ((8, 3, 3), (8,)),
        ((5,), (3, 4, 5)),
        ((4, 5), (4,)),
        ((5,), (4, 5)),
        ((3, 4), (3, 4, 5)),
        ((3, 1, 5), (1, 4, 1)),
        ((8, 1, 1), (8, 3, 3)),
        ((1, 3, 3), (8, 3, 3)),
        ((2,), (2, 3, 4, 5)),
        ((5,), (2, 3, 4, 5)),
        ((2, 3), (2, 3, 4, 5)),
        ((2, 3, 4), (2, 3, 4, 5)),
        ((2, 1, 4, 1), (1, 3, 1, 5)),
        ((3, 1), (1, 4)),
        ((4, 4), (4,)),
        ((16, 2, 2), (16, 1, 1)),
        ((1, 1, 1), (3, 4, 5)),
        ((7,), (7,)),
        ((1,), (6,)),
        ((1, 1), (3, 4, 5)),
        ((4, 2, 5), (4, 1, 1)),
    ]:
        case("BinaryOp", "0=1", [a, b], tol=0)
    case("Eltwise", "0=0", [(3, 4, 5), (3, 4, 5)], tol=0)
    case("Eltwise", "0=1", [(8, 3, 3), (8, 3, 3), (8, 3, 3)], tol=1e-6)
    case("Eltwise", "0=1 -23301=3,5.000000e-01,-1.000000e+00,2.000000e+00", [(3, 4, 5)] * 3, tol=1e-6)
    case("Eltwise", "0=2", [(3, 5), (3, 5), (3, 5)], tol=0)
    for shape in ((7,), (4, 3), (5, 3, 4), (8, 3, 3), (3, 2, 2, 3)):
        c = shape[0]
        if len(shape) > 2:
            # Below rank 3 native Bias adds the first value to everything.
            case("Bias", f"0={c}", [shape], [raw(grid(c))], tol=0)
        case(
            "BatchNorm",
            f"0={c} 1=1.000000e-03",
            [shape],
            [raw(positive(c)), raw(grid(c)), raw(positive(c)), raw(grid(c))],
        )
        if len(shape) < 4:
            case("PReLU", f"0={c}", [shape], [raw(small(c))], tol=0)
            case("PReLU", "0=1", [shape], [raw(small(1))], tol=0)
            case("Scale", f"0={c}", [shape], [raw(grid(c))], tol=0)
            case("Scale", f"0={c} 1=1", [shape], [raw(grid(c)), raw(grid(c))], tol=1e-6)
    case("Scale", "0=-233", [(5, 3, 4), (5,)], tol=0)
    case("Scale", "0=-233", [(4, 3), (4,)], tol=0)
    case("MemoryData", "0=3 1=4", [], [raw(grid(12))], tol=0)
    case("MemoryData", "0=3 1=4 2=2", [], [raw(grid(24))], tol=0)
    case("MemoryData", "0=5", [], [raw(grid(5))], tol=0)
    case("MemoryData", "0=2 1=3 11=2 2=2", [], [raw(grid(24))], tol=0)
    case("MemoryData", "0=3 1=3 21=0", [], [half(grid(9))], tol=0)
    # All scales positive and no value on a tie, so that both rounding instructions agree.
    case("Quantize", "0=1", [(5, 3, 4)], [raw(exact([37.3]))], tol=0)
    case("Quantize", "0=8", [(8, 3, 3)], [raw(exact(rng.uniform(5, 90, 8)))], tol=0)
    case("Quantize", "0=3", [(3, 4)], [raw(exact(rng.uniform(5, 90, 3)))], tol=0)
    case("Cast", "0=1 1=2", [exact(rng.normal(size=(3, 4)))], tol=1e-3)
    for axis, shape in (
        (0, (5, 3, 4)),
        (1, (5, 3, 4)),
        (2, (5, 3, 4)),
        (0, (8, 3, 4)),
        (2, (8, 4, 7)),
        (-1, (4, 9)),
        (0, (9, 4)),
        (1, (2, 3, 4, 5)),
        (3, (2, 3, 4, 5)),
    ):
        case("Softmax", f"0={axis} 1=1", [shape], tol=1e-6, spread=1.5)
    case("Softmax", "", [(11,)], tol=1e-6)
    for axis, shape in ((0, (5, 3, 4)), (1, (5, 3, 4)), (-1, (5, 3, 4)), (0, (6,)), (1, (3, 5))):
        case("CumulativeSum", f"0={axis}", [shape], tol=1e-6)
    for axis, shape in ((0, (4, 3, 5)), (1, (3, 4, 5)), (-1, (3, 2, 6)), (0, (6,)), (1, (3, 4))):
        case("GLU", f"0={axis}", [shape], tol=1e-6)


def norm_cases():
    for op in range(11):
        x = lambda s: positive(s) if op in (6, 9) else grid(s)
        case("Reduction", f"0={op} 1=0 -23303=2,1,2 4=1 5=1", [x((5, 3, 4))], tol=3e-6)
        case("Reduction", f"0={op} 1=0 -23303=1,-1 5=1 2=5.000000e-01", [x((8, 3, 4))], tol=3e-6)
        case("Reduction", f"0={op}", [x((3, 2, 4))], tol=3e-6)
    for axes, shape, keep in (
        ([0], (5, 3, 4), 0),
        ([1], (5, 3, 4), 1),
        ([0, 2], (5, 3, 4), 0),
        ([0, 1, 2], (4, 3, 4), 0),
        ([0], (3, 5), 0),
        ([1], (3, 5), 1),
        ([0], (6,), 0),
        ([1, 2, 3], (2, 3, 4, 5), 0),
        ([1, 3], (2, 3, 4, 5), 1),
        ([-2, -1], (8, 3, 3), 0),
    ):
        case("Reduction", f"0=3 1=0 {arr(3, axes)} 4={keep} 5=1", [shape], tol=2e-6)
    case("Reduction", "0=0 1=1 4=1", [(3, 4, 5)], tol=2e-6)
    for region, size, shape in ((0, 5, (7, 3, 4)), (0, 3, (8, 3, 3)), (1, 3, (3, 5, 6)), (1, 5, (4, 6, 5))):
        case("LRN", f"0={region} 1={size} 2=5.000000e-01 3=7.500000e-01 4=1.500000e+00", [shape])
    case("LRN", "2=1.000000e-04", [(8, 4, 4)])
    for mode in (0, 1, 2):
        case("Normalize", f"0=0 1=0 2=1.000000e-02 3=5 9={mode}", [(5, 3, 4)], [raw(positive(5))])
    case("Normalize", "0=0 1=1 2=1.000000e-10 3=1", [(8, 3, 4)], [raw(positive(1))])
    case("Normalize", "0=1 1=0 2=1.000000e-04 3=5", [(5, 3, 4)], [raw(positive(5))])
    case("Normalize", "0=1 4=0 1=0 2=1.000000e-04 3=5", [(5, 3, 4)], [raw(positive(5))])
    for size, shape in (
        (7, (7,)),
        (6, (4, 6)),
        (5, (3, 4, 5)),
        (20, (3, 4, 5)),
        (16, (8, 4, 4)),
        (12, (5, 12)),
        (8, (3, 8)),
    ):
        w = lambda: raw(positive(size))
        case("LayerNorm", f"0={size} 1=1.000000e-05", [shape], [w(), raw(grid(size))])
        case("RMSNorm", f"0={size} 1=1.000000e-05", [shape], [w()])
    case("LayerNorm", "0=0 2=0", [(3, 4, 5)])
    case("LayerNorm", "0=5 2=0", [(3, 5)])
    for group, shape in ((2, (4, 3, 5)), (1, (5, 3, 4)), (4, (8, 3, 3)), (2, (6, 5)), (2, (8,))):
        c = shape[0]
        case("GroupNorm", f"0={group} 1={c} 2=1.000000e-05", [shape], [raw(positive(c)), raw(grid(c))])
    case("GroupNorm", "0=2 1=4 3=0", [(4, 3, 5)])
    case("InstanceNorm", "0=5 1=1.000000e-05", [(5, 3, 4)], [raw(positive(5)), raw(grid(5))])
    case("InstanceNorm", "0=8", [(8, 3, 4)], [raw(positive(8)), raw(grid(8))])
    case("InstanceNorm", "0=0 2=0", [(4, 3, 4)])


def matrix_cases():
    def fc(out, shape, size, extra="", bias=1):
        w = [tagged(small(out * size))] + ([raw(small(out))] if bias else [])
        case("InnerProduct", f"0={out} 1={bias} 2={out * size} {extra}", [shape], w)

    fc(5, (12,), 12)
    fc(8, (3, 2, 4), 24, bias=0)
    fc(16, (8, 2, 2), 32, "9=1")
    fc(3, (7,), 7, "9=6 -23310=2,2.000000e-01,5.000000e-01")
    fc(5, (4, 6), 6)
    fc(8, (16, 8), 8, "9=1")
    fc(5, (4, 6), 24)
    fc(6, (1, 9), 9)
    case("InnerProduct", "0=3 1=1 2=15", [(5,)], [half(small(15)), raw(small(3))])

    def fc8(out, shape, size, extra="", packed=True, batch=1):
        scales = exact(rng.uniform(100, 300, out))
        weight = int8(out * size) if packed else tagged(small(out * size))
        case(
            "InnerProduct",
            f"0={out} 1=1 2={out * size} 8=2 {extra}",
            [shape],
            [weight, raw(small(out)), raw(scales), raw(exact([29.3]))],
            tol=0,
        )

    fc8(5, (12,), 12)
    fc8(8, (8, 2, 2), 32, "9=1")
    fc8(6, (4, 3), 12, packed=False)
    fc8(8, (5, 7), 7)

    def gemm(extra, shapes, w=()):
        case("Gemm", extra, shapes, w)

    gemm("", [(4, 6), (6, 5)])
    gemm("2=1 3=1", [(6, 4), (5, 6)])
    gemm("3=1 0=5.000000e-01 1=2.000000e+00", [(4, 6), (5, 6), (4, 5)])
    for c in ((1,), (5,), (4,), (4, 1), (1, 5)):
        gemm("0=5.000000e-01 1=2.000000e+00", [(4, 6), (6, 5), c])
    gemm("3=1 5=1 6=1 8=7 9=6 10=4", [(4, 6)], [tagged(small(42)), tagged(small(7))])
    gemm("5=1 6=1 8=7 9=6 10=-1", [(8, 6)], [tagged(small(42))])
    gemm("4=1 6=1 7=5 9=6 10=1 14=1", [(6, 4)], [tagged(small(30)), tagged(small(5))])
    gemm("4=1 5=1 6=1 7=3 8=4 9=5 10=3", [], [tagged(small(15)), tagged(small(20)), tagged(small(12))])
    gemm("2=1 4=1 7=5 9=6 10=0 6=1", [(6, 4)], [tagged(small(30)), tagged(small(1))])
    gemm("11=1", [(4, 6), (6, 5)])
    gemm("3=1 5=1 6=1 8=16 9=8 10=4", [(9, 8)], [tagged(small(128)), tagged(small(16))])
    # Dynamic int8 Gemm: scales of the runtime side come from its values.
    case(
        "Gemm",
        "3=1 5=1 6=1 8=7 9=6 10=4 18=2",
        [(4, 6)],
        [int8(42), tagged(small(7)), raw(exact([170.3]))],
        tol=2e-6,
    )
    case(
        "Gemm",
        "2=0 4=1 7=5 9=6 10=-1 18=2",
        [(6, 4)],
        [int8(30), raw(exact(rng.uniform(90, 200, 5)))],
        tol=2e-6,
    )
    case("Gemm", "3=1 18=2", [(4, 8), (5, 8)], tol=2e-6)
    case("MatMul", "", [(4, 6), (6, 5)])
    case("MatMul", "0=1", [(4, 6), (5, 6)])
    case("MatMul", "", [(3, 4, 6), (3, 6, 5)])
    case("MatMul", "0=1", [(8, 4, 6), (1, 5, 6)])
    case("MatMul", "", [(2, 3, 4, 6), (2, 3, 6, 5)])
    case("MatMul", "", [(2, 1, 4, 6), (1, 3, 6, 5)])
    case("MatMul", "", [(3, 4, 6), (6, 5)])
    case("MatMul", "", [(6,), (6, 5)])
    case("MatMul", "", [(4, 6), (6,)])
    case("MatMul", "", [(6,), (6,)])
    case("MatMul", "", [(6,), (3, 6, 5)])
    case("MatMul", "", [(3, 4, 6), (6,)])

    def mha(embed, heads, seqs, qdim=None, kdim=None, vdim=None, extra="", mask=None):
        qdim, kdim, vdim = qdim or embed, kdim or embed, vdim or embed
        w = []
        for n_in in (qdim, kdim, vdim):
            w += [tagged(small(embed * n_in)), raw(small(embed))]
        w += [tagged(small(embed * qdim)), raw(small(qdim))]
        shapes = [(s, d) for s, d in zip(seqs, (qdim, kdim, vdim))] + ([mask] if mask else [])
        case(
            "MultiHeadAttention", f"0={embed} 1={heads} 2={embed * qdim} 3={kdim} 4={vdim} {extra}", shapes, w
        )

    mha(8, 2, (5,))
    mha(8, 4, (5, 7))
    mha(12, 3, (4, 6, 6), kdim=5, vdim=7)
    mha(16, 2, (3, 5, 5), qdim=10, extra="6=3.000000e-01")
    mha(8, 2, (5, 7, 7), extra="5=1", mask=(5, 7))
    mha(8, 2, (4, 6, 6), extra="5=1", mask=(2, 4, 6))
    index = Array([0, 3, 5, 2, 5, 9], 0)
    case("Embed", "0=4 1=6 3=24", [index], [tagged(small(24))], tol=0, integers=True)
    case("Embed", "0=5 1=6 2=1 3=30", [index], [tagged(small(30)), raw(grid(5))], tol=1e-6, integers=True)
    case("Embed", "0=4 1=6 3=24 18=2", [index], [int8(24), raw(exact([173.1]))], tol=1e-6, integers=True)


def detection_cases():
    image = Array(np.zeros((1, 30, 40)), 0)
    prior = "-23300=1,1.300000e+01 -23301=1,1.900000e+01 -23302=2,2.000000e+00,3.000000e+00"
    cell = Array(np.zeros((1, 2, 3)), 0)
    for extra in (
        "9=-233 10=-233 13=5.000000e-01",
        "9=64 10=48 11=1.600000e+01 12=2.000000e+01 13=5.000000e-01 8=1",
        "9=-233 10=-233 7=0 13=5.000000e-01 14=1 15=1",
    ):
        case("PriorBox", f"{prior} {extra}", [cell, image], tol=1e-6)
    case(
        "PriorBox",
        "-23300=2,6.000000e+00,9.000000e+00 -23302=1,2.000000e+00 9=-233 10=-233 13=5.000000e-01 3=1.000000e-01",
        [cell, image],
        tol=1e-6,
    )
    case(
        "PriorBox",
        "-23300=2,2.000000e-01,3.000000e-01 -23302=3,1.000000e+00,2.000000e+00,5.000000e-01 9=-233 10=-233 7=0 13=5.000000e-01",
        [cell],
        tol=1e-6,
    )
    for num_class, priors, params in (
        (3, 12, "1=4.500000e-01 2=100 4=3.000000e-01"),
        (4, 20, "1=3.000000e-01 2=4 3=5 4=2.500000e-01"),
        (3, 6, "4=9.900000e-01"),
    ):
        corner = rng.uniform(0, 0.6, (priors, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (priors, 2))], 1)
        variances = np.tile([0.1, 0.1, 0.2, 0.2], priors)
        e = np.exp(rng.normal(size=(priors, num_class)) * 1.5)
        # Scores add up to 1: native does not decode a prior that the background wins, but would still report it.
        score = e / e.sum(1, keepdims=True)
        case(
            "DetectionOutput",
            f"0={num_class} {params}",
            [grid((priors * 4,)), exact(score), exact(np.stack([boxes.ravel(), variances]))],
            tol=2e-6,
        )
    biases = "-23304=4,1.080000e+00,1.190000e+00,3.420000e+00,4.410000e+00"
    case(
        "YoloDetectionOutput",
        f"0=3 1=2 2=3.000000e-01 3=4.500000e-01 {biases}",
        [exact(rng.normal(size=(16, 5, 4)))],
        tol=2e-6,
    )
    case(
        "YoloDetectionOutput",
        f"0=1 1=2 2=4.000000e-01 3=2.000000e-01 {biases}",
        [exact(rng.normal(size=(12, 4, 4)))],
        tol=2e-6,
    )
    v3 = "-23304=8,1.000000e+01,1.400000e+01,2.300000e+01,2.700000e+01,3.700000e+01,5.800000e+01,8.100000e+01,8.200000e+01"
    mask = "-23305=4,1073741824,1077936128,0,1065353216"
    case(
        "Yolov3DetectionOutput",
        f"0=3 1=2 2=5.000000e-01 3=4.500000e-01 {v3} {mask} -23306=2,3.200000e+01,1.600000e+01",
        [exact(rng.normal(size=(16, 3, 4))), exact(rng.normal(size=(16, 6, 8)))],
        tol=2e-6,
    )
    case(
        "Yolov3DetectionOutput",
        f"0=3 1=2 2=9.900000e-01 3=4.500000e-01 {v3} {mask} -23306=2,3.200000e+01,1.600000e+01",
        [(16, 3, 4), Array(np.zeros((16, 6, 8)), 0)],
        tol=2e-6,
    )


def main():
    for make in (
        conv_cases,
        move_cases,
        picture_cases,
        element_cases,
        norm_cases,
        matrix_cases,
        detection_cases,
    ):
        make()
    index, blob, failed = [], b"", 0
    for c in cases:
        title = f"{c['type']} {c['params']} {[a.values.shape for a in c['inputs']]}"
        try:
            packed, plain = run(c, True), run(c, False)
        except RuntimeError as error:
            print(f"FAILED {title}: {error}")
            failed += 1
            continue
        for a, b in zip(packed, plain):
            if a.shape != b.shape:
                print(f"SHAPE {title}: packed {a.shape}, plain {b.shape}")
            elif a.size and np.abs(a - b).max() > c["tol"] * max(1, np.abs(b).max()):
                print(f"PACKING {title}: differs by {np.abs(a - b).max():.3g}")
        results = packed if c.get("packing", True) else plain
        outputs = [exact(r) for r in results]
        for array in [*c["inputs"], *(w for _, w in c["weights"]), *outputs]:
            blob += array.encode()
        entry = {
            "type": c["type"],
            "params": c["params"].strip(),
            "tolerance": c["tol"],
            "inputs": [{"shape": list(a.values.shape), "exponent": a.exponent} for a in c["inputs"]],
            "weights": [
                {"kind": k, "count": int(a.values.size), "exponent": a.exponent} for k, a in c["weights"]
            ],
            "outputs": [{"shape": list(r.shape)} for r in results],
        }
        index.append(entry)
    os.makedirs(OUT, exist_ok=True)
    with open(f"{OUT}/cases.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(e, separators=(",", ":")) for e in index) + "\n]\n")
    with open(f"{OUT}/cases.bin", "wb") as file:
        file.write(blob)
    print(f"{len(index)} cases, {failed} failed, {len(blob)} bytes")


if __name__ == "__main__":
    sys.exit(main())
