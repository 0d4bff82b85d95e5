/** Machines to plan for, and the comparison of engine and reference. */
import { expect } from "vitest";
import { Program } from "../../src/engine/wasm/program.ts";
import { type PlanTarget, wideTiles } from "../../src/engine/wasm/target.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import { formatShape, type Tensor } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import { features } from "../../src/wasm/index.ts";
import { noteProgram } from "../kernels/goldens.ts";
import { expectLike, onGpu, runOnGpu } from "./gpu.ts";

export { graphOf, randomInputs, type WeightOptions } from "./graph-of.ts";

// ---- machines

const tile = (pixels: number, vectors: number) => ({ pixels, vectors });
const tiles = { f32: tile(4, 2), relaxed: tile(4, 2), pairs: tile(3, 2), i16: tile(4, 2) };
const base: PlanTarget = {
  relaxed: false,
  fusedMadd: false,
  signSelect: false,
  dot: "i16",
  pairTop: 0,
  threads: 1,
  wide: false,
  constantsInMemory: false,
  tiles,
};
/** All tiles of one size. */
const tiled = (pixels: number, vectors: number): PlanTarget["tiles"] => {
  const all = tile(pixels, vectors);
  return { f32: all, relaxed: all, pairs: all, i16: all };
};

export type Machine = readonly [name: string, target: PlanTarget];

const found = features();
const relaxed: PlanTarget = {
  ...base,
  relaxed: true,
  constantsInMemory: true,
  fusedMadd: found.madd === "fused",
  signSelect: found.signSelect,
  tiles: { ...tiles, f32: tile(6, 2), relaxed: tile(6, 2) },
};

/**
 * Machines with the tiles of wide vectors, where V8 was told to join vectors:
 * `node node_modules/vitest/vitest.mjs run test/engine test/ops --execArgv=--experimental-wasm-revectorize --execArgv=--no-liftoff`
 * (joined code is optimised code only; without the second flag these small networks would never get there).
 */
const isWide = process.execArgv.includes("--experimental-wasm-revectorize");
const wide = (machines: readonly Machine[]): Machine[] =>
  isWide
    ? machines.map(
        ([name, target]) => [`${name}, wide`, { ...target, wide: true, tiles: wideTiles }] as const,
      )
    : [];

/** Where relaxed SIMD is missing only the plain machine is left. */
const narrowFloatMachines: readonly Machine[] = [
  ["plain", base],
  ["tile 3x3", { ...base, tiles: tiled(3, 3) }],
  ...(found.relaxedSimd ? [["relaxed", relaxed] as const] : []),
];
export const floatMachines = [...narrowFloatMachines, ...wide(narrowFloatMachines)];

/** Dot products of other machines in plain instructions. */
const like = (dot: "signed" | "unsigned" | "i7"): PlanTarget => ({ ...base, dot, emulateDot: dot });

/** Every way to do int8 dot products: in plain instructions, as other machines would, and as this one does. */
const narrowInt8Machines: readonly Machine[] = [
  ["i16", base],
  ["i16, tile 3x3", { ...base, tiles: tiled(3, 3) }],
  ["signed, emulated", like("signed")],
  ["unsigned, emulated", like("unsigned")],
  ["unsigned, emulated, tile 1x1", { ...like("unsigned"), tiles: tiled(1, 1) }],
  ["i7, emulated", like("i7")],
  ["i7 pairs, emulated", { ...like("i7"), pairTop: 127 }],
  ["i7 pairs, emulated, tile 5x1", { ...like("i7"), pairTop: 127, tiles: tiled(5, 1) }],
  ["unsigned pairs, emulated", { ...like("unsigned"), dot: "i7", pairTop: 255 }],
  ...(found.relaxedSimd ? [["relaxed, i16", relaxed] as const] : []),
  ...(["signed", "unsigned", "saturating", "i7"].includes(found.dot)
    ? [["relaxed, i7", { ...relaxed, dot: "i7" }] as const]
    : []),
  ...(found.pairDot === "none"
    ? []
    : [["relaxed, i7 pairs", { ...relaxed, dot: "i7", pairTop: 127 }] as const]),
  ...(found.pairDot === "saturating" || found.pairDot === "unsigned"
    ? [["relaxed, unsigned pairs", { ...relaxed, dot: "i7", pairTop: 255 }] as const]
    : []),
  ...(found.dot === "signed" || found.dot === "unsigned"
    ? [[`relaxed, ${found.dot}`, { ...relaxed, dot: found.dot }] as const]
    : []),
];
export const int8Machines = [...narrowInt8Machines, ...wide(narrowInt8Machines)];

