/**
 * A torch.save archive: `NAME/data.pkl` (the object), `NAME/data/KEY` (one storage each), and a few small entries.
 * Source: PyTorch torch/serialization.py (`_save`, `_load`), 1.6–2.x.
 */

import { ByteReader } from "../../base/bytes.ts";
import { FormatError, UnsupportedError } from "../../base/errors.ts";
import { bitsToF32, fp16ToFloat32Array } from "../../base/fp16.ts";
import { elementCount } from "../../ir/tensor.ts";
import { readPickle } from "./pickle.ts";
import { type PyStorage, type PyTensor, type PyValue, storageTypes } from "./values.ts";
import { isZip, wrongFile } from "./wrong-file.ts";
import { ZipArchive } from "./zip.ts";

/** A real model uses every weight about once; a file whose views and shared modules multiply the data is refused. */
const maxValuesPerByte = 4;

export class TorchArchive {
  readonly root: PyValue;
  private readonly zip: ZipArchive;
  private readonly what: string;
  private readonly prefix: string;
  private readonly storages = new Map<string, Float32Array>();
  private readonly tensors = new Map<PyTensor, Float32Array>();
  private valuesLeft: number;

  /** Parses the object; storages are read when asked for. Throws FormatError or UnsupportedError. */
  constructor(bytes: Uint8Array, what: string) {
    if (!isZip(bytes)) throw wrongFile(bytes, what);
    this.what = what;
    this.zip = new ZipArchive(bytes, what);
    this.prefix = findPrefix(this.zip, what);
    const names = this.zip.names;
    this.valuesLeft = maxValuesPerByte * names.reduce((sum, name) => sum + this.zip.size(name), 0);
    this.checkByteOrder();
    this.root = readPickle(this.zip.read(`${this.prefix}data.pkl`), `${what}/${this.prefix}data.pkl`);
  }

  private checkByteOrder(): void {
    const name = `${this.prefix}byteorder`;
    if (!this.zip.has(name)) return;
    const order = new TextDecoder().decode(this.zip.read(name));
    if (order !== "little") {
      throw new UnsupportedError(
        `${this.what}: byte order is ${JSON.stringify(order.slice(0, 20))}, expected little`,
      );
    }
  }

  /** The values of a tensor of any float type, row-major. Shared: do not write into them. */
  values(tensor: PyTensor): Float32Array {
    const known = this.tensors.get(tensor);
    if (known) return known;
    const count = elementCount(tensor.shape);
    // A view that repeats values, as the grids that Detect keeps after it ran; no weight is one.
    if (count > tensor.storage.count) {
      throw new FormatError(
        `${this.what}: a weight of shape [${tensor.shape}] repeats the ${tensor.storage.count} values of its storage`,
      );
    }
    const source = this.storage(tensor.storage);
    const result = isContiguous(tensor)
      ? source.subarray(tensor.offset, tensor.offset + count)
      : gather(source, tensor, this.pay(count));
    this.tensors.set(tensor, result);
    return result;
  }

  /** Takes `count` values from the allowance for data made from this archive. */
  pay(count: number): number {
    this.valuesLeft -= count;
    if (this.valuesLeft < 0) {
      throw new FormatError(
        `${this.what}: the weights would grow to more than ${maxValuesPerByte} values for each byte of the file`,
      );
    }
    return count;
  }

  private storage(storage: PyStorage): Float32Array {
    const name = `${this.prefix}data/${storage.key}`;
    // One entry may be mentioned with several types.
    const id = `${storage.type} ${storage.count} ${storage.key}`;
    const known = this.storages.get(id);
    if (known) return known;
    const { dtype, bytes: bytesEach } = storageTypes[storage.type];
    if (!this.zip.has(name)) {
      throw new FormatError(`${this.what}: entry "${name}" with the values of a tensor is missing`);
    }
    if (this.zip.size(name) !== storage.count * bytesEach) {
      throw new FormatError(
        `${this.what}: entry "${name}" has ${this.zip.size(name)} bytes, expected ${storage.count * bytesEach} (${storage.count} × ${dtype})`,
      );
    }
    this.pay(storage.count);
    const values = decode(new ByteReader(this.zip.read(name), `${this.what}/${name}`), storage);
    this.storages.set(id, values);
    return values;
  }
}

/** `NAME/` of the single `NAME/data.pkl`; says so when the archive is another kind of file. */
function findPrefix(zip: ZipArchive, what: string): string {
  const names = zip.names;
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (names.some((name) => /^[^/]+\/(constants\.pkl|code\/.*)$/.test(name))) {
    throw new UnsupportedError(
      `${what}: a TorchScript archive (torch.jit.save); use the training checkpoint it was made from, or export the model to ONNX`,
    );
  }
  if (names.some((name) => name === "[Content_Types].xml" || name.startsWith("META-INF/"))) {
    throw new FormatError(`${what}: a zip archive of another program, not a torch checkpoint`);
  }
  if (pickles.length !== 1) {
    throw new FormatError(
      `${what}: a zip archive with ${pickles.length} data.pkl entries, expected one: this is not what torch.save writes (first entries: ${names.slice(0, 3).join(", ") || "none"})`,
    );
  }
  return pickles[0].slice(0, -"data.pkl".length);
}

function decode(reader: ByteReader, { type, count }: PyStorage): Float32Array {
  switch (storageTypes[type].dtype) {
    case "float32":
      return reader.f32Array(count, "float32 values");
    case "float16":
      return fp16ToFloat32Array(reader.u16Array(count, "float16 values"));
    case "bfloat16":
      return Float32Array.from(reader.u16Array(count, "bfloat16 values"), (bits) => bitsToF32(bits * 65536));
    case "float64":
      return Float32Array.from({ length: count }, () => reader.f64("float64 value"));
    // Strides of YOLOv6.
    case "int64":
      return Float32Array.from({ length: count }, () => Number(reader.i64("int64 value")));
    default:
      throw new UnsupportedError(
        `${reader.what}: weights of type ${storageTypes[type].dtype} are not supported, expected a float type`,
      );
  }
}

function isContiguous({ shape, strides }: PyTensor): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

function gather(source: Float32Array, { shape, strides, offset }: PyTensor, count: number): Float32Array {
  const out = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = offset; i < count; i++) {
    out[i] = source[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}
