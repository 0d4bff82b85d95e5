/**
 * The allow-list of the pickle machine: every global name that a checkpoint may mention, and what a mention may do.
 * Classes become inert records; the few functions are data constructors that are re-stated here. There is no lookup of
 * anything by name in JavaScript: a name is in the tables below or it is refused.
 * Sources: what torch.save of PyTorch 1.6–2.x and YOLOv5 3.0–7.0 / YOLOv5-Lite training write.
 */
import { elementCount } from "../../ir/tensor.ts";
import { packageRefusal } from "./others.ts";
import {
  PyGlobal,
  PyObject,
  PySet,
  PyStorage,
  PyTensor,
  type PyValue,
  type StorageType,
  storageTypes,
} from "./values.ts";

/** Thrown by a constructor whose arguments do not fit; the machine adds file, opcode and position. */
export class ArgumentError extends Error {}

export type Global =
  /** May be instantiated (NEWOBJ), giving a PyObject. */
  | { readonly kind: "class" }
  /** May be called (REDUCE). */
  | { readonly kind: "function"; readonly call: (args: PyValue[], name: string) => PyValue }
  /** May only be mentioned. */
  | { readonly kind: "constant" };

const constant: Global = { kind: "constant" };
const classRecord: Global = { kind: "class" };
/** A call kept as a record: nothing of it is needed to rebuild the network. */
const record: Global = { kind: "function", call: (args, name) => new PyObject(name, args) };
const pass: Global = { kind: "function", call: ([value = null]) => value };

/** Methods that YOLOv5's `fuse()` stores in a module's `forward` attribute. */
const forwardNames = new Set(["forward", "fuseforward", "forward_fuse", "fusevggforward"]);

const enumeration = "torchvision.transforms.functional.InterpolationMode";

const table: ReadonlyMap<string, Global> = new Map<string, Global>([
  ["torch._utils._rebuild_tensor_v2", { kind: "function", call: rebuildTensor }],
  ["torch._utils._rebuild_parameter", pass],
  ["torch.Size", pass],
  ["torch.device", record],
  ["collections.OrderedDict", { kind: "function", call: emptyDict }],
  ["builtins.set", { kind: "function", call: makeSet }],
  [enumeration, record],
  ["builtins.getattr", { kind: "function", call: boundForward }],
  ["_codecs.encode", record],
  ["numpy.dtype", record],
  ["numpy.ndarray", constant],
  ["numpy.core.multiarray._reconstruct", record],
  ["numpy.core.multiarray.scalar", record],
  ["numpy._core.multiarray._reconstruct", record],
  ["numpy._core.multiarray.scalar", record],
  // Python 3.13 keeps them in `pathlib._local`.
  ...["pathlib", "pathlib._local"].flatMap((module) =>
    ["Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"].map(
      (name): [string, Global] => [`${module}.${name}`, record],
    ),
  ),
  // DetectMultiBackend keeps its local variables, among them this function.
  ["utils.downloads.attempt_download", constant],
  ["utils.google_utils.attempt_download", constant],
  ["argparse.Namespace", classRecord],
  // Options that a model keeps while it is being trained.
  ["types.SimpleNamespace", record],
  ["ultralytics.utils.IterableSimpleNamespace", record],
  ["ultralytics.yolo.utils.IterableSimpleNamespace", record],
  ...Object.keys(storageTypes).map((name): [string, Global] => [`torch.${name}`, constant]),
  ...["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"].map(
    (name): [string, Global] => [`torch.${name}`, constant],
  ),
]);

/** Modules (Python files) of which every class may occur as a record. Which of them can be converted is decided later. */
const moduleFiles = [
  "torch\\.nn\\.modules\\.[a-z_]+",
  "torch\\.nn\\.parallel\\.(data_parallel|distributed)",
  "torch\\.distributed\\.algorithms\\.join",
  // YOLOv5 and those that took its files over.
  "models\\.(common|yolo|experimental)",
  "utils\\.(activations|augmentations)",
  // What a network that sorts pictures was fed with.
  "torchvision\\.transforms\\.transforms",
  "yolov6\\.layers\\.common",
  "yolov6\\.models\\.(yolo|yolo_lite|efficientrep|reppan|effidehead|heads\\.[a-z_]+)",
  // Since 8.0.90 modules are a folder; options and losses stay in a model that is being trained.
  "ultralytics\\.nn\\.(tasks|modules)(\\.[a-z_]+)?",
  "ultralytics\\.(yolo\\.)?utils(\\.[a-z_]+)?",
  // How a classifier's pictures are prepared.
  "torchvision\\.transforms\\.transforms",
  "ultralytics\\.data\\.augment",
  "ultralytics\\.yolo\\.data\\.augment",
  "ultralytics\\.yolo\\.v8(\\.[a-z_]+)*",
];
const modulePattern = new RegExp(`^(${moduleFiles.join("|")})\\.[A-Za-z_]\\w*$`);

