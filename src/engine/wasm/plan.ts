/**
 * Steps to kernel calls over one memory: which representations every value has, the order of its channels, borders and
 * addresses. What a step needs, and how it is carried out, its kind says (`steps/`); nothing here knows one.
 */
import { UnsupportedError } from "../../base/errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import type { PixelInput } from "../backend.ts";
import { type Lowered, lower } from "../lower/index.ts";
import { collectNeeds, isLive } from "../needs.ts";
import { borderFill, decideOrder, decideRepresentations, hasBorder, placesOf } from "../representations.ts";
import { outputsOf, type Step } from "../steps.ts";
import type { Value } from "../values.ts";
import { align, StaticData, slack } from "./memory.ts";
import { planPixels } from "./pixels.ts";
import { allocateValues, packConstant } from "./places.ts";
import type { Plan, PlanStep } from "./records.ts";
import { kindOf } from "./steps/index.ts";
import type { Planning } from "./steps/kind.ts";
import { quantizeStep } from "./steps/quantize.ts";
import type { PlanTarget } from "./target.ts";
import { controlAddresses } from "./threads.ts";
import { decideZeroPoints, Lowest } from "./zero-points.ts";

/** Addresses are signed numbers of 32 bits in the generated code. */
const maxMemoryBytes = 2 ** 31;

/**
 * Throws GraphError when the shapes do not fit (see `lower`), UnsupportedError for networks that need too much memory. With `source` the network
 * is not fed with that blob, but with pixels. Constants lie behind the values, or in `apart`.
 */
export function makePlan(
  graph: Graph,
  inputShapes: Record<string, Shape>,
  outputs: readonly string[],
  target: PlanTarget,
  source?: PixelInput,
  apart?: StaticData,
): Plan {
  const lowered = lower(graph, inputShapes, outputs, { placed: source?.blob });
  collectNeeds(lowered, kindOf, target);
  const steps = lowered.steps.filter(isLive);
  const values = lowered.values.filter((value) => value.needs.length > 0);
  for (const value of values) decideOrder(value.order);
  for (const value of values) decideRepresentations(value);
  const lowest = new Lowest(lowered.steps);
  decideZeroPoints(steps, values, target, lowest);
  // Memory: control words and constants of kernels, then the arena of values, then constants, then scratch.
  const { arena, buffers } = allocateValues(
    values.filter((value) => !value.constant),
    controlAddresses.end,
  );
  const data = apart ?? new StaticData(align(arena.end + slack));
  for (const value of values) packConstant(data, value);
  let scratchBytes = 0;
  const planned = planSteps(lowered, steps, {
    data,
    target,
    lowestOf: (value) => lowest.of(value),
    needScratch: (bytes) => {
      scratchBytes = Math.max(scratchBytes, align(bytes));
    },
  });
  const placing = source && lowered.placed && planPixels(lowered.placed, source.levels, data);
  const scratchAddress = align((apart ? arena : data).end + slack);
  const scratchEnd = scratchAddress + scratchBytes * target.threads + slack;
  const { pixels, end: memoryBytes } = placing?.(align(scratchEnd)) ?? { end: scratchEnd };
  if (memoryBytes > maxMemoryBytes) {
    throw new UnsupportedError(
      `the model needs ${Math.ceil(memoryBytes / 2 ** 20)} MiB of memory at this input size, and the wasm engine has ${maxMemoryBytes / 2 ** 20}; make the input smaller`,
    );
  }
  return {
    steps: planned,
    inputs: placesOf(lowered.inputs),
    outputs: lowered.outputs,
    staticData: data,
    scratchAddress,
    scratchBytes,
    memoryBytes,
    buffers,
    pixels,
    filledBorders: values.flatMap((value) =>
      value.representations.flatMap((r) => {
        const fill = hasBorder(value) ? borderFill(r) : 0;
        return fill === 0 ? [] : [{ address: r.address, byteLength: r.byteLength, dtype: r.dtype, fill }];
      }),
    ),
  };
}

function planSteps({ inputs }: Lowered, steps: readonly Step[], at: Planning): PlanStep[] {
  const quantized = (values: readonly Value[]): PlanStep[] =>
    values.flatMap((value) => quantizeStep(value, at) ?? []);
  const planned = quantized([...inputs.values()].map(({ value }) => value));
  for (const step of steps) {
    const kind = kindOf(step);
    planned.push(kind.plan(step, at));
    if (!kind.quantizes) planned.push(...quantized(outputsOf(step)));
  }
  return planned;
}
