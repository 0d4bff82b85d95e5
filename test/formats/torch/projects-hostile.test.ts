/** Checkpoints of YOLOv5's tasks, YOLOv6 and YOLOv7 that lie: other attributes, missing and shared parts, cycles, absurd numbers. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { NcnnkitError } from "../../../src/base/errors.ts";
import { readTorch } from "../../../src/formats/torch/index.ts";
import { type PyDict, PyObject, PyTensor, type PyValue } from "../../../src/formats/torch/values.ts";
import { attributesOf, childrenOf, rewritten } from "./_rewrite.ts";

type Change = (root: PyValue) => undefined;

const data = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "data/projects", `${name}.pt`)));
const read = (name: string, change: Change) => readTorch(rewritten(data(name), change), `${name}.pt`);

/** Sets attributes of a module; undefined takes one away. */
const set =
  (place: string | undefined, values: Record<string, PyValue | undefined>): Change =>
  (root) => {
    const own = attributesOf(root, place);
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) own.delete(name);
      else own.set(name, value);
    }
    return undefined;
  };
/** Changes the sub-modules of a module. */
const parts =
  (place: string | undefined, change: (modules: PyDict, own: PyDict) => void): Change =>
  (root) => {
    const own = attributesOf(root, place);
    change(childrenOf(own), own);
    return undefined;
  };
/** Changes the parameters of a module. */
const weights =
  (place: string, change: (parameters: PyDict) => void): Change =>
  (root) => {
    change(attributesOf(root, place).get("_parameters") as PyDict);
    return undefined;
  };
const without = (place: string | undefined, part: string): Change =>
  parts(place, (modules) => modules.delete(part));
/** A module of a class, with the state of another. */
const as = (className: string, module: PyValue | undefined): PyObject => {
  const object = new PyObject(className, null);
  object.state = (module as PyObject).state;
  return object;
};
/** A layer of the model's list, of another class. */
const layerAs =
  (layer: string, className: string): Change =>
  (root) => {
    const list = childrenOf((childrenOf(attributesOf(root)).get("model") as PyObject).state as PyDict);
    list.set(layer, as(className, list.get(layer)));
    return undefined;
  };
const renamed = (place: string | undefined, part: string, className: string): Change =>
  parts(place, (modules) => modules.set(part, as(className, modules.get(part))));

it.each(["v5-seg", "v5-cls", "v6", "v6-csp", "v6-lite", "v6-010", "v7", "v7-fused", "v7-aux"])(
  "control: %s written again without a change is the same model",
  (name) => {
    const again = read(name, () => undefined);
    expect(again).toEqual(readTorch(data(name), `${name}.pt`));
  },
);

it("BatchNorm of models that were trained on several devices is the same", () => {
  const change: Change = (root) => {
    const rename = (modules: PyDict): void => {
      for (const [name, module] of modules) {
        if (!(module instanceof PyObject)) continue;
        rename(childrenOf(module.state as PyDict));
        if (!module.className.endsWith(".BatchNorm2d")) continue;
        modules.set(name, as("torch.nn.modules.batchnorm.SyncBatchNorm", module));
      }
    };
    rename(childrenOf(attributesOf(root)));
    return undefined;
  };
  expect(read("v7", change)).toEqual(readTorch(data("v7"), "v7.pt"));
});

