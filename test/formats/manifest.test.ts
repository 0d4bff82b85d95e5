import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import { parseDatasetYaml } from "../../src/evaluate/dataset-yaml.ts";
import {
  checkManifest,
  type Manifest,
  manifestHeader,
  parseManifest,
  printManifest,
} from "../../src/formats/manifest.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { Graph, verify } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";
import { dataText, testData } from "../data.ts";

const sample = (): Manifest => ({
  version: 1,
  name: "tiny",
  param: "tiny.param",
  bin: "tiny.bin",
  input: {
    blob: "images",
    width: 64,
    height: 32,
    stride: 16,
    channels: 3,
    pixel: "RGB",
    mean: [0, 0, 0],
    norm: [1 / 255, 1 / 255, 1 / 255],
    resize: "letterbox",
    letterboxColor: 114,
  },
  heads: [{ kind: "yolov5", blob: "output", stride: 16, anchors: [10, 13, 16, 30, 33, 23] }],
  labels: ["person", 'a "quoted", one', "ünï"],
  provenance: {
    tool: "ncnnkit 0.1.0",
    source: "tiny.pt",
    sha256: "0".repeat(64),
    passes: ["fold_batchnorm"],
  },
  quantization: {
    method: "kl",
    images: 128,
    layers: { Conv_0: { input: 52.5, output: 11 } },
    keptFloat: [{ name: "Conv_1", reason: "head" }],
    accuracy: { images: 64, fidelity: 0.91, scoreChange: { small: -0.01, medium: 0, large: null } },
  },
});

describe("reading and printing", () => {
  test("what is printed is read back equal, and printing is stable", () => {
    const printed = printManifest(sample());
    expect(printed.endsWith("}\n")).toBe(true);
    expect(parseManifest(printed, "tiny.json")).toEqual(sample());
    expect(printManifest(parseManifest(printed, "tiny.json"))).toBe(printed);
    const shuffled = Object.fromEntries(Object.entries(sample()).reverse()) as unknown as Manifest;
    expect(printManifest(shuffled)).toBe(printed);
  });
});

