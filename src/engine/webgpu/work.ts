/** What an inference comes to, counted from the plan, beside the least that the network needs. */
import { elementCount } from "../../ir/tensor.ts";
import { macsDone, type Storage } from "../../kernels/webgpu/index.ts";
import type { Lowered } from "../lower/index.ts";
import { floatOf } from "../representations.ts";
import { outputsOf, type Step } from "../steps.ts";
import type { Value } from "../values.ts";
import { fetchedOf, groupBytes } from "./fetched.ts";
import type { PlanStep, StepPlan, Traffic, Work } from "./records.ts";
import { trafficOf } from "./steps/kind.ts";

/** What is told to every dispatch: a range of a uniform buffer. */
const toldBytes = 256;

/** That a dispatch touches. */
export function bytesOf({ traffic, call }: StepPlan, residuals: readonly Value[], storage: Storage): number {
  const sizes = { f32: groupBytes[storage], i8: 4 };
  const of = (all: readonly Traffic[]): number =>
    all.reduce((sum, { dtype, groups }) => sum + groups * sizes[dtype], 0);
  const weights =
    call?.weights instanceof Float32Array ? call.weights.length * (sizes.f32 / 4) : call?.weights?.byteLength;
  const constants = (call?.constants?.byteLength ?? 0) + (call?.table?.byteLength ?? 0);
  return (
    of(traffic) +
    of(residuals.map((value) => trafficOf(floatOf(value)))) +
    (weights ?? 0) +
    constants +
    (call ? toldBytes : 0)
  );
}

/** Pictures that are added at the end of a step. */
export const residualsOf = (step: Step): Value[] =>
  "fused" in step ? step.fused.flatMap((done) => (done.kind === "residual" ? [done.value] : [])) : [];

export function workOf(
  steps: readonly PlanStep[],
  network: Pick<Lowered, "steps" | "values" | "inputs" | "outputs">,
  storage: Storage,
): Work {
  const calls = steps.flatMap(({ call }) => call ?? []);
  const fetched = fetchedOf(network.outputs, storage);
  const outputBytes = fetched.reduce(
    (sum, { shape, int8Scale }) =>
      sum + elementCount(shape) * (int8Scale === undefined ? groupBytes[storage] / 4 : 1),
    0,
  );
  const sumOf = (what: (step: PlanStep) => number): number =>
    steps.reduce((sum, step) => sum + what(step), 0);
  return {
    steps: steps.length,
    dispatches: calls.length,
    bytes: sumOf(({ bytes }) => bytes),
    leastBytes: leastBytes(network, storage),
    macs: sumOf(({ call, macs }) => (call && macsDone(call.spec)) ?? macs),
    leastMacs: sumOf(({ macs }) => macs),
    fetchedBytes: fetched.reduce((sum, { bytes }) => sum + bytes, 0),
    outputBytes,
  };
}

/** They compute nothing: their readers could read what they read. */
const moves: ReadonlySet<Step["kind"]> = new Set(["gather", "import", "copy", "join"]);

function leastBytes(
  { steps, values, inputs, outputs }: Pick<Lowered, "steps" | "values" | "inputs" | "outputs">,
  storage: Storage,
): number {
  const float = groupBytes[storage] / 4;
  const given = new Set([...inputs.values()].map(({ value }) => value));
  const asked = new Set([...outputs.values()].map(({ value }) => value));
  const moved = new Set(steps.flatMap((step) => (moves.has(step.kind) ? outputsOf(step) : [])));
  let sum = 0;
  for (const value of values) {
    const isFloat = value.representations.some(({ dtype }) => dtype === "f32");
    const bytes = value.channels * value.height * value.width * (isFloat ? float : 1);
    if (given.has(value) || asked.has(value) || value.constant) sum += bytes;
    else if (!moved.has(value)) sum += 2 * bytes;
  }
  return steps.reduce((all, step) => all + weightBytes(step, float), sum);
}

function weightBytes(step: Step, float: number): number {
  const isSum = step.kind === "convolution" || step.kind === "depthwise";
  const weight = isSum ? step.weight.length * (step.int8 ? 1 : float) : 0;
  const bias = isSum ? (step.bias?.length ?? 0) : 0;
  const affine = step.kind === "layerNorm" ? step.gamma.length + step.beta.length : 0;
  const fused = "fused" in step ? step.fused : [];
  const scales = fused.reduce((all, done) => all + (done.kind === "scale" ? 2 * done.bias.length : 0), 0);
  return weight + (bias + affine + scales) * 4;
}

/** For people. */
export function workText(work: Work): string {
  const part = (what: string, found: number, least: number, unit: number, name: string): string =>
    `${what} ${(found / unit).toFixed(2)} ${name}, ${(least / unit).toFixed(2)} needed (${(found / Math.max(least, 1)).toFixed(2)})`;
  return `${work.steps} steps, ${work.dispatches} dispatches; ${part("moved", work.bytes, work.leastBytes, 1e6, "MB")}; ${part("products", work.macs, work.leastMacs, 1e6, "M")}; ${part("read back", work.fetchedBytes, work.outputBytes, 1e3, "kB")}\n`;
}
