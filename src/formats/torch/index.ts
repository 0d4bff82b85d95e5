/**
 * A training checkpoint (`torch.save` of the whole model) as a graph of raw ncnn layers and the facts that a manifest
 * needs. Nothing in the file is executed; see `pickle.ts` and `globals.ts` for what it can make us do. What a module
 * becomes is said by the framework that it is of: `frameworks.ts`.
 * Source: ultralytics/yolov5 v7.0 train.py (checkpoint keys), models/experimental.py (`attempt_load`), models/yolo.py.
 */
import { FormatError, inContext, UnsupportedError, UsageError } from "../../base/errors.ts";
import type { FamilyName } from "../../heads/families.ts";
import { headProblem } from "../../heads/index.ts";
import type { Head } from "../../heads/manifest.ts";
import { type Graph, inferShapes, verify } from "../../ir/graph.ts";
import { formatShape } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import { TorchArchive } from "./archive.ts";
import { NetworkBuilder } from "./builder.ts";
import { type Network, type TorchOptions, torchInputBlob } from "./framework.ts";
import { frameworks } from "./frameworks.ts";
import { layerEmitters } from "./layers.ts";
import { isModule, TorchModule } from "./module.ts";
import { weightsRefusal } from "./others.ts";
import { describe, type PyDict, type PyObject, PyTensor, type PyValue } from "./values.ts";

export { type TorchOptions, torchInputBlob } from "./framework.ts";

export interface TorchModel {
  /** Raw layers as the modules have them; nothing folded. Input blob `images`, output blobs `output0`, `output1`, … */
  graph: Graph;
  input: {
    /** Colour channels of the input blob. */
    channels: number;
    /** Sizes must be multiples of it, in pixels. */
    stride: number;
    /** Training size in pixels, where the checkpoint says it. */
    size?: number;
  };
  /** In the order of the output blobs; empty when the network is no detector. */
  heads: Head[];
  /** Whose pre-processing it has. */
  family: FamilyName;
  /** `value = (level − mean)·norm` for each channel, where the model says it otherwise than its family. */
  levels?: { mean: number[]; norm: number[] };
  classes: number;
  /** Class names by class number, where the checkpoint has them. */
  labels?: string[];
  provenance: {
    /** Class of the model, `models.yolo.Model`. */
    className: string;
    /** Which of the checkpoint's models it is: the averaged one (`ema`) where there is one. */
    part: "ema" | "model";
    /** Last epoch, counted from 0; −1 in a checkpoint of finished training. */
    epoch?: number;
    /** Name of the model's configuration file. */
    yaml?: string;
    /** When it was saved, as the checkpoint spells it. */
    date?: string;
  };
}

/** Classes around a model that PyTorch and YOLOv5 have, and the name of what is inside. */
const wrappers: ReadonlyMap<string, string> = new Map([
  ["models.common.AutoShape", "model"],
  ["models.common.autoShape", "model"],
  ["models.common.DetectMultiBackend", "model"],
  ["torch.nn.parallel.data_parallel.DataParallel", "module"],
  ["torch.nn.parallel.distributed.DistributedDataParallel", "module"],
]);
const maxWrappers = 8;

/**
 * Reads a checkpoint. Throws FormatError for bytes that are not one or contradict themselves, UnsupportedError for what
 * is recognised but not convertible (TorchScript, weights without structure, unknown classes, names not allowed), UsageError for
 * options that it cannot follow.
 */
export function readTorch(bytes: Uint8Array, fileName: string, options: TorchOptions = {}): TorchModel {
  const archive = new TorchArchive(bytes, fileName);
  return inContext(fileName, () => buildModel(archive, options));
}

function buildModel(archive: TorchArchive, options: TorchOptions): TorchModel {
  const { object, part, checkpoint } = findModel(archive.root);
  const root = new TorchModule(unwrap(object), "", archive);
  const framework = frameworks.find(({ claims }) => claims(root));
  const emitters = (framework ? [framework] : frameworks.toReversed()).map((each) => [...each.emitters]);
  const builder = new NetworkBuilder(new Map([...layerEmitters, ...emitters.flat()]));
  const graph = builder.graph;
  const channels = inputChannels(root);
  graph.add({ type: "Input", name: torchInputBlob, outputs: [torchInputBlob] });
  const network = framework?.emit(builder, root, options) ?? emitPlain(builder, root);
  if (options.endToEnd && !network.heads.some((head) => "oneToOne" in head && head.oneToOne)) {
    throw new UsageError(
      "end2end was asked for, but the model has no branches that give one box an object, as YOLOv10 and 26 do: leave it out",
    );
  }
  check(graph, channels, network);
  return {
    graph,
    input: { channels, stride: network.stride, ...sizeOf(framework?.trainingSize(root, checkpoint)) },
    heads: network.heads,
    family: network.family,
    ...(network.levels && { levels: network.levels }),
    ...readLabels(root, network.classes),
    provenance: { className: root.className, part, ...readProvenance(root, checkpoint) },
  };
}

/** A module of nobody's model: what it computes, and nothing about boxes. */
function emitPlain(b: NetworkBuilder, root: TorchModule): Network {
  b.emit(root, torchInputBlob);
  return { heads: [], classes: 0, stride: 1, family: "yolov5" };
}

