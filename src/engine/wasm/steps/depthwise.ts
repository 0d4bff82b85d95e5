import { type DepthwiseSpec, depthwiseBlock, emitDepthwise } from "../../../kernels/wasm/index.ts";
import type { DepthwiseStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import { epilogueOf, largestOf, packEpilogue } from "../epilogue.ts";
import { floatOf, origin, slotsOf, widenBorder, windowOrigin, writeBytes } from "../representations.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const depthwise: StepKind<DepthwiseStep, DepthwiseSpec> = {
  kind: "depthwise",
  quantizes: true,
  needs: (step, read) => {
    if (step.int8) read.int8(step.input, step.int8.inputScale);
    else read.float(step.input);
    widenBorder(step.input, step);
  },
  plan: (step, { data, lowestOf }) => {
    const { kind, nodes, input, output, int8, x, y } = step;
    const source = int8 ? input.find("i8", int8.inputScale, 0) : floatOf(input);
    const epilogue = epilogueOf(step.fused, output.representations, int8 ? "i32" : "f32", {
      largest: largestOf(step),
    });
    const weights = data.add(packWeights(step, source));
    const spec: DepthwiseSpec = {
      kind,
      input: source.dtype,
      zeroPoint: source.zeroPoint,
      kernelH: y.kernel,
      kernelW: x.kernel,
      strideH: y.stride,
      strideW: x.stride,
      dilationH: y.dilation,
      dilationW: x.dilation,
      rows: y.output,
      width: x.output,
      vectors: output.slotCount / 4,
      pixelBytes: source.pixelBytes,
      rowBytes: source.rowBytes,
      tapGroups: int8 ? groupTaps(step, lowestOf(input) === 0) : [],
      tile: int8 ? 2 : 4,
      epilogue,
    };
    const numbers = { fused: step.fused, bias: step.bias, int8 };
    const constants = packEpilogue(data, epilogue, output, numbers, depthwiseBlock(spec) / 4);
    const residual = step.fused.find((done) => done.kind === "residual");
    const args = [
      windowOrigin(source, step),
      weights,
      constants,
      residual ? origin(floatOf(residual.value)) : 0,
      ...output.representations.map(origin),
    ];
    const window = `${x.kernel}x${y.kernel}${y.stride > 1 ? `s${y.stride}` : ""}`;
    return {
      kind,
      nodes,
      label: `depthwise ${int8 ? "s8" : "f32"} ${window} ${sizeOf(output)}`,
      macs: step.weight.length * y.output * x.output,
      bytes: step.weight.length + source.byteLength + writeBytes(output),
      calls: [callOverRows(spec, args, output)],
    };
  },
  emit: emitDepthwise,
};

/** Weights `[block of channels][tap][channel]`. */
function packWeights(
  { weight, output, x, y }: DepthwiseStep,
  input: Representation,
): Float32Array | Int16Array {
  const block = depthwiseBlock({ input: input.dtype });
  const slots = slotsOf(output);
  const taps = y.kernel * x.kernel;
  const count = Math.ceil(slots.length / block) * taps * block;
  const out = input.dtype === "i8" ? new Int16Array(count) : new Float32Array(count);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    for (let tap = 0; tap < taps; tap++) {
      out[(Math.floor(slot / block) * taps + tap) * block + (slot % block)] = weight[channel * taps + tap];
    }
  });
  return out;
}

/**
 * Splits the taps into as few consecutive groups as keep every channel's sum within 16 bits: 127·Σ|w| ≤ 32767, or where
 * inputs cannot be negative, the positive and the negative weights each.
 */
function groupTaps({ weight, x, y }: DepthwiseStep, nonNegative: boolean): number[] {
  const taps = y.kernel * x.kernel;
  const channels = weight.length / taps;
  const most = Math.floor(32767 / 127);
  const groups: number[] = [];
  let positive = new Int32Array(channels);
  let negative = new Int32Array(channels);
  for (let tap = 0; tap < taps; tap++) {
    const at = (c: number): number => weight[c * taps + tap];
    const p = positive.map((sum, c) => sum + Math.max(at(c), 0));
    const n = negative.map((sum, c) => sum + Math.max(-at(c), 0));
    const fits = p.every((sum, c) => (nonNegative ? Math.max(sum, n[c]) : sum + n[c]) <= most);
    if (groups.length > 0 && fits) {
      groups[groups.length - 1]++;
      [positive, negative] = [p, n];
    } else {
      groups.push(1);
      positive = positive.map((_, c) => Math.max(at(c), 0));
      negative = negative.map((_, c) => Math.max(-at(c), 0));
    }
  }
  return groups;
}
