import { type ConvolutionSpec, paddedDepth, paddedGroups } from "../../../kernels/webgpu/index.ts";
import { slotsOf } from "../../representations.ts";
import type { ConvolutionStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import { endingOf } from "../epilogue.ts";
import type { Traffic } from "../records.ts";
import { fitted } from "../tiles.ts";
import { type StepKind, trafficOf } from "./kind.ts";

export const convolution: StepKind<ConvolutionStep> = {
  kind: "convolution",
  quantizes: true,
  needs: ({ input, int8 }, read) =>
    read.channels(input.channels, { dtype: int8 ? "i8" : "f32", scale: int8?.inputScale ?? 0 }),
  plan: (step, at) => {
    const { kind, nodes, input, output, int8, x, y, weight, bias, fused, roundOnce } = step;
    const groups = inputGroups(step);
    const dtype = int8 ? "i8" : "f32";
    const isPartial = dtype === "f32" && groups.some(({ channels }) => channels.includes(-1));
    const pixelGroups = isPartial ? undefined : soleDistance(groups);
    const ending = endingOf(output, fused, int8 ? "i32" : "f32", { bias, int8, roundOnce });
    const spec: ConvolutionSpec = {
      kind,
      dot: dtype,
      y,
      x,
      inputs: groups.length,
      pixelGroups,
      isPartial,
      fill: input.channels[0].value.fill(dtype),
      tile: fitted(at.tileFor(step), y.kernel * x.kernel * groups.length),
      epilogue: ending.epilogue,
    };
    const table = pixelGroups === undefined ? tableOf(groups) : undefined;
    const window = x.kernel * y.kernel > 1 ? ` ${x.kernel}x${y.kernel}` : "";
    const stride = x.stride * y.stride > 1 ? `s${y.stride}` : "";
    return {
      kind,
      nodes,
      label: `conv ${dtype}${window}${stride} ${input.channels.length}>${output.channels} ${x.output}x${y.output}`,
      macs: weight.length * y.output * x.output,
      traffic: [readBy(groups), ...output.representations.map(trafficOf)].flat(),
      call: {
        spec,
        args: [groups[0].address, ...ending.args],
        weights: int8 ? packBytes(step, spec, groups) : packFloats(step, spec, groups),
        constants: ending.constants,
        ...(table && { table }),
      },
    };
  },
};

/** Four slots of a representation that are read, with the convolution's input channel in each, −1 where it reads none. */
interface InputGroup {
  readonly representation: Representation;
  /** At pixel 0. */
  readonly address: number;
  readonly channels: Int32Array;
}

/** All groups in which some channel of the input lies, in memory order of each value; one that is read twice comes twice. */
function inputGroups({ input, int8 }: ConvolutionStep): InputGroup[] {
  const byPlace = new Map<Representation, Map<number, Int32Array[]>>();
  input.channels.forEach(({ value, channel }, c) => {
    const r = value.find(int8 ? "i8" : "f32", int8?.inputScale ?? 0, channel);
    const slot = value.slot(channel);
    const groups = byPlace.get(r) ?? new Map<number, Int32Array[]>();
    byPlace.set(r, groups);
    const readings = groups.get(slot >> 2) ?? [];
    groups.set(slot >> 2, readings);
    let channels = readings.find((one) => one[slot & 3] < 0);
    if (!channels) {
      channels = new Int32Array(4).fill(-1);
      readings.push(channels);
    }
    channels[slot & 3] = c;
  });
  return [...byPlace].flatMap(([representation, groups]) =>
    [...groups]
      .sort(([a], [b]) => a - b)
      .flatMap(([group, readings]) =>
        readings.map((channels) => ({ representation, address: representation.address + group, channels })),
      ),
  );
}

const distance = ({ representation }: InputGroup): number => representation.value.slotCount / 4;

/** Groups between pixels, where all groups lie side by side in one value. */
function soleDistance(groups: readonly InputGroup[]): number | undefined {
  const [first] = groups;
  const isRun = groups.every(
    (group, i) => group.representation === first.representation && group.address === first.address + i,
  );
  return isRun ? distance(first) : undefined;
}

/** Of each group: place at pixel 0, groups between pixels, a bit for each lane that is read. */
function tableOf(groups: readonly InputGroup[]): Uint32Array {
  const table = new Uint32Array(groups.length * 4);
  groups.forEach((group, i) => {
    table[i * 4] = group.address;
    table[i * 4 + 1] = distance(group);
    table[i * 4 + 2] = group.channels.reduce(
      (bits, channel, lane) => (channel < 0 ? bits : bits | (1 << lane)),
      0,
    );
  });
  return table;
}

/** Each place once, however often its group comes. */
function readBy(groups: readonly InputGroup[]): Traffic[] {
  const places = new Map(groups.map((group) => [group.address, group.representation]));
  return [...places.values()].map(({ dtype, value }) => ({ dtype, groups: value.height * value.width }));
}

/** Calls with every weight of the matrix: its group of k and lane in it, its slot among the outputs. */
function eachWeight(
  { weight, output, x, y }: ConvolutionStep,
  groups: readonly InputGroup[],
  put: (k: number, lane: number, slot: number, weight: number) => void,
): void {
  const taps = x.kernel * y.kernel;
  const perOutput = weight.length / output.channels;
  const slots = slotsOf(output);
  for (let tap = 0; tap < taps; tap++) {
    for (let g = 0; g < groups.length; g++) {
      const { channels } = groups[g];
      for (let lane = 0; lane < 4; lane++) {
        const channel = channels[lane];
        if (channel < 0) continue;
        const column = channel * taps + tap;
        for (let slot = 0; slot < slots.length; slot++) {
          const o = slots[slot];
          if (o >= 0) put(tap * groups.length + g, lane, slot, weight[o * perOutput + column]);
        }
      }
    }
  }
}

function packFloats(
  step: ConvolutionStep,
  spec: ConvolutionSpec,
  groups: readonly InputGroup[],
): Float32Array {
  const across = paddedGroups(spec);
  const out = new Float32Array(paddedDepth(spec) * across * 16);
  eachWeight(step, groups, (k, lane, slot, weight) => {
    out[(k * across + (slot >> 2)) * 16 + lane * 4 + (slot & 3)] = weight;
  });
  return out;
}

function packBytes(step: ConvolutionStep, spec: ConvolutionSpec, groups: readonly InputGroup[]): Uint32Array {
  const across = paddedGroups(spec);
  const out = new Int8Array(paddedDepth(spec) * across * 16);
  eachWeight(step, groups, (k, lane, slot, weight) => {
    out[(k * across + (slot >> 2)) * 16 + (slot & 3) * 4 + lane] = weight;
  });
  return new Uint32Array(out.buffer);
}
