/** Checkpoints of the ultralytics package that lie: its module classes with other attributes, cycles, absurd numbers, missing parts. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { NcnnkitError, UnsupportedError } from "../../../src/base/errors.ts";
import { readTorch, type TorchOptions } from "../../../src/formats/torch/index.ts";
import { type PyDict, PyObject, PyTensor, type PyValue } from "../../../src/formats/torch/values.ts";
import { attributesOf, childrenOf, rewritten } from "./_rewrite.ts";

const data = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "data/ultralytics", `${name}.pt`)));
const read = (name: string, change: (root: PyValue) => PyValue | undefined, options?: TorchOptions) =>
  readTorch(rewritten(data(name), change), `${name}.pt`, options);

/** Sets attributes of a module. */
const set =
  (place: string | undefined, values: Record<string, PyValue>) =>
  (root: PyValue): undefined => {
    for (const [name, value] of Object.entries(values)) attributesOf(root, place).set(name, value);
  };
/** Changes the sub-modules of a module. */
const children =
  (place: string, change: (modules: PyDict, own: PyDict) => void) =>
  (root: PyValue): undefined => {
    const own = attributesOf(root, place);
    change(childrenOf(own), own);
  };
/** A module of a class, with the state of another. */
const as = (className: string, module: PyValue | undefined): PyObject => {
  const object = new PyObject(className, null);
  object.state = (module as PyObject).state;
  return object;
};
it("control: written again without a change, it is the same model", () => {
  for (const name of ["v5n", "11n", "26n-seg", "v10n"]) {
    const again = read(name, () => undefined);
    expect(again).toEqual(readTorch(data(name), `${name}.pt`));
  }
});

