#!/usr/bin/env python3
"""INT8 of ncnnkit beside that of other post-training tools: same network, pictures, decoding and evaluator.

    python3 scripts/quantize-peers.py MODEL CACHE [--size 640] [--only ROW …] [--again ROW …] [--option=--family=yolox …]

Every tool quantizes the network of `ncnnkit export` (raw heads), calibrated on the pictures of DATA/coco/images/train2017 and
measured on those of val2017. Inputs are made once, by ncnnkit. Outputs are decoded and measured here, in numpy and
pycocotools, and once more by ncnnkit (scripts/quantize-peers.ts). Prints a Markdown table. What was made is kept in
CACHE/NAME-SIZE and used again; rows named with --again are made anew, `--again ncnnkit ncnnkit-native` after a change here.

Fidelity: COCO AP50-95 of a row's detections where those of float32 with score >= 0.25 are the truth. Detections are made as
YOLOv5's validation makes them: score > 0.001, several classes a box, IoU 0.6, at most 300 boxes a picture. Score change: mean
of (row - float) / float over float's objects that the row finds too (IoU >= 0.5), small below 32² pixels, large from 96² on.

Needs Node 24 (--node), and onnx, onnxruntime, openvino, nncf, ncnn, numpy, pycocotools, PyYAML of PyPI. A table of the official
ncnn2table and ncnn2int8 is made where --tools names the folder that they are in; PyPI has no such binaries, so by default
ncnnkit's commands of the same names stand in, whose scales are equal for most layers (docs/quantization.md).
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

import numpy as np
from detection_measures import BLOB_FIELDS, average_precision, blobs_of, detect, score_changes

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADS = 2
SIZES = ("small", "medium", "large")


class Job:
    """One network at one size, and its folder in the cache."""

    def __init__(self, options):
        self.options = options
        self.model = pathlib.Path(options.model).resolve()
        size = options.size or "own"
        self.folder = pathlib.Path(options.cache).resolve() / f"{self.model.stem}-{size}"
        self.facts = [*(["--size", options.size] if options.size else []), *options.option]
        coco = pathlib.Path(options.data).resolve() / "coco"
        self.calib, self.eval = coco / "images/train2017", coco / "coco.yaml"
        self.float, self.inputs, self.onnx = (
            self.folder / name for name in ("model", "inputs", "model.onnx")
        )

    def node(self, *arguments):
        return run(self.options.node, *arguments)

    def kit(self, *arguments):
        return self.node("bin/ncnnkit.js", *arguments)

    def prepare(self):
        run("npm", "run", "build")
        if not self.onnx.exists():
            self.kit("convert", self.model, "-o", self.float, "--name", "model", *self.facts)
            self.kit("export", self.float / "model.json", "-o", self.onnx)
        if not (self.inputs / "index.json").exists():
            say("inputs")
            script = "scripts/quantize-peers.ts"
            self.node(script, "inputs", self.float / "model.json", self.inputs, self.calib, self.eval)
        self.index = json.loads((self.inputs / "index.json").read_text())
        if unknown := {head["kind"] for head in self.index["heads"]} - set(BLOB_FIELDS):
            sys.exit(f"{self.model}: heads of kind {', '.join(unknown)} are not decoded by this script")
        if blobs_of(self.index["heads"]) != self.index["blobs"]:
            sys.exit(f"{self.model}: blobs {self.index['blobs']}, expected {blobs_of(self.index['heads'])}")

    def onnx_blobs(self):
        import onnx

        facts = {entry.key: entry.value for entry in onnx.load(self.onnx).metadata_props}
        return self.same_heads(json.loads(facts["heads"]))

    def manifest_blobs(self, manifest):
        return self.same_heads(json.loads(manifest.read_text())["heads"])

    def same_heads(self, heads):
        """The blobs of heads, in the order in which the index has them."""
        kinds = lambda heads: [(head["kind"], head["stride"]) for head in heads]
        if kinds(heads) != kinds(self.index["heads"]):
            raise RuntimeError(f"heads {kinds(heads)}, expected {kinds(self.index['heads'])}")
        return blobs_of(heads)

    def pictures(self, part):
        """Name and input `[1, channels, height, width]` of every picture."""
        for file in sorted((self.inputs / part).glob("*.npy")):
            yield file.stem, np.load(file)[None]

    def write_outputs(self, row, infer):
        """`infer` maps an input to the blobs of the heads, in order."""
        folder = self.folder / row / "outputs"
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in self.pictures("eval"):
            for i, blob in enumerate(infer(values)):
                np.save(folder / f"{name}.{i}.npy", np.ascontiguousarray(blob, "<f4"))


def run(*arguments):
    done = subprocess.run(list(map(str, arguments)), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        command = " ".join(map(str, arguments[:3]))
        raise RuntimeError(f"{command}: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout


def say(message):
    print(message, file=sys.stderr, flush=True)


# Rows: each function makes a model, writes outputs and returns what it has to say. `clock` is called before outputs are made.


def float_onnxruntime(job, folder, clock):
    run_onnx(job, "float", job.onnx)


def run_onnx(job, row, file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    names = job.onnx_blobs()
    job.write_outputs(row, lambda values: [blob[0] for blob in session.run(names, {entry.name: values})])


def onnxruntime_qdq(job, folder, clock):
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    entry = onnx.load(job.onnx).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.items = job.pictures("calib")

        def get_next(self):
            _, values = next(self.items, (None, None))
            return None if values is None else {entry: values}

    prepared, file = folder / "prepared.onnx", folder / "model.onnx"
    quant_pre_process(str(job.onnx), str(prepared))
    quantize_static(
        str(prepared),
        str(file),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    clock()
    run_onnx(job, "onnxruntime", file)


def nncf(preset, fast):
    def make(job, folder, clock):
        import nncf
        import openvino

        inputs = [values for _, values in job.pictures("calib")]
        model = nncf.quantize(
            openvino.convert_model(job.onnx),
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset(preset),
            subset_size=len(inputs),
            fast_bias_correction=fast,
        )
        del inputs
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        clock()
        # Else a processor that can would compute in bfloat16.
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS}
        compiled = openvino.Core().compile_model(model, "CPU", config)
        ports = [compiled.output(name) for name in job.onnx_blobs()]

        def infer(values):
            found = compiled(values)
            return [found[port][0] for port in ports]

        job.write_outputs(folder.name, infer)

    return make


def table(method, letterboxed):
    """The official tool stretches pictures to the input's size; arrays it takes as they are."""

    def make(job, folder, clock):
        tools = job.options.tools
        tool = lambda name: (
            [pathlib.Path(tools) / name] if tools else [job.options.node, "bin/ncnnkit.js", name]
        )
        made, files = folder / "model", sorted((job.inputs / "calib").glob("*.npy"))
        entry = job.index["input"]
        listed = lambda numbers: f"[{','.join(map(str, numbers))}]"
        how = [f"shape={listed([entry['width'], entry['height'], entry['channels']])}", f"method={method}"]
        if letterboxed:
            how += ["type=1"]
        else:
            files = [next(job.calib.glob(f"{file.stem}.*")) for file in files]
            how += [
                f"mean={listed(entry['mean'])}",
                f"norm={listed(entry['norm'])}",
                f"pixel={entry['pixel']}",
            ]
        names = folder / "inputs.txt"
        names.write_text("".join(f"{file}\n" for file in files))
        model = lambda stem: [f"{stem}.param", f"{stem}.bin"]
        floats = model(job.float / "model")
        run(*tool("ncnn2table"), *floats, names, f"{made}.table", *how, f"thread={THREADS}")
        run(*tool("ncnn2int8"), *floats, *model(made), f"{made}.table")
        clock()
        run_ncnn(job, folder.name, made, job.float / "model.json")
        return None if tools else "ncnnkit's `ncnn2table` in the official tool's place"

    return make


