import { type DepthwiseSpec, emitDepthwise } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, slotsOf, widenBorder, windowOrigin, writeBytes } from "../../representations.ts";
import type { DepthwiseStep } from "../../steps.ts";
import { epilogueOf, largestOf, packEpilogue } from "../epilogue.ts";
import type { PlanTarget } from "../target.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const depthwise: StepKind<DepthwiseStep, DepthwiseSpec> = {
  kind: "depthwise",
  quantizes: true,
  needs: (step, read) => {
    if (step.int8) read.int8(step.input, step.int8.inputScale);
    else read.float(step.input);
    widenBorder(step.input, step);
  },
  plan: (step, { data, target, lowestOf }) => {
    const { kind, nodes, input, output, int8, x, y } = step;
    const source = int8 ? input.find("i8", int8.inputScale, 0) : floatOf(input);
    const sum = int8 ? (takesDots(step, target) ? "dots" : "i16") : "f32";
    const epilogue = epilogueOf(step.fused, output.representations, int8 ? "i32" : "f32", {
      correction: sum === "dots" && source.zeroPoint > 0,
      largest: largestOf(step),
    });
    const block = sum === "i16" || (sum === "f32" && target.wide) ? 2 : 1;
    const weights = data.add(sum === "dots" ? packDots(step) : packWeights(step, sum, block * 4));
    const spec: DepthwiseSpec = {
      kind,
      sum,
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
      tapGroups: sum === "i16" ? groupTaps(step, lowestOf(input) === 0) : [],
      tile: sum === "i16" ? 2 : 4,
      block,
      epilogue,
    };
    const correction = epilogue.correction ? correctionOf(step, source.zeroPoint) : undefined;
    const numbers = { fused: step.fused, bias: step.bias, int8, correction };
    const constants = packEpilogue(data, epilogue, output, numbers, block);
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

/** Where one instruction multiplies and adds four bytes of any sign. */
function takesDots({ y, x }: DepthwiseStep, { dot }: PlanTarget): boolean {
  const isSuited = [y, x].every((a) => a.kernel === 3 && a.dilation === 1);
  return isSuited && (dot === "signed" || dot === "unsigned");
}

/** Weights `[block of channels][tap][channel]`. */
function packWeights(
  { weight, output, x, y }: DepthwiseStep,
  sum: "f32" | "i16",
  block: number,
): Float32Array | Int16Array {
  const slots = slotsOf(output);
  const taps = y.kernel * x.kernel;
  const count = Math.ceil(slots.length / block) * taps * block;
  const out = sum === "i16" ? new Int16Array(count) : new Float32Array(count);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    for (let tap = 0; tap < taps; tap++) {
      out[(Math.floor(slot / block) * taps + tap) * block + (slot % block)] = weight[channel * taps + tap];
    }
  });
  return out;
}

/** Weights `[block of 4 channels][output row][column][channel][input row]`. */
function packDots({ weight, output }: DepthwiseStep): Int8Array {
  const slots = slotsOf(output);
  const out = new Int8Array(slots.length * 24);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    for (let row = 0; row < 2; row++) {
      for (let tap = 0; tap < 9; tap++) {
        const vector = Math.floor(slot / 4) * 6 + row * 3 + (tap % 3);
        out[vector * 16 + (slot % 4) * 4 + row + Math.floor(tap / 3)] = weight[channel * 9 + tap];
      }
    }
  });
  return out;
}

/** −Σ zero point · weight for every channel. */
function correctionOf({ weight, output }: DepthwiseStep, zeroPoint: number): Int32Array {
  const taps = weight.length / output.channels;
  const correction = new Int32Array(output.channels);
  for (let k = 0; k < weight.length; k++) correction[Math.floor(k / taps)] -= zeroPoint * weight[k];
  return correction;
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