const attention = "10.m.0.attn";
const block = "2";
const cases: Record<string, [RegExp, string, (root: PyValue) => PyValue | undefined, TorchOptions?]> = {
  "another number of attention heads, that only moves cells about": [
    /model\.10\.m\.0\.attn.*qkv gives 32 channels, expected 16: 1 heads of 2 times 4 and 8/,
    "11n",
    set(attention, { num_heads: 1 }),
  ],
  "attention heads that are no number": [
    /attn.*num_heads is "two", expected a whole number/,
    "11n",
    set(attention, { num_heads: "two" }),
  ],
  "a scale that is none": [
    /attn.*scale is nan|scale is NaN|scale is/i,
    "11n",
    set(attention, { scale: Number.NaN }),
  ],
  "areas that the cells cannot be parted in": [/areas|attn/, "12n", set("6.m.0.0.attn", { area: 7 })],
  "an absurd number of areas": [/attn/, "12n", set("6.m.0.0.attn", { area: 2 ** 30 })],
  "an absurd number of pools": [/1000000000 pools, expected at most 16/, "26n", set("9", { n: 1e9 })],
  "no pool at all": [/attribute n is 0, expected a whole number of at least 1/, "26n", set("9", { n: 0 })],
  "an addition that is no truth": [
    /attribute add is 1, expected True or False/,
    "11n",
    set("2.m.0", { add: 1 }),
  ],
  "an absurd number of bins": [
    /1073741824 bins a side \(reg_max\), expected at most 64/,
    "11n",
    set("-1", { reg_max: 2 ** 30 }),
  ],
  "another number of bins": [
    /64 channels|16 channels, expected 32|weights other than/,
    "11n",
    set("-1", { reg_max: 8 }),
  ],
  "bins that are other numbers": [
    /dfl.*weights other than the numbers 0 to 3/,
    "11n",
    (root) => {
      const weight = (attributesOf(root, "-1.dfl.conv").get("_parameters") as PyDict).get(
        "weight",
      ) as PyTensor;
      const changed = new PyTensor(weight.storage, weight.offset, weight.shape, [0, 0, 0, 0]);
      (attributesOf(root, "-1.dfl.conv").get("_parameters") as PyDict).set("weight", changed);
      return undefined;
    },
  ],
  "an absurd number of levels": [/1000000 levels and 3 inputs/, "11n", set("-1", { nl: 1e6 })],
  "fewer levels than inputs": [/2 levels and 3 inputs/, "11n", set("-1", { nl: 2 })],
  "another number of classes": [/3 channels, expected 80/, "11n", set("-1", { nc: 80 })],
  "class names for others": [/2 class names for 3 classes/, "11n", set(undefined, { names: ["a", "b"] })],
  "strides for fewer levels": [
    /stride has shape \[2\], expected \[3\]/,
    "11n",
    (root) => {
      const own = attributesOf(root, "-1");
      const { storage, offset } = own.get("stride") as PyTensor;
      own.set("stride", new PyTensor(storage, offset, [2], [1]));
      return undefined;
    },
  ],
  "strides of other levels": [
    /at \d+x\d+ pixels, scores0 is/,
    "11n",
    (root) => {
      const own = attributesOf(root, "-1");
      const { storage, offset } = own.get("stride") as PyTensor;
      own.set("stride", new PyTensor(storage, offset + 2, [3], [0]));
      return undefined;
    },
  ],
  "no class branch": [
    /sub-module cv3 is missing/,
    "11n",
    children("-1", (modules) => modules.set("cv3", null)),
  ],
  "no one2one class branch": [
    /sub-module one2one_cv3 is missing/,
    "v10n",
    children("-1", (modules) => modules.delete("one2one_cv3")),
    { endToEnd: true },
  ],
  "a level too few in a branch": [
    /2 branches in cv2, expected one a level/,
    "11n",
    children("-1.cv2", (modules) => modules.delete("2")),
  ],
  "a branch that ends in something else": [
    /does not end in a convolution/,
    "11n",
    children("-1.cv2.0", (modules) => modules.delete("2")),
  ],
  "a branch of nothing": [
    /does not end in a convolution/,
    "11n",
    children("-1.cv2.0", (modules) => modules.clear()),
  ],
  "one sub-module more in the head": [
    /sub-module "extra" is not known to this class/,
    "11n",
    children("-1", (modules) => modules.set("extra", modules.get("cv2")!)),
  ],
  "a module that contains itself": [
    /nested more than 48 deep/,
    "11n",
    (root) => {
      const { state } = childrenOf(attributesOf(root)).get("model") as PyObject;
      const layer = childrenOf(state as PyDict).get(block) as PyObject;
      childrenOf((childrenOf(layer.state as PyDict).get("m") as PyObject).state as PyDict).set("0", layer);
      return undefined;
    },
  ],
  "shared modules that would make exponentially many": [
    /^11n\.pt: the weights would grow to more than 4 values for each byte of the file/,
    "11n",
    (root) => {
      const sequential = childrenOf(attributesOf(root)).get("model") as PyObject;
      const layers = childrenOf(sequential.state as PyDict);
      let inner = layers.get("0") as PyObject;
      for (let i = 0; i < 30; i++) {
        const outer = new PyObject("torch.nn.modules.container.Sequential", null);
        const modules: PyDict = new Map<PyValue, PyValue>([
          ["0", inner],
          ["1", inner],
        ]);
        outer.state = new Map<PyValue, PyValue>([
          ["_modules", modules],
          ["f", -1],
          ["_parameters", new Map()],
          ["_buffers", new Map()],
        ]);
        inner = outer;
      }
      layers.set("0", inner);
      return undefined;
    },
  ],
  "a module that reads what comes after it": [
    /reads module 12, but only 4 come before it/,
    "11n",
    set("4", { f: 12 }),
  ],
  "parts of channels that are more than there are": [
    /8 channels cannot be split into 8, 8/,
    "v9e",
    set("10", { c2s: [8, 8] }),
  ],
  "parts that are no list": [
    /attribute c2s is None, expected a list of numbers/,
    "v9e",
    set("10", { c2s: null }),
  ],
  "a part that there is not": [/part 5 of an input that has 1/, "v9e", set("16", { idx: [5, 0, 0, 0, 0] })],
  "fewer parts than inputs": [
    /idx has 1 numbers for 5 inputs before the last/,
    "v9e",
    set("16", { idx: [0] }),
  ],
  "another number of mask coefficients": [/4 channels, expected 32/, "v8n-seg", set("-1", { nm: 32 })],
  "no prototypes": [
    /sub-module proto is missing/,
    "v8n-seg",
    children("-1", (modules) => modules.delete("proto")),
  ],
  "prototypes of another number": [
    /prototypes is .* expected a grid of .* with 4 channels/,
    "v8n-seg",
    children("-1.proto", (modules) => modules.set("cv3", modules.get("cv2")!)),
  ],
  "levels that the prototypes are not made for": [
    /feat_refine has 1 convolutions for 3 levels/,
    "26n-seg",
    children("-1.proto.feat_refine", (modules) => modules.delete("1")),
  ],
  "points of four numbers": [
    /points of shape 2 x 4 \(kpt_shape\)/,
    "v8n-pose",
    set("-1", { kpt_shape: [2, 4] }),
  ],
  "absurdly many points": [/6 channels, expected 3000000/, "v8n-pose", set("-1", { kpt_shape: [1e6, 3] })],
  "points that are no list": [/kpt_shape is 17, expected a list/, "v8n-pose", set("-1", { kpt_shape: 17 })],
  "two angles": [/2 numbers beside a box \(ne\), expected an angle/, "v8n-obb", set("-1", { ne: 2 })],
  "no linear layer": [
    /sub-module linear is missing/,
    "v8n-cls",
    children("-1", (modules) => modules.delete("linear")),
  ],
  "a class that is not converted": [
    /model\.4\.m\.0.*TransformerBlock\): this class cannot be converted/,
    "11n",
    children("4.m", (modules) =>
      modules.set("0", as("ultralytics.nn.modules.transformer.TransformerBlock", modules.get("0"))),
    ),
  ],
  "a class where a list of modules should be": [
    /TransformerBlock\): expected a list of modules here/,
    "11n",
    children("4", (modules) =>
      modules.set("m", as("ultralytics.nn.modules.transformer.TransformerBlock", modules.get("m"))),
    ),
  ],
  "a merged convolution beside its branches": [
    /sub-module "conv1" is not known to this class/,
    "v9t",
    children("4.cv2.0.m.0.cv1", (modules) =>
      modules.set("conv", childrenOf((modules.get("conv1") as PyObject).state as PyDict).get("conv")!),
    ),
  ],
  "BatchNorm for other channels": [
    /running_mean has shape|has shape/,
    "11n",
    set("0.bn", { num_features: 4 }),
  ],
  "pictures of seven channels": [
    /7 input channels, expected 3/,
    "11n",
    (root) => {
      (attributesOf(root).get("yaml") as PyDict).set("ch", 7);
      return undefined;
    },
  ],
};

