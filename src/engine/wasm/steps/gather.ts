import {
  emitGather,
  emitSharedGather,
  type GatherRun,
  type GatherSpec,
  type SharedGatherSpec,
} from "../../../kernels/wasm/index.ts";
import { origin, slotsOf, writeBytes } from "../../representations.ts";
import type { GatherStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import type { KernelCall } from "../records.ts";
import { callOverRows, type Planning, type StepKind, sizeOf } from "./kind.ts";

export const gather: StepKind<GatherStep, GatherSpec | SharedGatherSpec> = {
  kind: "gather",
  quantizes: true,
  /** In the representations in which its result is read. */
  needs: ({ input, output }, read) => {
    for (const need of output.needs) {
      const channels = input.channels.filter((_, c) => need.channels === undefined || need.channels.has(c));
      read.channels(channels, need);
    }
  },
  lowest: ({ input }, of) => Math.min(...input.channels.map((ref) => of(ref.value))),
  copies: (step) =>
    step.output.representations
      .filter((target) => target.dtype === "i8")
      .flatMap((target) =>
        distinctSources(gatheredRefs(step, target)).map((source) => [source, target] as const),
      ),
  plan: (step, at) => {
    const { kind, nodes, frame, scaleX, scaleY, output } = step;
    const what = frame ? "pad" : scaleX * scaleY > 1 ? "resize nearest" : "gather";
    return {
      kind,
      nodes,
      label: `${what} ${output.representations.map((r) => r.dtype).join("+")} ${sizeOf(output)}`,
      macs: 0,
      bytes: 2 * writeBytes(output),
      calls: output.representations.map((target) => callFor(step, target, at)),
    };
  },
  emit: (m, name, spec) =>
    spec.kind === "gather" ? emitGather(m, name, spec) : emitSharedGather(m, name, spec),
};

/** The call that writes one representation. */
function callFor(step: GatherStep, target: Representation, at: Planning): KernelCall {
  const { frame, output } = step;
  const refs = gatheredRefs(step, target);
  const sources = distinctSources(refs);
  const [{ height, width }] = sources.length ? [sources[0].value] : [output];
  const runs = runsOf(refs, sources);
  if (at.target.compact && !frame) return sharedCall(step, target, sources, runs, at);
  const spec: GatherSpec = {
    kind: "gather",
    dtype: target.dtype,
    rows: output.height,
    width: output.width,
    scaleY: step.scaleY,
    scaleX: step.scaleX,
    runs,
    outPixelBytes: target.pixelBytes,
    outRowBytes: target.rowBytes,
    ...(frame && {
      frame: { ...frame, inputRows: height, inputWidth: width, fill: target.zeroPoint },
    }),
  };
  return callOverRows(spec, [...sources.map(origin), origin(target)], output);
}

/** By the kernel that finds its runs in memory. */
function sharedCall(
  { scaleY, scaleX, output }: GatherStep,
  target: Representation,
  sources: readonly Representation[],
  runs: readonly GatherRun[],
  { data }: Planning,
): KernelCall {
  const { dtype, pixelBytes, rowBytes } = target;
  const size = dtype === "f32" ? 4 : 1;
  const table = runs.flatMap((run) => [
    origin(sources[run.source]) + run.from * size,
    ...[run.rowBytes, run.pixelBytes, run.to * size, run.length * size],
  ]);
  const list = [data.add(Int32Array.from(table)), runs.length];
  const args = [...list, origin(target), output.width, pixelBytes, rowBytes];
  return callOverRows({ kind: "sharedGather", scaleY, scaleX }, args, output);
}

/** What lands in a slot of the result; undefined: nothing. */
type GatheredRef = { readonly source: Representation; readonly slot: number } | undefined;

/** What lands in each slot of a representation. */
function gatheredRefs({ input, output }: GatherStep, target: Representation): GatheredRef[] {
  return Array.from(slotsOf(output), (channel) => {
    if (channel < 0 || channel >= input.channels.length) return undefined;
    const { value, channel: from } = input.channels[channel];
    const scale = target.scales?.[channel] ?? 0;
    if (target.dtype === "i8" && scale === 0) return undefined;
    return { source: value.find(target.dtype, scale, from), slot: value.slot(from) };
  });
}

function distinctSources(refs: readonly GatheredRef[]): Representation[] {
  return [...new Set(refs.flatMap((ref) => ref?.source ?? []))];
}

/** Slots that lie side by side in a source and in the result are moved together. */
function runsOf(refs: readonly GatheredRef[], sources: readonly Representation[]): GatherRun[] {
  const runs: { -readonly [K in keyof GatherRun]: GatherRun[K] }[] = [];
  refs.forEach((ref, to) => {
    if (!ref) return;
    const last = runs.at(-1);
    const continues =
      last &&
      sources[last.source] === ref.source &&
      last.from + last.length === ref.slot &&
      last.to + last.length === to;
    if (continues) last.length++;
    else {
      const { pixelBytes, rowBytes } = ref.source;
      const source = sources.indexOf(ref.source);
      runs.push({ source, from: ref.slot, to, length: 1, pixelBytes, rowBytes });
    }
  });
  return runs;
}
