/** What a checkpoint's pickle turns into: plain data and inert records. Nothing here has behaviour. */

/** Lists and tuples are arrays, dicts are Maps. */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyValue[]
  | PyDict
  | PySet
  | PyGlobal
  | PyObject
  | PyStorage
  | PyTensor;
export type PyDict = Map<PyValue, PyValue>;

/** A reference to a name of the allow-list. It stays a name. */
export class PyGlobal {
  /** `torch.nn.modules.conv.Conv2d`. */
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** An object that Python would have built: which class or function, from which arguments, with which state. */
export class PyObject {
  readonly className: string;
  readonly args: PyValue;
  state: PyValue = null;
  constructor(className: string, args: PyValue) {
    this.className = className;
    this.args = args;
  }
}

export class PySet {
  readonly items: PyValue[];
  constructor(items: PyValue[]) {
    this.items = items;
  }
}

export const storageTypes = {
  FloatStorage: { dtype: "float32", bytes: 4 },
  HalfStorage: { dtype: "float16", bytes: 2 },
  BFloat16Storage: { dtype: "bfloat16", bytes: 2 },
  DoubleStorage: { dtype: "float64", bytes: 8 },
  LongStorage: { dtype: "int64", bytes: 8 },
  IntStorage: { dtype: "int32", bytes: 4 },
  ShortStorage: { dtype: "int16", bytes: 2 },
  CharStorage: { dtype: "int8", bytes: 1 },
  ByteStorage: { dtype: "uint8", bytes: 1 },
  BoolStorage: { dtype: "bool", bytes: 1 },
} as const;
export type StorageType = keyof typeof storageTypes;

/** A block of numbers in the archive entry `data/KEY`. */
export class PyStorage {
  readonly type: StorageType;
  readonly key: string;
  readonly count: number;
  constructor(type: StorageType, key: string, count: number) {
    this.type = type;
    this.key = key;
    this.count = count;
  }
}

/** A strided view of a storage; offset and strides count elements. Always inside the storage; larger than it where it repeats values. */
export class PyTensor {
  readonly storage: PyStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: PyStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** `a dict`, `a torch.Size`, … for error messages. */
export function describe(value: PyValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (typeof value === "string") return value.length > 40 ? "a long string" : JSON.stringify(value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return `${value}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof PyTensor) return `a tensor of shape [${value.shape}]`;
  if (value instanceof PyObject) return `a ${value.className}`;
  if (value instanceof PyGlobal) return value.name;
  return value instanceof PySet ? "a set" : value instanceof PyStorage ? "a storage" : "bytes";
}
