/** One-layer networks with native ncnn's results, made by scripts/op-goldens.py. */
import { readFileSync } from "node:fs";
import { ByteWriter } from "../../src/base/bytes.ts";
import { float32ToFp16Array } from "../../src/base/fp16.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { elementCount, type Tensor } from "../../src/ir/tensor.ts";

interface StoredCase {
  readonly type: string;
  readonly params: string;
  /** Largest error allowed, relative to the largest output (at least 1); 0 asks for equality. */
  readonly tolerance: number;
  readonly inputs: readonly { shape: number[]; exponent: number | null }[];
  readonly weights: readonly { kind: WeightKind; count: number; exponent: number | null }[];
  readonly outputs: readonly { shape: number[] }[];
}
type WeightKind = "raw" | "tagged" | "int8" | "half";

export interface Case {
  readonly title: string;
  readonly type: string;
  readonly tolerance: number;
  readonly graph: Graph;
  readonly inputs: readonly Tensor[];
  readonly expected: readonly Tensor[];
}

const url = (name: string): URL => new URL(`data/${name}`, import.meta.url);

export function loadCases(): Case[] {
  const stored = JSON.parse(readFileSync(url("cases.json"), "utf8")) as StoredCase[];
  const bytes = new Uint8Array(readFileSync(url("cases.bin")));
  let offset = 0;
  /** The next values: float32, or int8 times a power of two. */
  const take = (count: number, exponent: number | null): Float32Array => {
    const part = bytes.slice(offset, offset + count * (exponent === null ? 4 : 1));
    offset += part.length;
    if (exponent === null) return new Float32Array(part.buffer);
    return Float32Array.from(new Int8Array(part.buffer), (q) => q * 2 ** exponent);
  };
  const tensor = ({ shape, exponent }: { shape: number[]; exponent: number | null }): Tensor => ({
    shape,
    data: take(elementCount(shape), exponent),
  });
  const cases = stored.map((entry) => {
    const inputs = entry.inputs.map(tensor);
    const weights = new ByteWriter();
    for (const { kind, count, exponent } of entry.weights) writeWeight(weights, kind, take(count, exponent));
    const expected = entry.outputs.map(({ shape }) => tensor({ shape, exponent: null }));
    const shapes = entry.inputs.map(({ shape }) => `[${shape}]`).join(" ");
    return {
      title: `${entry.type} ${entry.params} ${shapes}`,
      type: entry.type,
      tolerance: entry.tolerance,
      graph: readNcnn(paramText(entry), weights.finish()),
      inputs,
      expected,
    };
  });
  if (offset !== bytes.length)
    throw new Error(`cases.bin has ${bytes.length} bytes, the cases take ${offset}`);
  return cases;
}

function paramText({ type, params, inputs, outputs }: StoredCase): string {
  const bottoms = inputs.map((_, i) => `in${i}`);
  const tops = outputs.map((_, i) => `out${i}`);
  const lines = bottoms.map((blob) => `Input ${blob} 0 1 ${blob}`);
  lines.push([type, "layer", bottoms.length, tops.length, ...bottoms, ...tops, params].join(" "));
  return ["7767517", `${lines.length} ${bottoms.length + tops.length}`, ...lines, ""].join("\n");
}

function writeWeight(writer: ByteWriter, kind: WeightKind, values: Float32Array): void {
  if (kind === "raw") writer.array(values);
  else if (kind === "tagged") writer.u32(0).array(values);
  else if (kind === "half") writer.u32(0x01306b47).array(float32ToFp16Array(values)).align(4);
  else writer.u32(0x000d4b38).array(Int8Array.from(values)).align(4);
}