const cases: Record<string, Record<string, [RegExp, Change]>> = {
  "v5-seg": {
    "another number of masks": [/12 values per anchor for 3 classes, expected 13/, set("-1", { nm: 5 })],
    "no mask at all": [/attribute nm is 0, expected a whole number of at least 1/, set("-1", { nm: 0 })],
    "an absurd number of masks": [/expected 1073741832/, set("-1", { nm: 2 ** 30 })],
    "a number of masks that the convolutions do not have": [/./, set("-1", { nm: 2 ** 20, no: 8 + 2 ** 20 })],
    "no prototypes": [/sub-module proto is missing/, without("-1", "proto")],
    "prototypes of other channels": [
      /4 channels|prototype/,
      parts("-1", (modules) =>
        modules.set("proto", childrenOf((modules.get("proto") as PyObject).state as PyDict).get("cv1")!),
      ),
    ],
    "prototypes of prototypes, without an end": [
      /nested more than \d+ deep|sub-module/,
      parts("-1.proto", (modules, own) => {
        const self = new PyObject("models.common.Proto", null);
        self.state = own;
        modules.set("cv2", self);
      }),
    ],
    "a part that the class does not have": [
      /sub-module "extra" is not known to this class/,
      parts("-1", (modules) => modules.set("extra", modules.get("proto")!)),
    ],
  },
  "v5-cls": {
    "no pooling": [/sub-module pool is missing/, without("-1", "pool")],
    "pooling to more than one cell": [/./, set("-1.pool", { output_size: 3 })],
    "a list of classes that is no matrix": [
      /weight has shape \[1280\], expected 2 axes/,
      weights("-1.linear", (all) => all.set("weight", narrowed(all.get("weight"), [1280]))),
    ],
    "class names for others": [/1 class names for 5 classes/, set(undefined, { names: ["a"] })],
    "nothing to read": [/attribute f is an empty list/, set("-1", { f: [] })],
    "what comes later": [/reads module 9, but only 5 come before it/, set("-1", { f: 9 })],
  },
  v7: {
    "no implicit knowledge": [/sub-module ia is missing/, without("-1", "ia")],
    "implicit knowledge of one level": [/sub-module 1 is missing/, without("-1.im", "1")],
    "implicit knowledge without values": [
      /tensor implicit is missing/,
      weights("-1.ia.0", (all) => all.delete("implicit")),
    ],
    "implicit knowledge of fewer channels": [
      /implicit has shape \[1,3,1,1\], expected \[1,16,1,1\]/,
      weights("-1.ia.0", (all) => all.set("implicit", narrowed(all.get("implicit"), [1, 3, 1, 1]))),
    ],
    "an absurd number of levels": [/reads|levels/, set("-1", { nl: 1e6 })],
    "no level": [/attribute nl is 0/, set("-1", { nl: 0 })],
    "another number of classes": [/7 values per anchor for 80 classes, expected 85/, set("-1", { nc: 80 })],
    "branches that were not merged, of which one is missing": [
      /sub-module rbr_1x1 is missing/,
      without("25", "rbr_1x1"),
    ],
    "a block of another kind": [/cannot be converted; export/, layerAs("25", "models.common.RepConv_OREPA")],
    "a transformer": [/STCSPA\): this class cannot be converted/, layerAs("20", "models.common.STCSPA")],
    "a head of another kind": [/sizes in bins/, layerAs("27", "models.yolo.IBin")],
    "pools in a circle": [
      /nested more than \d+ deep/,
      parts("20", (modules, own) => {
        const self = new PyObject("models.common.SPPCSPC", null);
        self.state = own;
        modules.set("cv1", self);
      }),
    ],
    "a block that holds itself many times": [
      /nested more than|path is longer than/,
      parts("25", (modules, own) => {
        const self = new PyObject("models.common.RepConv", null);
        self.state = own;
        for (const part of ["rbr_dense", "rbr_1x1", "rbr_identity"]) modules.set(part, self);
      }),
    ],
  },
  "v7-aux": {
    "an axis that is not the channels": [/works along axis 2, expected 1/, set("11", { d: 2 })],
    "an addition of one": [/addition of 1 blobs, expected 2/, set("4", { f: [-1] })],
    "fewer inputs than levels": [/4 levels with 4 convolutions and 2 inputs/, set("-1", { f: [13, 14] })],
    "space to depth for a convolution of other channels": [
      /./,
      (root) => {
        attributesOf(root, "3").set("f", 0);
        return undefined;
      },
    ],
  },
  v6: {
    "no neck": [/sub-module neck is missing/, without(undefined, "neck")],
    "levels that the neck does not read": [
      /reads 3 levels of the backbone, expected 4/,
      set("backbone", { fuse_P2: false }),
    ],
    "a choice that is no truth": [
      /attribute fuse_P2 is 1, expected True or False/,
      set("backbone", { fuse_P2: 1 }),
    ],
    "no stage": [/sub-module ERBlock_4 is missing/, without("backbone", "ERBlock_4")],
    "another backbone": [
      /this class is not known here \(CSPBepBackbone, /,
      renamed(undefined, "backbone", "yolov6.models.efficientrep.Mine"),
    ],
    "another neck": [/this class is not known here/, renamed(undefined, "neck", "yolov6.models.reppan.Mine")],
    "another head": [
      /not a head of YOLOv6/,
      renamed(undefined, "detect", "yolov6.models.heads.effidehead_mine.Detect"),
    ],
    "prepared for quantization": [/prepared for quantization/, set("neck", { _QUANT: true })],
    "an absurd number of levels": [
      /1000000 levels with 3, 3, 3, 3, 3 modules and 3 inputs/,
      set("detect", { nl: 1e6 }),
    ],
    "another number of classes": [/expected 80 labels|80/, set("detect", { nc: 80 })],
    "boxes in bins that there are none of": [/./, set("detect", { use_dfl: true })],
    "no strides": [/tensor stride is missing/, set("detect", { stride: undefined })],
    "strides that are a text": [/stride is "8", expected a tensor/, set("detect", { stride: "8" })],
    "a branch too few": [/sub-module rbr_dense is missing/, without("backbone.stem", "rbr_dense")],
    "a level less": [/3 levels with 3, 3, 2, 3, 3 modules/, without("detect.reg_convs", "1")],
  },
  "v6-csp": {
    "bins that are other numbers": [
      /bins are weighted by 17 numbers that are not 0 to 16/,
      weights("detect.proj_conv", (all) => all.set("weight", repeated(all.get("weight")))),
    ],
    "another number of bins": [
      /bins are weighted by 17 numbers that are not 0 to 7/,
      set("detect", { reg_max: 7 }),
    ],
    "an absurd number of bins": [
      /1073741825 bins a side, expected at most 64/,
      set("detect", { reg_max: 2 ** 30 }),
    ],
    "bins that are not used": [/68 channels|expected 4/, set("detect", { use_dfl: false })],
    "an average over absurdly many channels": [
      /./,
      set("backbone.ERBlock_3.1.m.block.0.conv1", { in_channels: 2 ** 30 }),
    ],
    "a way around that is no truth": [
      /attribute shortcut is "yes"/,
      set("backbone.ERBlock_3.1.m.conv1", { shortcut: "yes" }),
    ],
    "a weight of that way that is no number": [
      /attribute alpha|alpha is/,
      weights("backbone.ERBlock_3.1.m.conv1", (all) => all.delete("alpha")),
    ],
  },
  "v6-lite": {
    "no squeeze": [/sub-module se is missing/, without("backbone.lite_effiblock_1.0", "se")],
  },
  "v6-010": {
    "three anchors a cell": [/3 anchors a cell, expected 1/, set("detect", { na: 3 })],
  },
};

describe.each(Object.entries(cases))("%s", (name, own) => {
  it.each(Object.entries(own))("%s", (_, [message, change]) => {
    let error: unknown;
    try {
      read(name, change);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(NcnnkitError);
    const text = (error as NcnnkitError).message;
    expect(text).toMatch(message);
    expect(text).not.toMatch(/\n|undefined|\[object/);
    expect(text.length).toBeLessThan(400);
  });
});

/** The first values of a tensor. */
function narrowed(tensor: PyValue | undefined, shape: number[]): PyValue {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  return remade(tensor, shape, strides);
}
/** The first value, again and again. */
function repeated(tensor: PyValue | undefined): PyValue {
  const { shape } = tensor as PyTensor;
  return remade(
    tensor,
    shape,
    shape.map(() => 0),
  );
}
function remade(tensor: PyValue | undefined, shape: readonly number[], strides: readonly number[]): PyValue {
  const { storage, offset } = tensor as PyTensor;
  return new PyTensor(storage, offset, shape, strides);
}