describe("one clear error each", () => {
  it.each(Object.entries(cases))("%s", (_, [expected, name, change, options]) => {
    let error: unknown;
    try {
      read(name, change, options);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(NcnnkitError);
    const { message } = error as Error;
    expect(message).toMatch(expected);
    expect(message.startsWith(`${name}.pt`)).toBe(true);
    expect(message).not.toContain("\n");
    expect(message.length).toBeLessThan(400);
  });
});

it("modules by the names that they had before 8.0.90, without what later versions have added", () => {
  const old = read("v8n", (root) => {
    const seen = new Set<PyValue>();
    const rename = (value: PyValue): PyValue => {
      if (seen.has(value)) return value;
      if (value instanceof PyObject) {
        seen.add(value);
        value.state = rename(value.state);
        const copy = as(value.className.replace(/^(ultralytics\.nn\.modules)\.\w+\./, "$1."), value);
        if (copy.className.endsWith(".SPPF"))
          for (const name of ["n", "add"]) (copy.state as PyDict).delete(name);
        return copy;
      }
      if (value instanceof Map) for (const [key, each] of value) value.set(key, rename(each));
      return value;
    };
    return rename(root);
  });
  expect(old).toEqual(readTorch(data("v8n"), "v8n.pt"));
});

it("options that a model keeps while it is being trained do no harm", () => {
  const options = new PyObject("argparse.Namespace", null);
  options.state = new Map<PyValue, PyValue>([["imgsz", 224]]);
  expect(read("11n", set(undefined, { args: options })).input.size).toBe(224);
});

describe("models that are something else are refused with the reason", () => {
  it.each([
    ["RTDETRDetectionModel", /an RT-DETR model: its boxes come from a decoder of queries/],
    ["WorldModel", /a YOLO-World model: its classes are texts/],
    ["YOLOEModel", /a YOLOE model: its classes are prompts/],
    ["YOLOESegModel", /a YOLOE model/],
    ["SemanticSegmentationModel", /gives every pixel a class/],
    ["DepthModel", /distances from the camera/],
  ])("%s", (className, message) => {
    const failing = () =>
      read("11n", (root) => {
        const checkpoint = root as PyDict;
        checkpoint.set("model", as(`ultralytics.nn.tasks.${className}`, checkpoint.get("model")));
        return undefined;
      });
    expect(failing).toThrow(UnsupportedError);
    expect(failing).toThrow(message);
  });
});