const maxNameLength = 128;

/** `undefined` when the name is not allowed. Python 2's `__builtin__`, which protocol 2 writes, is `builtins`. */
export function findGlobal(module: string, name: string): { name: string; global: Global } | undefined {
  const full = `${module === "__builtin__" ? "builtins" : module}.${name}`;
  // A dotted name would walk into attributes.
  if (name.includes(".") || full.length > maxNameLength) return undefined;
  const global = table.get(full) ?? (modulePattern.test(full) ? classRecord : undefined);
  return global && { name: full, global };
}

/** What a name that is refused says about the file, and what to do. `shown` is the name as messages show it. */
export function refusal(module: string, shown: string): string {
  const [top] = module.split(".");
  if (top === "ultralytics") {
    return `a checkpoint of the ultralytics package with something that is not read (${shown}): export it, yolo export model=FILE.pt format=onnx, and convert that`;
  }
  if (module.startsWith("torch._dynamo")) {
    return `the model was saved as torch.compile wrapped it (it holds ${shown}): save the model inside, torch.save({"model": model._orig_mod}, "model.pt")`;
  }
  const known = packageRefusal(top, shown);
  if (known) return known;
  return `the checkpoint asks for ${shown}, which is not allowed: nothing in a checkpoint is ever executed, and only names that checkpoints of YOLO models need are allowed; if you trust the file, load it in PyTorch and export it to ONNX`;
}

function emptyDict(args: readonly PyValue[]): PyValue {
  if (args.length) throw new ArgumentError("OrderedDict with arguments is not supported");
  return new Map();
}

function makeSet([items = []]: readonly PyValue[]): PyValue {
  if (!Array.isArray(items)) throw new ArgumentError("set() takes a list");
  return new PySet(items);
}

/** Of a module, or of a class, as Segment keeps Detect's; and of one enumeration, its members. */
function boundForward([object, method]: readonly PyValue[]): PyValue {
  if (object instanceof PyGlobal && object.name === enumeration && typeof method === "string") {
    return new PyObject(enumeration, [method]);
  }
  const isClass = object instanceof PyGlobal && modulePattern.test(object.name);
  const className = isClass ? object.name : object instanceof PyObject ? object.className : undefined;
  if (className === undefined || typeof method !== "string" || !forwardNames.has(method)) {
    throw new ArgumentError("getattr() is allowed only for the forward method of a module");
  }
  return new PyObject(`${className}.${method}`, null);
}

/** A persistent id of torch.save: `("storage", torch.XStorage, key, location, element count)`. */
export function storageFromId(id: PyValue, typeName: string | undefined): PyStorage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== "storage") {
    throw new ArgumentError("persistent id is not a storage tuple of 5");
  }
  const [, , key, , count] = id;
  const type = typeName?.slice("torch.".length) ?? "";
  if (!Object.hasOwn(storageTypes, type))
    throw new ArgumentError(`storage type ${typeName ?? "?"} is unknown`);
  if (typeof key !== "string") throw new ArgumentError("storage key is not a string");
  if (!isCount(count)) throw new ArgumentError("storage size is not a count");
  return new PyStorage(type as StorageType, key, count);
}

const maxRank = 8;

function rebuildTensor([storage, offset, shape, strides]: readonly PyValue[]): PyValue {
  if (!(storage instanceof PyStorage)) throw new ArgumentError("tensor without a storage");
  if (!isCount(offset)) throw new ArgumentError("tensor offset is not a count");
  if (!isCounts(shape) || !isCounts(strides) || shape.length !== strides.length) {
    throw new ArgumentError(`tensor size and strides are not two equally long lists of at most ${maxRank}`);
  }
  const count = elementCount(shape);
  const last = shape.reduce((at, extent, i) => at + (extent - 1) * strides[i], offset);
  if (count > 0 && last >= storage.count) {
    throw new ArgumentError(
      `tensor of shape [${shape}] at ${offset} does not fit its storage of ${storage.count} elements`,
    );
  }
  return new PyTensor(storage, offset, shape, strides);
}

function isCount(value: PyValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PyValue | undefined): value is number[] {
  return Array.isArray(value) && value.length <= maxRank && value.every(isCount);
}