def run_ncnn(job, row, model, manifest):
    """`model` in native ncnn, in float32 where it is not int8."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = THREADS
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(f"{model}.param") or net.load_model(f"{model}.bin"):
        raise RuntimeError(f"native ncnn does not load {model}.param/.bin")
    entry = json.loads(manifest.read_text())["input"]["blob"]
    names = job.manifest_blobs(manifest)

    def infer(values):
        extractor = net.create_extractor()
        extractor.input(entry, ncnn.Mat(values[0]))
        found = [extractor.extract(name) for name in names]
        if any(code for code, _ in found):
            raise RuntimeError(f"native ncnn gives no {names}")
        return [np.array(mat) for _, mat in found]

    job.write_outputs(row, infer)


def run_kit(job, row, manifest):
    job.manifest_blobs(manifest)
    job.node("scripts/quantize-peers.ts", "outputs", manifest, job.inputs, job.folder / row / "outputs")


def float_kit(job, folder, clock):
    run_kit(job, folder.name, job.float / "model.json")


def ncnnkit(job, folder, clock):
    out = folder / "deploy"
    pictures = ["--calib", job.calib, "--eval", job.eval, "--threads", THREADS]
    name = ["--name", "model", "-o", out, "--json"]
    printed = job.kit("deploy", job.model, *pictures, *name, *job.facts, *job.options.deploy)
    (folder / "deploy.json").write_text(printed)
    clock()
    run_kit(job, folder.name, out / "int8/model-int8.json")
    return deploy_note(json.loads(printed))


def state():
    """The commit that this working tree is at."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "an unknown commit"


