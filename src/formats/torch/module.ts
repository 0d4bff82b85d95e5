/** A checked view of one pickled `torch.nn.Module`: its class, attributes, sub-modules and tensors, all read with errors. */

import { FormatError, UnsupportedError } from "../../base/errors.ts";
import { brief } from "../../base/text.ts";
import type { TorchArchive } from "./archive.ts";
import { describe, type PyDict, PyObject, PyTensor, type PyValue } from "./values.ts";

export interface TensorValues {
  readonly shape: readonly number[];
  /** Row-major. Shared with other users of the tensor: do not write into it. */
  readonly data: Float32Array;
}

const listClasses: ReadonlySet<string> = new Set(
  ["ModuleList", "Sequential"].map((name) => `torch.nn.modules.container.${name}`),
);
/** Names of sub-modules become blob names, which must be single words in a `.param` file. */
const childName = /^[A-Za-z0-9_-]{1,64}$/;
const maxPathLength = 256;

export class TorchModule {
  readonly className: string;
  /** Names of the sub-modules from the root, as in state_dict keys: `model.0.conv`; empty for the root. */
  readonly path: string;
  private readonly archive: TorchArchive;
  private readonly state: PyDict;

  constructor(object: PyValue, path: string, archive: TorchArchive) {
    this.path = path;
    this.archive = archive;
    if (!(object instanceof PyObject)) {
      throw new FormatError(`module "${path}": expected a torch module, found ${describe(object)}`);
    }
    this.className = object.className;
    if (!(object.state instanceof Map)) {
      throw new FormatError(`module "${path}" (${brief(this.className)}) has no attributes`);
    }
    this.state = object.state;
  }

  /** The class without its package: `Detect`. */
  get shortName(): string {
    return this.className.slice(this.className.lastIndexOf(".") + 1);
  }

  fail(message: string): never {
    throw new FormatError(`module "${this.path}" (${brief(this.className)}): ${message}`);
  }
  unsupported(message: string): never {
    throw new UnsupportedError(`module "${this.path}" (${brief(this.className)}): ${message}`);
  }

  /** Path of a node made for `part` of this module. */
  at(part: string): string {
    return this.path ? `${this.path}.${part}` : part;
  }

