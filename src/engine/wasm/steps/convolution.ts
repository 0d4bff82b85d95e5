import {
  type ConvolutionSpec,
  type DotKind,
  emitConvolution,
  emitWinograd,
  scratchBytes,
  sharedNumbers,
  sharedSpec,
  type WinogradSpec,
} from "../../../kernels/wasm/index.ts";
import { floatOf, origin, widenBorder, writeBytes } from "../../representations.ts";
import type { ConvolutionStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import { hasPadding } from "../../windows.ts";
import { packEpilogue } from "../epilogue.ts";
import type { KernelCall } from "../records.ts";
import type { PlanTarget } from "../target.ts";
import { packConvolution, sumEpilogue } from "./_pack-convolution.ts";
import { arrange, type InputRun, inputRuns } from "./_segments.ts";
import { chooseTile } from "./_tile.ts";
import { wholeTiles, winogradCall, winogradSize } from "./_winograd.ts";
import type { Planning, StepKind } from "./kind.ts";

export const convolution: StepKind<ConvolutionStep, ConvolutionSpec | WinogradSpec> = {
  kind: "convolution",
  quantizes: true,
  needs: (step, read, target) => {
    const { input, int8 } = step;
    read.channels(input.channels, { dtype: int8 ? "i8" : "f32", scale: int8?.inputScale ?? 0 });
    const size = winogradSize(step, target);
    const axes = size ? wholeTiles(step, size) : step;
    for (const { value } of input.channels) widenBorder(value, axes);
  },
  plan: (step, at) => {
    const { kind, nodes, input, output, int8, x, y, weight } = step;
    const runs = inputRuns(step);
    const { call, name, rest } = winogradCall(step, runs, at) ?? directCall(step, runs, at);
    return {
      kind,
      nodes,
      label: `conv ${name}${windowOf(step)} ${input.channels.length}>${output.channels} ${x.output}x${y.output}${rest}`,
      macs: weight.length * y.output * x.output,
      bytes: weight.length * (int8 ? 1 : 4) + readBytes(runs) + writeBytes(output),
      calls: [call],
    };
  },
  emit: (m, name, spec, target) =>
    spec.kind === "winograd" ? emitWinograd(m, name, spec, target) : emitConvolution(m, name, spec, target),
};

/** A kernel call, and the step's label before and behind its sizes. */
interface NamedCall {
  readonly call: KernelCall;
  readonly name: string;
  readonly rest: string;
}

function directCall(
  step: ConvolutionStep,
  runs: readonly InputRun[],
  { data, target, needScratch }: Planning,
): NamedCall {
  const { output, int8, x, y } = step;
  const arrangement = arrange(step, runs, dotKind(step, runs, target));
  const { dot, chain } = arrangement;
  const residuals = step.fused.flatMap((done) => (done.kind === "residual" ? [floatOf(done.value)] : []));
  const pictures = [...runs.map((run) => run.representation), ...output.representations, ...residuals];
  const flat = isFlat(step, pictures);
  const width = flat ? y.output * x.output : x.output;
  const epilogue = sumEpilogue(step, runs);
  const outputVectors = output.slotCount / 4;
  const tile = chooseTile(target.tiles[dot], width, outputVectors, target);
  // Of a single pixel there is one kernel a network.
  const isShared = target.compact === true && y.output * x.output > 1;
  const packed = packConvolution(data, step, runs, arrangement, tile.vectors, isShared);
  const spec: ConvolutionSpec = {
    kind: step.kind,
    dot,
    chain,
    groups: packed.groups,
    rows: flat ? 1 : y.output,
    width,
    outputVectors,
    tile,
    epilogue,
    units: packed.units,
    ...panelOf(packed.units, { outputVectors, width, tile, dot }, target),
  };
  needScratch(scratchBytes(spec));
  const { correction, segments } = packed;
  const constants = packEpilogue(data, epilogue, output, {
    fused: step.fused,
    bias: step.bias,
    int8,
    correction,
  });
  const args = [
    packed.table,
    packed.weights,
    constants,
    residuals.length ? origin(residuals[0]) : 0,
    "scratch" as const,
    ...(isShared ? [data.add(Int32Array.from(sharedNumbers(spec).values()))] : []),
    ...output.representations.map(origin),
  ];
  return {
    call: {
      spec: isShared ? sharedSpec(spec) : spec,
      args,
      ...shares(spec),
    },
    name: nameOf(dot, chain),
    rest: segments > 1 ? ` seg${segments}` : "",
  };
}

/** Weights of more bytes leave the second cache, in which a panel of them stays. */
const mostCached = 512 * 1024;
const panelBytes = 192 * 1024;

/** Blocks of channels that all pixels are done with before the next ones, if that is worth while. */
function panelOf(
  units: number,
  { outputVectors, width, tile, dot }: Pick<ConvolutionSpec, "outputVectors" | "width" | "tile" | "dot">,
  { compact }: PlanTarget,
): Pick<ConvolutionSpec, "panel"> {
  const isLarge = units * outputVectors * 16 > mostCached;
  if (dot !== "f32" || !isLarge || width === 1 || compact) return {};
  const panel = Math.max(1, Math.floor(panelBytes / (units * tile.vectors * 16)));
  return panel < outputVectors / tile.vectors ? { panel } : {};
}

/** What threads share: rows, or tiles of the only row, or blocks of channels of the only pixel. */
function shares({ rows, width, outputVectors, tile }: ConvolutionSpec): Pick<KernelCall, "total" | "unit"> {
  if (rows > 1) return { total: rows, unit: 1 };
  if (width > 1) return { total: width, unit: tile.pixels };
  return { total: Math.ceil(outputVectors / tile.vectors), unit: 1 };
}

/** All pixels are one long row if no window hangs over a row's end and no picture has a border. */
function isFlat(step: ConvolutionStep, pictures: readonly Representation[]): boolean {
  const { x, y } = step;
  return (
    y.kernel * x.kernel === 1 &&
    y.stride * x.stride === 1 &&
    !hasPadding(step) &&
    pictures.every((r) => r.rowBytes === r.value.width * r.pixelBytes)
  );
}

/** The fastest dot product that the inputs allow. */
function dotKind(
  { int8 }: ConvolutionStep,
  runs: readonly InputRun[],
  { dot, pairTop }: PlanTarget,
): DotKind {
  if (!int8) return "f32";
  if (dot === "signed" || dot === "unsigned") return "relaxed";
  const isSafe = dot === "i7" && runs.every((run) => run.representation.isUnsigned);
  return !isSafe ? "i16" : pairTop > 0 ? "pairs" : "relaxed";
}

function nameOf(dot: DotKind, chain: number): string {
  return { f32: "f32", relaxed: "s8-dot", pairs: `s8-pairs${chain}`, i16: "s8-i16" }[dot];
}

function windowOf({ x, y }: ConvolutionStep): string {
  if (y.kernel * x.kernel === 1) return "";
  return ` ${x.kernel}x${y.kernel}${y.stride > 1 ? `s${y.stride}` : ""}`;
}

function readBytes(runs: readonly InputRun[]): number {
  return [...new Set(runs.map((run) => run.representation))].reduce((sum, r) => sum + r.byteLength, 0);
}