def deploy_note(printed):
    int8 = next(variant for variant in printed["variants"] if variant["name"] == "int8")
    layers, changes = printed["layers"], int8["scoreChange"]
    floats = sum(1 for layer in layers if layer.get("keptFloat"))
    ap = [figure(100 * variant["coco"]["AP"]) for variant in printed["variants"][::2] if "coco" in variant]
    text = changes_text({size: changes[size]["change"] for size in SIZES})
    return (
        f"`deploy` of {state()} prints fidelity {100 * int8['fidelity']:.1f}, AP {' → '.join(ap)}, score change {text}, "
        f"{floats} of {len(layers)} layers in float, {printed['variants'][0]['milliseconds'] / int8['milliseconds']:.2f} times the speed of float32"
    )


def ncnnkit_native(job, folder, clock):
    model = job.folder / "ncnnkit/deploy/int8/model-int8"
    if not model.with_suffix(".json").exists():
        raise RuntimeError("there is no int8 model of the row ncnnkit")
    run_ncnn(job, folder.name, model, model.with_suffix(".json"))


ROWS = {
    "float": ("float32, onnxruntime: the reference", float_onnxruntime),
    "float-kit": ("float32, ncnnkit's engine", float_kit),
    "onnxruntime": (
        "onnxruntime quantize_static (QDQ, per channel, u8 activations, min-max)",
        onnxruntime_qdq,
    ),
    "nncf-performance": ("NNCF / OpenVINO performance, fast bias correction", nncf("performance", True)),
    "nncf-mixed": ("NNCF / OpenVINO mixed, fast bias correction", nncf("mixed", True)),
    "nncf-performance-accurate": (
        "NNCF / OpenVINO performance, accurate bias correction",
        nncf("performance", False),
    ),
    "nncf-mixed-accurate": ("NNCF / OpenVINO mixed, accurate bias correction", nncf("mixed", False)),
    "ncnn2table-kl": ("ncnn2table kl, pictures stretched by it, native ncnn", table("kl", False)),
    "ncnn2table-kl-letterbox": ("ncnn2table kl, letterboxed inputs, native ncnn", table("kl", True)),
    "ncnn2table-aciq": ("ncnn2table aciq, pictures stretched by it, native ncnn", table("aciq", False)),
    "ncnn2table-aciq-letterbox": ("ncnn2table aciq, letterboxed inputs, native ncnn", table("aciq", True)),
    "ncnnkit": ("**ncnnkit deploy**, its engine", ncnnkit),
    "ncnnkit-native": ("**ncnnkit deploy**, native ncnn", ncnnkit_native),
}


def make(job, row):
    """Makes a row unless the cache has it; says why not where that fails."""
    folder = job.folder / row
    done = folder / "row.json"
    if row in job.options.again:
        shutil.rmtree(folder, ignore_errors=True)
    if done.exists():
        return json.loads(done.read_text())
    say(row)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.time()
    seconds = []
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the table alone goes to stdout
            note = ROWS[row][1](job, folder, lambda: seconds.append(time.time() - start))
    except Exception as error:  # a tool that refuses a network is a row of the table
        return {"failed": str(error).strip().splitlines()[-1]}
    facts = {"seconds": seconds[0] if seconds else None, "note": note}
    done.write_text(json.dumps(facts))
    return facts


# The table.


