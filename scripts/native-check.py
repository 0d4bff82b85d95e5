"""Models that ncnnkit writes, loaded and run by native ncnn, against ncnnkit's own outputs.

    npm run build
    python3 scripts/native-check.py [--data ../shared] [--size 320]

Converts every checkpoint of DATA/models, as float32 and as float16 storage, runs each model on a picture in native ncnn
(the `ncnn` package of PyPI, float32 arithmetic, one thread) and on ncnnkit's backends, and prints the largest difference of
every output blob. Exits with 1 if one is above 1e-3 or a blob has another shape. Needs `pip install ncnn numpy`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import ncnn
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = 1e-3


def node(*arguments):
    subprocess.run(["node", *map(str, arguments)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def native(model, values, blob, outputs):
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, "use_" + option, False)
    if net.load_param(str(model) + ".param") or net.load_model(str(model) + ".bin"):
        sys.exit(f"native ncnn does not load {model}.param/.bin")
    extractor = net.create_extractor()
    extractor.input(blob, ncnn.Mat(values))
    results = {}
    for name in outputs:
        code, mat = extractor.extract(name)
        if code:
            sys.exit(f"native ncnn gives no blob {name} (code {code})")
        results[name] = np.array(mat)
    return results


def read(folder, name, shape):
    return np.fromfile(folder / f"{name}.f32", "<f4").reshape(shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(ROOT.parent / "shared"))
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    data = pathlib.Path(options.data)
    picture = sorted((data / "coco/images/val2017").glob("*.jpg"))[0]
    print(f"ncnn {ncnn.__version__}, picture {picture.name}, {options.size}x{options.size}")
    print(
        f"{'model':<24}{'backend':<11}{'blob':<10}{'shape':<16}{'largest |value|':>16}{'max abs error':>15}"
    )
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for checkpoint in sorted((data / "models").glob("*.pt")):
            for kind, flags in (("fp32", []), ("fp16", ["--fp16"]), ("raw", ["--no-optimize"])):
                name = f"{checkpoint.stem}-{kind}"
                node("bin/ncnnkit.js", "convert", checkpoint, "-o", work, "--name", name, *flags)
                for backend in ("reference", "wasm"):
                    dump = work / f"{name}-{backend}"
                    node(
                        "scripts/dump-outputs.ts",
                        work / f"{name}.json",
                        picture,
                        dump,
                        "--size",
                        options.size,
                        "--backend",
                        backend,
                    )
                    index = json.loads((dump / "index.json").read_text())
                    values = read(dump, index["input"]["blob"], index["input"]["shape"])
                    found = native(work / name, values, index["input"]["blob"], index["outputs"])
                    for blob, shape in index["outputs"].items():
                        if list(found[blob].shape) != shape:
                            sys.exit(f"{name} {blob}: shape {found[blob].shape} in native ncnn, {shape} here")
                        error = float(np.abs(found[blob] - read(dump, blob, shape)).max())
                        worst = max(worst, error)
                        largest = float(np.abs(found[blob]).max())
                        print(
                            f"{name:<24}{backend:<11}{blob:<10}{str(shape):<16}{largest:>16.2f}{error:>15.2e}"
                        )
    print(f"worst {worst:.2e}, allowed {TOLERANCE:.0e}")
    sys.exit(worst > TOLERANCE)


main()