/** Machines that are the same whatever this one is. */
const fixedTargets = new Set(
  [...narrowFloatMachines, ...narrowInt8Machines].flatMap(([, t]) => (t.relaxed ? [] : [t])),
);

// ---- running and comparing

export type Outputs = Record<string, Tensor>;

/** Runs a graph on the engine; by default once more on memory that the first run has used, with equal results. */
export async function runEngine(
  graph: Graph,
  inputs: Record<string, Tensor>,
  target: PlanTarget,
  outputs: readonly string[] = graph.outputs,
  runs = 2,
): Promise<{ outputs: Outputs; program: Program }> {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([blob, { shape }]) => [blob, shape]));
  const program = await Program.make(graph, shapes, outputs, target);
  try {
    const first = program.run(inputs);
    for (let run = 2; run <= runs; run++) {
      const again = program.run(inputs);
      for (const blob of outputs) expectEqual(again[blob], first[blob], `run ${run}, ${blob}`);
    }
    if (onGpu && target === base) {
      const there = await runOnGpu(graph, inputs, outputs);
      for (const blob of outputs) expectLike(there[blob], first[blob], `webgpu, ${blob}`);
    }
    if (fixedTargets.has(target)) noteProgram(program.plan, program.compiled);
    return { outputs: first, program };
  } finally {
    program.close();
  }
}

/** Node types that ran in JavaScript. */
export function referenceTypes({ plan }: Program): string[] {
  return plan.steps.flatMap(({ reference }) => (reference ? [reference.node.type] : []));
}

function expectSameKind(found: Tensor, expected: Tensor, what: string): void {
  expect(formatShape(found.shape), what).toBe(formatShape(expected.shape));
  expect(found.data.constructor, what).toBe(expected.data.constructor);
  expect(found.data.length, what).toBe(expected.data.length);
}

const isSame = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));

/** Every number is the same; +0 and −0 are, and so are NaNs. */
export function expectEqual(found: Tensor, expected: Tensor, what: string): void {
  expectSameKind(found, expected, what);
  let wrong = 0;
  let at = -1;
  for (let i = expected.data.length - 1; i >= 0; i--) {
    if (isSame(expected.data[i], found.data[i])) continue;
    wrong++;
    at = i;
  }
  if (wrong === 0) return;
  expect.fail(
    `${what}: ${wrong} of ${expected.data.length} differ, element ${at} is ${found.data[at]} for ${expected.data[at]}`,
  );
}

/** |found − expected| ≤ tolerance at every element; NaN is met by NaN only. */
export function expectClose(
  found: Tensor,
  expected: Tensor,
  tolerance: (i: number) => number,
  what: string,
): void {
  expectSameKind(found, expected, what);
  for (const [i, x] of expected.data.entries()) {
    if (isSame(x, found.data[i]) || Math.abs(x - found.data[i]) <= tolerance(i)) continue;
    expect.fail(`${what}: element ${i} is ${found.data[i]} for ${x}, more than ${tolerance(i)} away`);
  }
}

/** 2⁻²⁴, half the distance of neighbouring floats around 1. */
export const epsilon = 2 ** -24;

/**
 * Rounding that layers of sums add up to, relative to the largest number: about √k errors of ε in a sum of k, and a dozen for
 * activations. A wrong channel or pixel is off by thousands of times that.
 */
export function graphTolerance(graph: Graph): number {
  let errors = 8;
  for (const node of graph.nodes) {
    const p = paramsOf(node, ops) as Record<string, number>;
    errors += 12 + (p.weight_data_size ? 4 * Math.sqrt(p.weight_data_size / p.num_output) : 0);
  }
  return errors * epsilon;
}

/** The largest magnitude, empty windows (NaN averages, lowest maxima) left out. */
export function largest({ data }: Tensor): number {
  let most = 0;
  for (const x of data) if (Math.abs(x) < 1e30) most = Math.max(most, Math.abs(x));
  return most;
}

/** `[groups, inputs, outputs]` of grouped convolutions, most of which miss the vector width. */
export const groupings: readonly (readonly [groups: number, inputs: number, outputs: number])[] = [
  [2, 6, 10],
  [3, 9, 3],
  [4, 16, 32],
  [5, 5, 10],
  [5, 25, 5],
  [1, 7, 5],
  [1, 1, 1],
  [2, 34, 26],
];
