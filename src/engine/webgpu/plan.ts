/** Steps to dispatches over two buffers, one of floats and one of bytes: nothing here knows a kind of step (`steps/`). */
import type { Graph } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import { quantize } from "../../ops/int8.ts";
import { Arena } from "../arena.ts";
import { lower } from "../lower/index.ts";
import { collectNeeds, isLive } from "../needs.ts";
import { decideOrder, decideRepresentations, placesOf } from "../representations.ts";
import { outputsOf } from "../steps.ts";
import type { Representation, Value } from "../values.ts";
import type { Plan, PlanStep } from "./records.ts";
import { kindOf } from "./steps/index.ts";
import { groupCount, type Planning } from "./steps/kind.ts";
import { quantizeStep } from "./steps/quantize.ts";
import { bytesOf, residualsOf, workOf, workText } from "./work.ts";

/** Throws GraphError when the shapes do not fit (see `lower`). */
export function makePlan(
  graph: Graph,
  inputShapes: Record<string, Shape>,
  outputs: readonly string[],
  at: Planning,
): Plan {
  const { storage } = at.target;
  const lowered = lower(graph, inputShapes, outputs, { hasBorders: false });
  collectNeeds(lowered, kindOf, at);
  const steps = lowered.steps.filter(isLive);
  const values = lowered.values.filter((value) => value.needs.length > 0);
  for (const value of values) decideOrder(value.order);
  for (const value of values) decideRepresentations(value);
  const { floatGroups, byteGroups } = allocate(values);
  const planned: PlanStep[] = [];
  const quantizeThese = (made: readonly Value[]): void => {
    for (const value of made) {
      const step = quantizeStep(value);
      if (step) planned.push({ ...step, bytes: bytesOf(step, [], storage) });
    }
  };
  quantizeThese([...lowered.inputs.values()].map(({ value }) => value));
  for (const step of steps) {
    const kind = kindOf(step);
    const made = kind.plan(step, at);
    planned.push({ ...made, bytes: bytesOf(made, residualsOf(step), storage) });
    if (!kind.quantizes) quantizeThese(outputsOf(step));
  }
  return {
    steps: planned,
    work: workOf(planned, { ...lowered, steps, values }, storage),
    inputs: placesOf(lowered.inputs),
    outputs: lowered.outputs,
    floatGroups,
    byteGroups,
    constants: values.flatMap(constantsOf),
  };
}

/** Gives every representation its place; what is constant keeps it. */
function allocate(values: readonly Value[]): { floatGroups: number; byteGroups: number } {
  const arenas = { f32: new Arena(0, 0), i8: new Arena(0, 0) };
  for (const value of [...values].sort((a, b) => a.producer - b.producer)) {
    const last = value.constant ? Number.POSITIVE_INFINITY : Math.max(...value.needs.map(({ step }) => step));
    for (const r of value.representations) {
      const bytes = groupCount(value) * (r.dtype === "f32" ? 16 : 4);
      r.address = arenas[r.dtype].allocate(bytes, value.producer, last) / (r.dtype === "f32" ? 16 : 4);
    }
  }
  return { floatGroups: arenas.f32.end / 16, byteGroups: arenas.i8.end / 4 };
}

function constantsOf(value: Value): Plan["constants"][number][] {
  const { constant, channels, slotCount } = value;
  if (!constant) return [];
  return value.representations.map((r) => ({
    address: r.address,
    data: packed(r, constant, channels, slotCount),
  }));
}

function packed(
  { dtype, scales, value }: Representation,
  constant: Float32Array,
  channels: number,
  slots: number,
): Float32Array | Uint32Array {
  const count = (constant.length / channels) * slots;
  const floats = new Float32Array(dtype === "f32" ? count : 0);
  const bytes = new Int8Array(dtype === "i8" ? count : 0);
  for (let i = 0; i < constant.length; i++) {
    const channel = i % channels;
    const to = Math.floor(i / channels) * slots + value.slot(channel);
    if (dtype === "f32") floats[to] = constant[i];
    else bytes[to] = quantize(constant[i], scales![channel]);
  }
  return dtype === "f32" ? floats : new Uint32Array(bytes.buffer);
}

/** A plan as text, a step a line. */
export function describePlan({ steps, work, floatGroups, byteGroups }: Plan): string {
  const lines = steps.map(
    (step, i) => `${String(i).padStart(3)} ${step.label.padEnd(44)} ${step.nodes.join(" ")}`,
  );
  const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} kB`;
  const constants = steps.reduce(
    (sum, { call }) =>
      sum +
      (call?.weights?.byteLength ?? 0) +
      (call?.constants?.byteLength ?? 0) +
      (call?.table?.byteLength ?? 0),
    0,
  );
  return `${lines.join("\n")}\nvalues ${kilobytes(floatGroups * 16)}, integers ${kilobytes(byteGroups * 4)}, constants ${kilobytes(constants)} (floats as float32)\n${workText(work)}`;
}
