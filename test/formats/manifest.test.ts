import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import { type Manifest, parseManifest, printManifest } from "../../src/formats/manifest.ts";

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
    'm.json: heads[0].kind: found "yolo99", expected "yolov5"',
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
