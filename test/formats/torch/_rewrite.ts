/** Takes a real checkpoint's pickle as values, lets a test change them, and writes it again. */
import { readPickle } from "../../../src/formats/torch/pickle.ts";
import {
  type PyDict,
  PyGlobal,
  PyObject,
  PySet,
  PyTensor,
  type PyValue,
} from "../../../src/formats/torch/values.ts";
import { crc32, ZipArchive } from "../../../src/formats/torch/zip.ts";
import { Pickle, type ZipEntry, zip } from "./_write.ts";

/** The checkpoint with what `change` made of its values. */
export function rewritten(bytes: Uint8Array, change: (root: PyValue) => PyValue | undefined): Uint8Array {
  const archive = new ZipArchive(bytes, "original");
  const name = archive.names.find((each) => each.endsWith("data.pkl"))!;
  const root = readPickle(archive.read(name), name);
  // It is made by calls, not of states.
  if (root instanceof Map) {
    attributesOf(root).delete("transforms");
    root.delete("best_fitness");
  }
  const writer = new Pickle().proto(4);
  write(writer, change(root) ?? root, new Map());
  const rest = archive.names
    .filter((each) => each !== name)
    .map((each): ZipEntry => ({ name: each, contents: archive.read(each), crc: crc32(archive.read(each)) }));
  return zip([{ name, contents: writer.stop() }, ...rest]);
}

/**
 * Attributes of the module at a path of sub-modules (`10.m.0.attn` in the model's list of layers, -1 the last; `neck` of a model that
 * has no such list), or of the model.
 */
export function attributesOf(root: PyValue, path?: string): PyDict {
  const checkpoint = root as PyDict;
  const model = (checkpoint.get("ema") ?? checkpoint.get("model")) as PyObject;
  let state = model.state as PyDict;
  if (path === undefined) return state;
  const list = childrenOf(state).has("model") ? ["model"] : [];
  for (const part of [...list, ...path.split(".")]) {
    const children = childrenOf(state);
    const child = children.get(part === "-1" ? [...children.keys()].at(-1)! : part);
    state = (child as PyObject).state as PyDict;
  }
  return state;
}

export const childrenOf = (state: PyDict): PyDict => state.get("_modules") as PyDict;

/** What fuse() puts in the place of a method. */
const forwardMethod = /\.(forward|fuseforward|forward_fuse)$/;

type Memo = Map<object, number>;

function write(p: Pickle, value: PyValue, memo: Memo): void {
  if (value === null) p.op("N");
  else if (typeof value === "boolean") p.op(value ? 0x88 : 0x89);
  else if (typeof value === "number") writeNumber(p, value);
  else if (typeof value === "string") p.string(value);
  else if (typeof value === "object" && !(value instanceof Uint8Array)) writeObject(p, value, memo);
  else throw new Error(`a ${typeof value} cannot be written`);
}

function writeNumber(p: Pickle, value: number): void {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) p.int(value);
  else {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    p.op("G").raw(bytes);
  }
}

function writeObject(p: Pickle, value: Exclude<PyValue, null | boolean>, memo: Memo): void {
  const key = value as object;
  const known = memo.get(key);
  if (known !== undefined) {
    p.get(known);
    return;
  }
  const remember = (): Pickle => {
    memo.set(key, memo.size);
    return p.put(memo.get(key)!);
  };
  const all = (items: Iterable<PyValue>): void => {
    p.op("(");
    for (const item of items) write(p, item, memo);
  };
  if (value instanceof Map) {
    p.op("}").add(remember);
    all([...value].flat());
    p.op("u");
  } else if (Array.isArray(value)) {
    p.op("]").add(remember);
    all(value);
    p.op("e");
  } else if (value instanceof PySet) {
    p.op(0x8f).add(remember);
    all(value.items);
    p.op(0x90);
  } else if (value instanceof PyGlobal) writeGlobal(p, value.name);
  else if (value instanceof PyTensor) writeTensor(p, value);
  else if (value instanceof PyObject && forwardMethod.test(value.className)) {
    const dot = value.className.lastIndexOf(".");
    p.global("builtins", "getattr").add((q) => writeGlobal(q, value.className.slice(0, dot)));
    p.string(value.className.slice(dot + 1))
      .op(0x86)
      .op("R")
      .add(remember);
  } else if (value instanceof PyObject) {
    writeGlobal(p, value.className);
    p.op(")").op(0x81).add(remember);
    write(p, value.state, memo);
    p.op("b");
  } else throw new Error("a value of a kind that cannot be written");
}

function writeGlobal(p: Pickle, name: string): void {
  const dot = name.lastIndexOf(".");
  p.global(name.slice(0, dot), name.slice(dot + 1));
}

function writeTensor(p: Pickle, { storage, offset, shape, strides }: PyTensor): void {
  const tuple = (values: readonly number[]): void => {
    p.op("(");
    for (const value of values) p.int(value);
    p.op("t");
  };
  writeGlobal(p, "torch._utils._rebuild_tensor_v2");
  p.op("(").op("(").string("storage");
  writeGlobal(p, `torch.${storage.type}`);
  p.string(storage.key).string("cpu").int(storage.count).op("t").op("Q").int(offset);
  tuple(shape);
  tuple(strides);
  p.op(0x89);
  writeGlobal(p, "collections.OrderedDict");
  p.op(")").op("R").op("t").op("R");
}
