/**
 * A YOLOv5-family training checkpoint (`torch.save` of the whole model) as a graph of raw ncnn layers and the facts that
 * a manifest needs. Nothing in the file is executed; see `pickle.ts` and `globals.ts` for what it can make us do.
 * Source: ultralytics/yolov5 v7.0 train.py (checkpoint keys), models/experimental.py (`attempt_load`), models/yolo.py.
 */
import { FormatError, inContext, UnsupportedError } from "../../base/errors.ts";
import { type Graph, inferShapes, verify } from "../../ir/graph.ts";
import { formatShape } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import { TorchArchive } from "./archive.ts";
import { blockEmitters } from "./blocks.ts";
import { NetworkBuilder } from "./builder.ts";
import { emitDetect, type TorchHead } from "./detect.ts";
import { layerEmitters } from "./layers.ts";
import { isModule, TorchModule } from "./module.ts";
import { describe, type PyDict, type PyObject, PyTensor, type PyValue } from "./values.ts";

export type { TorchHead } from "./detect.ts";

export interface TorchModel {
  /** Raw layers as the modules have them; nothing folded. Input blob `images`, output blobs `output0`, `output1`, … */
  graph: Graph;
  input: {
    /** Colour channels of the input blob. */
    channels: number;
    /** Training size in pixels, where the checkpoint says it. */
    size?: number;
  };
  /** In the order of the output blobs; empty when the network has no Detect module. */
  heads: TorchHead[];
  /** Class names by class number. */
  labels: string[];
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

export const torchInputBlob = "images";

/** Classes around a model that PyTorch and YOLOv5 have, and the name of what is inside. */
const wrappers: ReadonlyMap<string, string> = new Map([
  ["models.common.AutoShape", "model"],
  ["models.common.autoShape", "model"],
  ["models.common.DetectMultiBackend", "model"],
  ["torch.nn.parallel.data_parallel.DataParallel", "module"],
  ["torch.nn.parallel.distributed.DistributedDataParallel", "module"],
]);
const maxWrappers = 8;

/** Models and last modules that are no detector's, or another family's. */
const otherKinds: ReadonlyMap<string, string> = new Map([
  ["models.yolo.SegmentationModel", "a segmentation model"],
  ["models.yolo.Segment", "a segmentation model"],
  ["models.yolo.ClassificationModel", "a classification model"],
  ["models.common.Classify", "a classification model"],
  ...["IDetect", "IAuxDetect", "IBin"].map((name) => [`models.yolo.${name}`, "a YOLOv7 model"] as const),
  ["models.yolo.IKeypoint", "a YOLOv7 pose model"],
  ...["DDetect", "DualDetect", "DualDDetect", "TripleDetect", "TripleDDetect"].map(
    (name) => [`models.yolo.${name}`, "a YOLOv9 model"] as const,
  ),
]);

const yoloClasses = new Set(["models.yolo.Model", "models.yolo.DetectionModel"]);
const detectClass = "models.yolo.Detect";
/** Modules behind Detect that only post-process. */
const nmsClass = "models.common.NMS";

/**
 * Reads a checkpoint. Throws FormatError for bytes that are not one or contradict themselves, UnsupportedError for what
 * is recognised but not convertible (TorchScript, weights without structure, unknown classes, names not allowed).
 */
export function readTorch(bytes: Uint8Array, fileName: string): TorchModel {
  const archive = new TorchArchive(bytes, fileName);
  return inContext(fileName, () => buildModel(archive));
}

function buildModel(archive: TorchArchive): TorchModel {
  const { object, part, checkpoint } = findModel(archive.root);
  const root = new TorchModule(unwrap(object), "", archive);
  refuseOtherKinds(root);
  const builder = new NetworkBuilder(new Map([...layerEmitters, ...blockEmitters]));
  const graph = builder.graph;
  const yaml = root.attribute("yaml");
  const channels = inputChannels(root, yaml);
  graph.add({ type: "Input", name: torchInputBlob, outputs: [torchInputBlob] });
  const isYolo = yoloClasses.has(root.className);
  const found = isYolo ? emitYolo(builder, root, yaml) : undefined;
  if (!isYolo) builder.emit(root, torchInputBlob);
  const heads = found?.heads ?? [];
  check(graph, channels, heads);
  return {
    graph,
    input: { channels, ...trainingSize(checkpoint) },
    heads,
    labels: readLabels(root, found?.classes ?? 0),
    provenance: { className: root.className, part, ...readProvenance(root, checkpoint) },
  };
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
    throw new UnsupportedError(
      `weights only (a state_dict of ${weights.size} entries such as ${describe([...weights.keys()][0])}): the network's structure is missing. Save the whole model in the project that trained it, torch.save({"model": model}, "model.pt"), or export it to ONNX`,
    );
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

function refuseOtherKinds(root: TorchModule): void {
  const layers = root.optionalChild("model")?.children() ?? [];
  const classes = [root.className, ...layers.slice(-1).map(([, layer]) => layer.className)];
  for (const className of classes) {
    const kind = otherKinds.get(className);
    if (!kind) continue;
    throw new UnsupportedError(
      `the checkpoint holds ${kind} (${className}); of checkpoints only YOLOv5 detectors are read: export it to ONNX in the project that trained it and convert that`,
    );
  }
}

function stateDictIn(root: PyDict): PyDict | undefined {
  const candidates = [
    root,
    ...["state_dict", "model_state_dict", "model", "ema"].map((key) => root.get(key)),
  ];
  return candidates.find(
    (value): value is PyDict =>
      value instanceof Map && value.size > 0 && [...value.values()].some((v) => v instanceof PyTensor),
  );
}

/**
 * `Model.forward`: every module reads the outputs of the modules in its `f` (−1: the one before), and the last one is
 * Detect.
 */
function emitYolo(
  b: NetworkBuilder,
  root: TorchModule,
  yaml: PyValue | undefined,
): { heads: TorchHead[]; classes: number } {
  root.expectChildren(["model"]);
  const outputs: string[] = [];
  const layers = root.child("model").children();
  for (const [index, [, layer]] of layers.entries()) {
    const sources = readSources(layer).map((f) =>
      sourceBlob(layer, f, outputs, index === 0 ? torchInputBlob : undefined),
    );
    if (layer.className === detectClass) {
      const rest = layers.slice(index + 1).find(([, after]) => after.className !== nmsClass);
      if (rest) rest[1].unsupported("a module behind Detect");
      const anchors = yaml instanceof Map ? yaml.get("anchors") : undefined;
      return emitDetect(b, layer, sources, anchors);
    }
    outputs.push(b.emit(layer, ...sources));
  }
  return root.unsupported(
    `there is no ${detectClass} module, only detectors can be converted (the last module is ${layers.at(-1)?.[1].className ?? "missing"})`,
  );
}

function readSources(layer: TorchModule): number[] {
  const f = layer.attribute("f");
  const sources = Array.isArray(f) ? f : [f];
  if (sources.length === 0) layer.fail("attribute f is an empty list, expected module numbers");
  return sources.map((source) =>
    typeof source === "number" && Number.isInteger(source)
      ? source
      : layer.fail(`attribute f is ${describe(f)}, expected module numbers`),
  );
}

function sourceBlob(
  layer: TorchModule,
  source: number,
  outputs: readonly string[],
  input: string | undefined,
): string {
  if (input !== undefined && source === -1) return input;
  const blob = outputs.at(source);
  return blob ?? layer.fail(`reads module ${source}, but only ${outputs.length} come before it`);
}

function inputChannels(root: TorchModule, yaml: PyValue | undefined): number {
  const channels = yaml instanceof Map ? (yaml.get("ch") ?? 3) : 3;
  if (channels === 1 || channels === 3) return channels;
  return root.unsupported(`${describe(channels)} input channels, expected 3 (RGB) or 1`);
}

function trainingSize(checkpoint: PyDict | undefined): { size?: number } {
  const options = checkpoint?.get("opt");
  const size = options instanceof Map ? (options.get("imgsz") ?? options.get("img_size")) : undefined;
  const first = Array.isArray(size) ? size[0] : size;
  return typeof first === "number" && Number.isInteger(first) && first > 0 ? { size: first } : {};
}

/** `names` is a list, or since 6.2 a dict from class number. */
function readLabels(root: TorchModule, classes: number): string[] {
  const names = root.attribute("names");
  if (names === undefined || names === null) return Array.from({ length: classes }, (_, i) => `${i}`);
  const list = names instanceof Map ? Array.from({ length: names.size }, (_, i) => names.get(i)) : names;
  if (!Array.isArray(list)) return root.fail(`names is ${describe(names)}, expected class names`);
  if (list.length !== classes) root.fail(`${list.length} class names for ${classes} classes`);
  return list.map(
    (name, i) => labelText(name) ?? root.fail(`the name of class ${i} is ${describe(name)}, expected text`),
  );
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
function check(graph: Graph, channels: number, heads: readonly TorchHead[]): void {
  verify(graph, ops);
  const size = 2 * Math.max(32, ...heads.map((head) => head.stride));
  const shapes = inferShapes(graph, ops, { [torchInputBlob]: [channels, size, size] });
  for (const node of graph.nodes) {
    const shape = node.type === "InnerProduct" ? shapes.get(node.inputs[0]) : undefined;
    if (shape && shape.length !== 1) {
      throw new UnsupportedError(
        `module "${node.name}": Linear on a blob of ${formatShape(shape)}, expected one axis (Flatten first)`,
      );
    }
  }
  for (const { blob, stride } of heads) {
    const [, cells] = shapes.get(blob) ?? [];
    if (cells !== (size / stride) ** 2) {
      throw new FormatError(
        `head ${blob} has ${cells} cells for ${size}x${size} pixels, but its stride ${stride} calls for ${(size / stride) ** 2}`,
      );
    }
  }
}