def labelled(job):
    """The objects of val2017 from their YOLO label files, as COCO rows; none where the classes are others."""
    import yaml

    names = list(yaml.safe_load(job.eval.read_text())["names"].values())
    if names != job.index["labels"]:
        return []
    objects = []
    for image, picture in enumerate(job.index["pictures"], 1):
        file = job.eval.parent / "labels/val2017" / f"{picture['name']}.txt"
        width, height = (picture["transform"][side] for side in ("sourceWidth", "sourceHeight"))
        for line in file.read_text().splitlines() if file.exists() else []:
            label, x, y, w, h = map(float, line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            objects.append(dict(image_id=image, category_id=int(label), bbox=box))
    return objects


def measure(job, row, reference, objects):
    """What this script measures of a row, and its detections."""
    found = []
    for image, picture in enumerate(job.index["pictures"], 1):
        file = lambda i: job.folder / row / "outputs" / f"{picture['name']}.{i}.npy"
        outputs = {blob: np.load(file(i)) for i, blob in enumerate(job.index["blobs"])}
        found += detect(image, job.index["heads"], outputs, len(job.index["labels"]), picture["transform"])
    truth = [row for row in (reference or found) if row["score"] >= 0.25]
    boxes = [{field: row[field] for field in ("image_id", "category_id", "bbox")} for row in truth]
    precision = lambda truth: average_precision(
        truth, found, len(job.index["pictures"]), len(job.index["labels"])
    )
    measured = {
        "fidelity": precision(boxes),
        "AP": precision(objects),
        "objects": len(truth),
        "changes": score_changes(truth, found),
    }
    return measured, found


def measure_all(job, rows):
    """Measures by row, this script's and ncnnkit's; kept in the cache."""
    file = lambda row: job.folder / row / "measures.json"
    if job.options.measure:
        for row in rows:
            file(row).unlink(missing_ok=True)
    missing = [row for row in rows if not file(row).exists()]
    if missing:
        say(f"measuring {', '.join(missing)}")
        folder = lambda row: job.folder / row / "outputs"
        script = "scripts/quantize-peers.ts"
        printed = job.node(script, "evaluate", job.inputs, folder("float"), *map(folder, missing))
        theirs = json.loads(printed)
        objects = labelled(job)
        _, reference = measure(job, "float", None, objects)
        for row in missing:
            own, _ = measure(job, row, reference, objects)
            file(row).write_text(json.dumps({"here": own, "ncnnkit": theirs[str(folder(row))]}))
    return {row: json.loads(file(row).read_text()) for row in rows}


def figure(value, digits=1):
    return "–" if value is None else f"{value:.{digits}f}"


def changes_text(fractions):
    """Of small, medium and large objects."""
    values = [fractions[size] for size in SIZES]
    return " / ".join("–" if v is None else f"{100 * v:+.1f}" for v in values).replace("-", "−") + " %"


def print_table(job, made, measures):
    here = lambda row: measures[row]["here"]
    print("| | fidelity | AP | score change small / medium / large | fidelity, AP by ncnnkit | seconds |")
    print("|---|---|---|---|---|---|")
    for row, facts in made.items():
        title = ROWS[row][0]
        if "failed" in facts:
            print(f"| {title} | – | – | {facts['failed']} | – | – |")
            continue
        own, theirs = here(row), measures[row]["ncnnkit"]
        ap = None if theirs["AP"] is None else 100 * theirs["AP"]
        cells = [
            title,
            figure(own["fidelity"]),
            figure(own["AP"]),
            changes_text(own["changes"]),
            f"{figure(100 * theirs['fidelity'])}, {figure(ap)}",
            figure(facts["seconds"], 0),
        ]
        print(f"| {' | '.join(cells)} |")
    print()
    for note in dict.fromkeys(facts["note"] for facts in made.values() if facts.get("note")):
        print(f"- {', '.join(row for row, facts in made.items() if facts.get('note') == note)}: {note}")
    print(f"- {here('float')['objects']} objects of float32 on {len(job.index['pictures'])} pictures")
    print(f"- {versions(job)}; {processor()}, {THREADS} threads")


def versions(job):
    packages = ["onnx", "onnxruntime", "openvino", "nncf", "ncnn", "pycocotools"]
    found = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    return f"Node {run(job.options.node, '--version').strip()}, {', '.join(found)}"


def processor():
    """The processor and what its int8 instructions are."""
    info = pathlib.Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    name = re.search(r"model name\s*: (.*)", text)
    known = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "asimddp", "i8mm")
    has = [flag for flag in known if re.search(rf"\b{flag}\b", text)]
    return f"{name[1] if name else platform.processor() or platform.machine()} ({', '.join(has)})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("cache")
    parser.add_argument("--size", help="input size; default: the model's own")
    parser.add_argument("--data", default=os.environ.get("NCNNKIT_DATA", str(ROOT.parent / "shared")))
    parser.add_argument("--node", default="node")
    parser.add_argument("--tools", help="folder of the official ncnn2table and ncnn2int8")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--again", nargs="+", choices=ROWS, default=[], metavar="ROW")
    parser.add_argument("--measure", action="store_true", help="measure all rows again")
    parser.add_argument(
        "--option", action="append", default=[], help="of convert and deploy, as --option=--family=yolox"
    )
    parser.add_argument(
        "--deploy", action="append", default=[], help="of deploy alone, as --deploy=--budget-time=0%%"
    )
    job = Job(parser.parse_args())
    try:
        job.prepare()
    except RuntimeError as error:
        sys.exit(str(error))
    rows = [row for row in ROWS if row == "float" or row in job.options.only]
    made = {row: make(job, row) for row in rows}
    if "failed" in made["float"]:
        sys.exit(f"float32 in onnxruntime: {made['float']['failed']}")
    print_table(job, made, measure_all(job, [row for row in rows if "failed" not in made[row]]))


main()