  has(name: string): boolean {
    return this.state.has(name);
  }
  /** An attribute as it was pickled; `undefined` when it is not there. */
  attribute(name: string): PyValue | undefined {
    return this.state.get(name);
  }
  integer(name: string, least = 0): number {
    return this.checkInteger(name, this.state.get(name), least);
  }
  private checkInteger(name: string, value: PyValue | undefined, least: number): number {
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value < 2 ** 31)
      return value;
    return this.fail(`attribute ${name} is ${describe(value)}, expected a whole number of at least ${least}`);
  }
  /** A list of whole numbers. */
  integers(name: string, least = 0): number[] {
    const value = this.state.get(name);
    if (!Array.isArray(value))
      return this.fail(`attribute ${name} is ${describe(value)}, expected a list of numbers`);
    return value.map((item) => this.checkInteger(name, item, least));
  }
  /** A list or a tensor of numbers. */
  numbers(name: string): number[] {
    const value = this.state.get(name);
    if (value instanceof PyTensor) return Array.from(this.archive.values(value));
    if (Array.isArray(value) && value.every((item) => typeof item === "number" && Number.isFinite(item))) {
      return value as number[];
    }
    return this.fail(`attribute ${name} is ${describe(value)}, expected numbers`);
  }
  /** The objects in the list `list` of an attribute that is an object itself; none where it is not there. */
  objects(name: string, list: string): TorchModule[] {
    const value = this.state.get(name);
    const items = value instanceof PyObject && value.state instanceof Map ? value.state.get(list) : undefined;
    return (Array.isArray(items) ? items : [])
      .filter((item) => item instanceof PyObject && item.state instanceof Map)
      .map((item, i) => new TorchModule(item, this.at(`${name}.${i}`), this.archive));
  }
  number(name: string): number {
    const value = this.state.get(name);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.fail(`attribute ${name} is ${describe(value)}, expected a number`);
  }
  /** A boolean attribute; one that older versions do not have counts as false. */
  flag(name: string): boolean {
    const value = this.state.get(name) ?? false;
    return typeof value === "boolean"
      ? value
      : this.fail(`attribute ${name} is ${describe(value)}, expected True or False`);
  }
  /** `k` or `(kh, kw)`. */
  pair(name: string, least = 0): readonly [h: number, w: number] {
    const value = this.state.get(name);
    const items = Array.isArray(value) ? value : [value, value];
    if (items.length !== 2) this.fail(`attribute ${name} is ${describe(value)}, expected one or two numbers`);
    return [this.checkInteger(name, items[0], least), this.checkInteger(name, items[1], least)];
  }

  private table(name: string): PyDict {
    const value = this.state.get(name);
    return value instanceof Map ? value : this.fail(`${name} is ${describe(value)}, expected a dict`);
  }

  /** Sub-modules in order, without those that are None. */
  children(): [name: string, module: TorchModule][] {
    const result: [string, TorchModule][] = [];
    for (const [name, value] of this.table("_modules")) {
      if (typeof name !== "string" || !childName.test(name)) {
        this.fail(`sub-module name ${describe(name)} is not a word of at most 64 characters`);
      }
      if (value !== null) result.push([name, new TorchModule(value, this.childPath(name), this.archive)]);
    }
    return result;
  }
  /** The modules in the list of modules `name`, in order. */
  list(name: string): TorchModule[] {
    const list = this.child(name);
    if (!listClasses.has(list.className)) list.unsupported("expected a list of modules here");
    return list.children().map(([, module]) => module);
  }
  optionalChild(name: string): TorchModule | undefined {
    const value = this.table("_modules").get(name) ?? undefined;
    return value === undefined ? undefined : new TorchModule(value, this.childPath(name), this.archive);
  }
  child(name: string): TorchModule {
    return this.optionalChild(name) ?? this.fail(`sub-module ${name} is missing`);
  }
  private childPath(name: string): string {
    const path = this.at(name);
    return path.length <= maxPathLength ? path : this.fail(`path is longer than ${maxPathLength} characters`);
  }
  /**
   * Checks that the sub-modules are these and no other, so that a class that was changed by its user is refused and not
   * converted wrongly. A trailing `?` marks those that may be missing.
   */
  expectChildren(parts: readonly string[]): void {
    const allowed = new Set(parts.map((part) => part.replace("?", "")));
    for (const [name, value] of this.table("_modules")) {
      if (value !== null && !(typeof name === "string" && allowed.has(name))) {
        this.unsupported(
          `sub-module ${describe(name)} is not known to this class (expected ${parts.join(", ") || "none"}): a modified class; export the model to ONNX and convert that`,
        );
      }
    }
    for (const part of parts) if (!part.endsWith("?")) this.child(part);
  }

  /** A parameter or buffer, `undefined` when it is None or not there. */
  optionalTensor(name: string): TensorValues | undefined {
    const value =
      this.table("_parameters").get(name) ?? this.table("_buffers").get(name) ?? this.state.get(name) ?? null;
    if (value === null) return undefined;
    if (!(value instanceof PyTensor)) this.fail(`${name} is ${describe(value)}, expected a tensor`);
    return { shape: value.shape, data: this.archive.values(value) };
  }
  tensor(name: string, rank?: number): TensorValues {
    const value = this.optionalTensor(name) ?? this.fail(`tensor ${name} is missing`);
    if (rank !== undefined && value.shape.length !== rank) {
      this.fail(`${name} has shape [${value.shape}], expected ${rank} axes`);
    }
    return value;
  }
  /** A rank 1 tensor of known length. */
  vector(name: string, length: number): Float32Array {
    const { shape, data } = this.tensor(name);
    return shape.length === 1 && shape[0] === length
      ? data
      : this.fail(`${name} has shape [${shape}], expected [${length}]`);
  }
  /** Takes `count` values from the archive's allowance (see TorchArchive.pay). */
  pay(count: number): number {
    return this.archive.pay(count);
  }
}

/** Whether a value is an instance of a module class (with `_modules`). */
export function isModule(value: PyValue | undefined): value is PyObject {
  return (
    value instanceof PyObject && value.state instanceof Map && value.state.get("_modules") instanceof Map
  );
}