/** The module to convert: `ckpt["ema"]` before `ckpt["model"]`, as YOLOv5's attempt_load does, or the object itself. */
function findModel(root: PyValue): { object: PyObject; part: "ema" | "model"; checkpoint?: PyDict } {
  if (isModule(root)) return { object: root, part: "model" };
  if (!(root instanceof Map)) {
    throw new UnsupportedError(
      `the checkpoint holds ${describe(root)}, expected a model or a dict with the key "model"`,
    );
  }
  for (const part of ["ema", "model"] as const) {
    const object = root.get(part);
    if (isModule(object)) return { object, part, checkpoint: root };
  }
  const weights = stateDictIn(root);
  if (weights) {
    const names = [...weights.keys()].filter((key) => typeof key === "string");
    throw new UnsupportedError(weightsRefusal(names));
  }
  const keys = [...root.keys()].slice(0, 8).map(describe).join(", ");
  const odd = ["ema", "model"].find((part) => root.get(part) != null);
  const found = odd ? `its "${odd}" is ${describe(root.get(odd))}` : `its keys are ${keys || "none"}`;
  throw new UnsupportedError(
    `the checkpoint has no model: ${found}, expected a PyTorch model under "model" or "ema"`,
  );
}

/** The model inside AutoShape, DataParallel and the like. */
function unwrap(object: PyObject): PyObject {
  let inner = object;
  for (let depth = 0; depth < maxWrappers; depth++) {
    const name = wrappers.get(inner.className);
    if (name === undefined) return inner;
    const modules = (inner.state as PyDict).get("_modules") as PyDict;
    const next = modules.get(name);
    if (!isModule(next)) {
      throw new UnsupportedError(
        `the checkpoint is a ${inner.className} around ${describe(next)}, expected a PyTorch model inside`,
      );
    }
    inner = next;
  }
  throw new FormatError(`the model is wrapped more than ${maxWrappers} times`);
}

/** Keys under which projects save weights; RT-DETR has them a level deeper. */
const weightKeys = ["state_dict", "model_state_dict", "ema_net", "net", "model", "ema"];

function stateDictIn(root: PyDict): PyDict | undefined {
  const values = weightKeys.map((key) => root.get(key));
  const inner = values.map((value) => (value instanceof Map ? value.get("module") : undefined));
  return [root, ...values, ...inner].find(
    (value): value is PyDict =>
      value instanceof Map && value.size > 0 && [...value.values()].some((v) => v instanceof PyTensor),
  );
}

function inputChannels(root: TorchModule): number {
  const yaml = root.attribute("yaml");
  const channels = yaml instanceof Map ? (yaml.get("ch") ?? yaml.get("channels") ?? 3) : 3;
  if (channels === 1 || channels === 3) return channels;
  return root.unsupported(`${describe(channels)} input channels, expected 3 (RGB) or 1`);
}

function sizeOf(value: PyValue | undefined): { size?: number } {
  const first = Array.isArray(value) ? value[0] : value;
  return typeof first === "number" && Number.isInteger(first) && first > 0 ? { size: first } : {};
}

/** `names` is a list, or since 6.2 a dict from class number. */
function readLabels(root: TorchModule, classes: number): { classes: number; labels?: string[] } {
  const names = root.attribute("names");
  if (names === undefined || names === null) return { classes };
  const list = names instanceof Map ? Array.from({ length: names.size }, (_, i) => names.get(i)) : names;
  if (!Array.isArray(list)) return root.fail(`names is ${describe(names)}, expected class names`);
  if (list.length !== classes) root.fail(`${list.length} class names for ${classes} classes`);
  const labels = list.map(
    (name, i) => labelText(name) ?? root.fail(`the name of class ${i} is ${describe(name)}, expected text`),
  );
  return { classes, labels };
}

/** A class name as YOLOv5 prints it: without quotes, YAML reads 0, yes and ~ as a number, a boolean and nothing. */
function labelText(name: PyValue | undefined): string | undefined {
  if (typeof name === "string") return name;
  if (typeof name === "number" || typeof name === "bigint") return String(name);
  if (typeof name === "boolean") return name ? "True" : "False";
  return name === null ? "None" : undefined;
}

function readProvenance(root: TorchModule, checkpoint: PyDict | undefined) {
  const epoch = checkpoint?.get("epoch");
  const yaml = root.attribute("yaml_file");
  const date = checkpoint?.get("date");
  return {
    ...(typeof epoch === "number" ? { epoch } : {}),
    ...(typeof yaml === "string" ? { yaml } : {}),
    ...(typeof date === "string" ? { date } : {}),
  };
}

/** Shapes must fit everywhere, and every head's grid must be the input divided by its stride. */
function check(graph: Graph, channels: number, { heads, classes, stride }: Network): void {
  verify(graph, ops);
  const size = 2 * Math.max(32, stride);
  const shapes = inferShapes(graph, ops, { [torchInputBlob]: [channels, size, size] });
  for (const node of graph.nodes) {
    const shape = node.type === "InnerProduct" ? shapes.get(node.inputs[0]) : undefined;
    if (shape && shape.length !== 1) {
      throw new UnsupportedError(
        `module "${node.name}": Linear on a blob of ${formatShape(shape)}, expected one axis (Flatten first)`,
      );
    }
  }
  for (const head of heads) {
    const problem = headProblem(head, (blob) => shapes.get(blob)!, { width: size, height: size, classes });
    if (problem) throw new FormatError(`at ${size}x${size} pixels, ${problem}`);
  }
}