describe("hostile text", () => {
  const read = (text: string) => () => parseManifest(text, "m.json");
  test("deep nesting, no JSON, odd keys and strings that never end are FormatErrors", () => {
    for (const text of [
      "[".repeat(200_000),
      `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
      "",
      "null",
      "3",
      '"',
      `"${"\\".repeat(99_999)}`,
      `"${'\\"'.repeat(999_999)}`,
    ]) {
      expect(read(text)).toThrow(FormatError);
    }
    expect(read(printManifest(sample()).replace('"version"', '"__proto__": {}, "version"'))).toThrow(
      'unknown field "__proto__"',
    );
    const layers = printManifest(sample()).replace('"Conv_0"', '"__proto__"');
    expect(Object.getPrototypeOf(parseManifest(layers, "m.json").quantization?.layers)).toBe(
      Object.prototype,
    );
  });

  test("what a message repeats of it stays on one line", () => {
    expect(read('{\n  "version": ,\n  "name": "x"\n}')).toThrow(/^m\.json: not JSON: [^\n]+$/);
  });

  test("any change of a character gives a manifest or a FormatError", () => {
    const printed = printManifest(sample());
    fc.assert(
      fc.property(
        fc.nat(printed.length - 1),
        fc.constantFrom(...'0-e"[]{},: x\\'),
        fc.nat(3),
        (at, char, cut) => {
          const text = printed.slice(0, at) + char + printed.slice(at + cut);
          try {
            const manifest = parseManifest(text, "m.json");
            expect(parseManifest(printManifest(manifest), "m.json")).toEqual(manifest);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("bad manifests are refused with the field, what was found and what is expected", () => {
  const bad = (name: string, change: (m: Manifest & Record<string, unknown>) => void, message: string) =>
    test(name, () => {
      const manifest = sample() as Manifest & Record<string, unknown>;
      change(manifest);
      const read = () => parseManifest(JSON.stringify(manifest), "m.json");
      expect(read).toThrow(FormatError);
      expect(read).toThrow(message);
    });
  const set = (target: object, field: string, value: unknown) => Object.assign(target, { [field]: value });

  bad("wrong version", (m) => set(m, "version", 2), "m.json: version: found 2, expected 1");
  bad("missing field", (m) => set(m, "name", undefined), "m.json: name: found nothing, expected a string");
  bad("no input", (m) => set(m, "input", undefined), "m.json: input: found nothing, expected an object");
  bad(
    "fraction",
    (m) => set(m.input, "width", 64.5),
    "m.json: input.width: found 64.5, expected a whole number",
  );
  bad(
    "not a multiple",
    (m) => set(m.input, "width", 72),
    "m.json: input.width: found 72, expected a multiple of the stride 16",
  );
  bad("too small", (m) => set(m.input, "height", 0), "m.json: input.height: found 0, expected at least 1");
  bad(
    "string number",
    (m) => set(m.input, "mean", ["0", 0, 0]),
    'm.json: input.mean[0]: found "0", expected a number',
  );
  bad(
    "mean count",
    (m) => set(m.input, "mean", [0]),
    "m.json: input.mean: found [0], expected 3 numbers, one per channel",
  );
  bad(
    "zero norm",
    (m) => set(m.input, "norm", [1, 0, 1]),
    "m.json: input.norm[1]: found 0, expected a number other than 0",
  );
  bad(
    "pixel",
    (m) => set(m.input, "pixel", "rgb"),
    'm.json: input.pixel: found "rgb", expected "RGB" or "BGR" or "GRAY"',
  );
  bad(
    "gray",
    (m) => set(m.input, "pixel", "GRAY"),
    'm.json: input.pixel: found "GRAY", expected RGB or BGR for 3 channels',
  );
  bad("channels", (m) => set(m.input, "channels", 4), "m.json: input.channels: found 4, expected 1 or 3");
  bad("misspelt field", (m) => set(m.input, "means", [0]), 'm.json: input: unknown field "means"');
  bad(
    "head kind",
    (m) => set(m.heads[0], "kind", "yolo99"),
    'm.json: heads[0].kind: found "yolo99", expected "yolov5" or "distances" or',
  );
  bad("head without kind", (m) => set(m.heads[0], "kind", undefined), "m.json: heads[0].kind: found nothing");
  bad(
    "odd anchors",
    (m) => set(m.heads[0], "anchors", [1, 2, 3]),
    "m.json: heads[0].anchors: found [1,2,3], expected pairs",
  );
  bad(
    "negative anchor",
    (m) => set(m.heads[0], "anchors", [1, -2]),
    "m.json: heads[0].anchors[1]: found -2, expected more than 0",
  );
  bad(
    "head stride",
    (m) => set(m.heads[0], "stride", 5),
    "m.json: heads[0].stride: found 5, expected a divisor of input.stride 16",
  );
  bad("no labels", (m) => set(m, "labels", []), "m.json: labels: found [], expected a name for every class");
  bad(
    "path",
    (m) => set(m, "bin", "../../etc/passwd"),
    'm.json: bin: found "../../etc/passwd", expected a plain file name',
  );
  bad(
    "sha",
    (m) => set(m.provenance, "sha256", "XYZ"),
    'm.json: provenance.sha256: found "XYZ", expected 64 lower-case hexadecimal digits',
  );
  bad(
    "scale",
    (m) => set(m.quantization!.layers.Conv_0, "input", -1),
    "m.json: quantization.layers.Conv_0.input: found -1, expected at least 0",
  );
});

/** A Yolov5 head over three channels: 2 anchors, `classes` classes, stride 16 by one convolution. */
function graphFor(classes: number, anchors = 3): Graph {
  const graph = new Graph();
  const outputs = anchors * (5 + classes);
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  graph.add({
    type: "Convolution",
    name: "Conv_0",
    inputs: ["images"],
    outputs: ["conv"],
    params: { num_output: outputs, kernel_w: 16, stride_w: 16, weight_data_size: outputs * 3 * 256 },
    weights: { weight: f32Weight(new Float32Array(outputs * 3 * 256)) },
  });
  graph.add({
    type: "Reshape",
    name: "Reshape_0",
    inputs: ["conv"],
    outputs: ["boxes"],
    params: { w: -1, h: 5 + classes, c: anchors },
  });
  graph.add({
    type: "Permute",
    name: "Permute_0",
    inputs: ["boxes"],
    outputs: ["output"],
    params: { order_type: 1 },
  });
  return graph;
}

describe("manifest against graph", () => {
  test("one that fits", () => {
    const graph = graphFor(3);
    verify(graph, ops);
    expect(() => checkManifest(sample(), graph)).not.toThrow();
    expect(() => checkManifest({ ...sample(), heads: [], labels: [] }, graph)).not.toThrow();
  });

  const contradiction = (name: string, change: (m: Manifest) => void, graph: Graph, message: string) =>
    test(name, () => {
      const manifest = sample();
      change(manifest);
      const check = () => checkManifest(manifest, graph, "m.json");
      expect(check).toThrow(FormatError);
      expect(check).toThrow(message);
    });
  const nothing = () => {};
  contradiction(
    "input blob",
    (m) => {
      m.input.blob = "data";
    },
    graphFor(3),
    'input.blob: found "data", but the inputs of tiny.param are "images"',
  );
  contradiction(
    "head blob",
    (m) => {
      Object.assign(m.heads[0], { blob: "out" });
    },
    graphFor(3),
    'heads[0].blob: found "out", which is no blob of tiny.param; its outputs are "output"',
  );
  contradiction("class count", nothing, graphFor(4), "9 values per box, expected 8 (5 + 3 labels)");
  contradiction("anchor count", nothing, graphFor(3, 2), "2 channels, expected 3, one per anchor");
  contradiction(
    "stride",
    (m) => {
      m.heads[0].stride = 8;
    },
    graphFor(3),
    "8 cells, expected 32 (8x4 cells at stride 8)",
  );
  contradiction(
    "rank",
    (m) => {
      Object.assign(m.heads[0], { blob: "images" });
    },
    graphFor(3),
    "output is 64x32x3",
  );
  contradiction(
    "size that does not run",
    (m) => {
      m.input.width = m.input.height = m.input.stride = 8;
    },
    graphFor(3),
    "tiny.param does not run on 8x8x3",
  );
  contradiction(
    "channels that are those of no picture",
    nothing,
    parseParam("7767517\n2 2\nInput images 0 1 images 0=8 1=8 2=4\nConvolution a 1 1 images b 0=1 1=1 6=4\n"),
    "its Input layer has 4 channels, but a manifest is for pictures, of 1 or 3",
  );
  contradiction(
    "quantization of another model",
    (m) => {
      m.quantization!.layers = { Conv_9: { input: 1 } };
    },
    graphFor(3),
    'quantization.layers: found "Conv_9"',
  );

  testData("the yolov5ss graph, and that graph with one label missing", () => {
    const graph = parseParam(dataText("models/yolov5ss.param"), "yolov5ss.param");
    const names = parseDatasetYaml(dataText("coco/coco.yaml"), "coco.yaml").names;
    const manifest = sample();
    Object.assign(manifest.input, { width: 416, height: 320, stride: 32 });
    manifest.labels = names;
    manifest.quantization = undefined;
    manifest.heads = ["output", "917", "937"].map((blob, i) => ({
      kind: "yolov5",
      blob,
      stride: 8 << i,
      anchors: [4, 5, 8, 10, 13, 16],
    }));
    expect(() => checkManifest(manifest, graph)).not.toThrow();
    manifest.labels = names.slice(1);
    expect(() => checkManifest(manifest, graph)).toThrow("85 values per box, expected 84 (5 + 79 labels)");
  });
});

describe("C++ header", () => {
  test("names the facts", () => {
    const header = manifestHeader(sample());
    for (const line of [
      "#ifndef TINY_MODEL_H",
      "namespace tiny_model {",
      'static const char* const input_blob = "images";',
      "static const float norm_vals[3] = {0.00392156886f, 0.00392156886f, 0.00392156886f};",
      'static const Head heads[1] = {{"output", 16, 3, {10.f, 13.f, 16.f, 30.f, 33.f, 23.f}}};',
      "static const int num_class = 3;",
    ]) {
      expect(header).toContain(line);
    }
  });

  const compiler = spawnSync("g++", ["--version"]).status === 0;
  if (!compiler) console.warn("no g++: the generated header is not compiled");
  test.skipIf(!compiler)(
    "compiles as C++11 without warnings, included twice, and holds the same values",
    () => {
      const folder = mkdtempSync(path.join(tmpdir(), "ncnnkit-header-"));
      try {
        const odd = sample();
        odd.name = '2 odd/"name\\\n*/ int';
        odd.labels = [
          "plain",
          'quote " and \\ backslash',
          "new\nline",
          "ünï 日本",
          "trigraph ??/",
          "7\u00017",
        ];
        writeFileSync(path.join(folder, "odd.h"), manifestHeader(odd));
        writeFileSync(
          path.join(folder, "none.h"),
          manifestHeader({ ...sample(), name: "none", heads: [], labels: [] }),
        );
        const print = `#include "odd.h"\n#include "odd.h"\n#include "none.h"\n#include <cstdio>
namespace m = m_2_odd_name_int_model;
int main() {
  for (int i = 0; i < m::num_class; i++) std::fwrite(m::class_names[i], 1, __builtin_strlen(m::class_names[i]) + 1, stdout);
  std::printf("%s %d %g %.9g", m::heads[0].blob, m::heads[0].num_anchors, m::heads[0].anchors[5], m::norm_vals[2]);
}\n`;
        writeFileSync(path.join(folder, "main.cpp"), print);
        const flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", "main", "main.cpp"];
        const compiled = spawnSync("g++", flags, { cwd: folder, encoding: "utf8" });
        expect(compiled.stderr).toBe("");
        const { stdout } = spawnSync(path.join(folder, "main"), { encoding: "utf8" });
        expect(stdout.split("\0")).toEqual([...odd.labels, "output 3 23 0.00392156886"]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
