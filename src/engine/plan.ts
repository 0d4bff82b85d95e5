/**
 * Steps to kernel calls over one memory: which representations every value has, the order of its channels, borders,
 * addresses, packed weights, and the spec and arguments of each kernel. The result is a plain record that can be printed
 * and tested; `program.ts` turns it into a module and runs it.
 */
import { UnsupportedError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import type {
  AttentionSpec,
  ConvolutionSpec,
  DepthwiseSpec,
  DotKind,
  ElementwiseSpec,
  EpilogueSpec,
  EpilogueStep,
  GatherSpec,
  ImportSpec,
  LayerNormSpec,
  LrnSpec,
  PoolingSpec,
  ResizeSpec,
  SoftmaxSpec,
  StoreSpec,
  StridedCopySpec,
  Target,
} from "../kernels/wasm/index.ts";
import {
  attentionScratchBytes,
  depthwiseBlock,
  lowestAfter,
  lrnScratchBytes,
  scratchBytes,
} from "../kernels/wasm/index.ts";
import type { WindowAxis } from "../ops/_spatial.ts";
import {
  type ChannelRef,
  decideOrder,
  decideRepresentations,
  type Need,
  type Representation,
  type Value,
} from "./layout.ts";
import { hasPadding, type Lowered, lower, type OutputView } from "./lower.ts";
import { Arena, StaticData } from "./memory.ts";
import { packConstant, packConvolution, packDepthwise, packEpilogue, packTaps } from "./pack.ts";
import { planAttention, planJoin, planLayerNorm, planLrn } from "./plan-dense.ts";
import { arrange, type InputRun } from "./segments.ts";
import type {
  ConvolutionStep,
  CopyStep,
  DepthwiseStep,
  ElementwiseStep,
  FusedStep,
  GatherStep,
  ImportStep,
  PoolingStep,
  ReferenceStep,
  ResizeStep,
  SoftmaxStep,
  Step,
} from "./steps.ts";

/** How int8 dot products are done here; see `wasm/features.ts` for the behaviours. */
export type DotMode = "signed" | "unsigned" | "i7" | "i16";

export interface PlanTarget extends Target {
  readonly dot: DotMode;
  /** i7: the largest input for which sums of pairs may be used, see `chain` of the convolution kernel; 0: none. */
  readonly pairTop: number;
  readonly threads: number;
  /** Accumulator tiles of convolutions: pixels × vectors of four channels. */
  readonly tiles: Readonly<Record<DotKind, { readonly pixels: number; readonly vectors: number }>>;
}

export type KernelSpec =
  | (ConvolutionSpec & { readonly units: number })
  | DepthwiseSpec
  | PoolingSpec
  | ElementwiseSpec
  | ResizeSpec
  | GatherSpec
  | ImportSpec
  | StridedCopySpec
  | SoftmaxSpec
  | LayerNormSpec
  | LrnSpec
  | AttentionSpec;

export interface KernelCall {
  readonly spec: KernelSpec;
  /** Addresses, in the order of the kernel's parameters, without the range. `scratch` is the running thread's. */
  readonly args: readonly (number | "scratch")[];
  /** Work is divided among threads in multiples of `unit`. */
  readonly total: number;
  readonly unit: number;
}

export interface PlanStep {
  readonly nodes: readonly string[];
  /** What is computed, for people: `convolution i8 60→60 80×80`. */
  readonly label: string;
  readonly macs: number;
  /** Bytes read and written, each representation once. */
  readonly bytes: number;
  readonly calls: readonly KernelCall[];
  /** Done in JavaScript by the reference kernel. */
  readonly reference?: ReferenceStep;
}

/** One copy of a value in the arena. */
export interface PlanBuffer {
  readonly name: string;
  readonly dtype: "f32" | "i8";
  readonly address: number;
  readonly byteLength: number;
  /** Numbers of the step that writes it and of the last that reads it; they count dead steps too. */
  readonly first: number;
  readonly last: number;
  /** Zeros around the picture, which no step may overwrite. */
  readonly bordered: boolean;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  readonly inputs: ReadonlyMap<string, { readonly address: number; readonly shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  readonly staticData: StaticData;
  /** Scratch memory of thread t is at `scratchAddress + t·scratchBytes`. */
  readonly scratchAddress: number;
  readonly scratchBytes: number;
  readonly memoryBytes: number;
  /** Where the values lie, and from which to which of the network's steps they are in use. */
  readonly buffers: readonly PlanBuffer[];
  /** Buffers whose border bytes must be their zero point instead of 0. */
  readonly unsignedBorders: readonly {
    readonly address: number;
    readonly byteLength: number;
    readonly zeroPoint: number;
  }[];
}

/**
 * A larger range of inputs leaves fewer sums of pairs that fit 16 bits: beyond this, widening everything is as fast.
 */
const mostZeroPoint = 64;
/** Vectors may be read this far beyond a buffer's end. */
const slack = 64;
/** Addresses are signed numbers of 32 bits in the generated code. */
const maxMemoryBytes = 2 ** 31;
/** Memory before all values: the barrier of threads and their commands (`threads.ts`). */
export const controlBytes = 1024;

export function makePlan(
  graph: Graph,
  inputShapes: Record<string, Shape>,
  outputs: readonly string[],
  target: PlanTarget,
): Plan {
  return new Planner(lower(graph, inputShapes, outputs), target).run();
}

class Planner {
  private readonly steps: readonly Step[];
  private readonly values: readonly Value[];
  private readonly lowered: Lowered;
  private readonly target: PlanTarget;
  private data = new StaticData(0);
  private scratch = 0;
  private readonly lowest = new Map<Value, number>();

  constructor(lowered: Lowered, target: PlanTarget) {
    this.lowered = lowered;
    this.steps = lowered.steps;
    this.values = lowered.values;
    this.target = target;
  }

  run(): Plan {
    this.collectNeeds();
    const live = this.values.filter((value) => value.needs.length > 0);
    for (const value of live) decideOrder(value.order);
    for (const value of live) decideRepresentations(value);
    this.decideZeroPoints(live);
    // Memory: control words, then the arena of values, then constants, then scratch.
    const { arena, buffers } = allocateValues(
      live.filter((value) => !value.constant),
      controlBytes,
    );
    this.data = new StaticData(align(arena.end + slack));
    for (const value of live) packConstant(this.data, value);
    const steps = this.planConversions([...this.lowered.inputs.values()].map(({ value }) => value));
    for (const step of this.steps.filter(isLive)) {
      steps.push(this.planStep(step));
      if (!writesBytes.has(step.kind)) steps.push(...this.planConversions(outputsOf(step)));
    }
    const scratchAddress = align(this.data.end + slack);
    const memoryBytes = scratchAddress + this.scratch * this.target.threads + slack;
    if (memoryBytes > maxMemoryBytes) {
      throw new UnsupportedError(
        `the model needs ${Math.ceil(memoryBytes / 2 ** 20)} MiB of memory at this input size, and the wasm engine has ${maxMemoryBytes / 2 ** 20}; make the input smaller`,
      );
    }
    return {
      steps,
      inputs: new Map(
        [...this.lowered.inputs].flatMap(([blob, { value, shape }]) =>
          value.representations.length ? [[blob, { address: value.representations[0].address, shape }]] : [],
        ),
      ),
      outputs: this.lowered.outputs,
      staticData: this.data,
      scratchAddress,
      scratchBytes: this.scratch,
      memoryBytes,
      buffers,
      unsignedBorders: live.flatMap((value) =>
        value.representations.filter((r) => r.zeroPoint > 0 && hasBorder(value)),
      ),
    };
  }

  // ---- who reads what

  /** Backwards over the steps: what readers need decides what a step must make, and so what it needs itself. */
  private collectNeeds(): void {
    const end = this.steps.length;
    for (const view of this.lowered.outputs.values()) {
      const isInt8 = view.kind === "int8";
      view.value.needs.push({
        step: end,
        dtype: isInt8 ? "i8" : "f32",
        scale: isInt8 ? view.view.int8Scale! : 0,
      });
    }
    // Where a float32 kernel makes what is read as bytes, a conversion behind it reads its floats.
    const makeFloats = (value: Value, i: number): void => {
      if (value.needs.some((need) => need.dtype === "i8"))
        value.needs.push({ step: i, dtype: "f32", scale: 0 });
    };
    for (let i = end - 1; i >= 0; i--) {
      const step = this.steps[i];
      if (!isLive(step)) continue;
      if (!writesBytes.has(step.kind)) for (const value of outputsOf(step)) makeFloats(value, i);
      this.addNeeds(step, i);
    }
    for (const { value } of this.lowered.inputs.values()) makeFloats(value, value.producer);
  }

  private addNeeds(step: Step, i: number): void {
    const float = (value: Value): void => {
      value.needs.push({ step: i, dtype: "f32", scale: 0 });
    };
    if ("fused" in step) for (const done of step.fused) if (done.kind === "residual") float(done.value);
    switch (step.kind) {
      case "convolution": {
        needChannels(step.input.channels, i, step.int8 ? "i8" : "f32", step.int8?.inputScale ?? 0);
        for (const { value } of step.input.channels) widenBorder(value, step);
        break;
      }
      case "depthwise":
        step.input.needs.push({
          step: i,
          dtype: step.int8 ? "i8" : "f32",
          scale: step.int8?.inputScale ?? 0,
        });
        widenBorder(step.input, step);
        break;
      case "pooling": {
        const scale = soleScale(step.output.needs);
        step.int8 = step.operator === "max" && step.fused.length === 0 && scale !== undefined;
        if (step.int8) step.input.needs.push({ step: i, dtype: "i8", scale: scale! });
        else float(step.input);
        break;
      }
      case "gather":
        for (const need of step.output.needs) {
          const read = step.input.channels.filter(
            (_, c) => need.channels === undefined || need.channels.has(c),
          );
          needChannels(read, i, need.dtype, need.scale);
        }
        break;
      case "elementwise":
        float(step.a);
        if (step.b.kind === "value") float(step.b.value);
        break;
      case "copy":
        float(step.input.value);
        break;
      case "join":
        for (const { view } of step.parts) float(view.value);
        break;
      case "attention":
        for (const value of [step.query, step.key, step.value]) float(value);
        break;
      case "reference":
        for (const { value } of step.inputs) float(value);
        for (const { value } of step.outputs)
          if (value.needs.length === 0) value.needs.push({ step: i, dtype: "f32", scale: 0 });
        break;
      default:
        float(step.input);
    }
  }

  /** No number of the value is lower than this, whatever the input; at most 0, and -Infinity if nothing is known. */
  private lowestOf(value: Value): number {
    const known = this.lowest.get(value);
    if (known !== undefined) return known;
    this.lowest.set(value, Number.NEGATIVE_INFINITY);
    const result =
      value.producer >= 0 ? this.lowestMadeBy(this.steps[value.producer]) : Number.NEGATIVE_INFINITY;
    this.lowest.set(value, Math.min(0, result));
    return Math.min(0, result);
  }

  private lowestMadeBy(step: Step): number {
    if (step.kind === "gather")
      return Math.min(...step.input.channels.map((ref) => this.lowestOf(ref.value)));
    if (step.kind === "softmax") return 0;
    if (!("fused" in step)) return Number.NEGATIVE_INFINITY;
    if (step.fused.length > 0) return lowestAfter(step.fused.map(epilogueStep));
    // The maximum of a window without a pixel is the lowest number.
    const hasPixels = ({ output, stride, padBefore, kernel, input }: WindowAxis): boolean =>
      kernel > padBefore && (output - 1) * stride - padBefore < input;
    const isKnown = step.kind === "pooling" && hasPixels(step.y) && hasPixels(step.x);
    return isKnown ? this.lowestOf(step.input) : Number.NEGATIVE_INFINITY;
  }

  /** How bytes are stored: what is added to them, and whether they are then known to be unsigned. */
  private decideZeroPoints(live: readonly Value[]): void {
    const { dot, pairTop } = this.target;
    const integer = live.flatMap((value) => value.representations.filter((r) => r.dtype === "i8"));
    if (dot === "unsigned") {
      for (const r of integer) [r.zeroPoint, r.isUnsigned] = [128, true];
      return;
    }
    if (dot !== "i7") return;
    // The smallest zero point with which no byte is negative; a scale that is none (below 0, NaN) proves nothing.
    const needed = new Map(
      integer.map((r): [Representation, number] => {
        const isSound = r.scales!.every((scale) => scale >= 0);
        const lowest = isSound ? this.lowestOf(r.value) : Number.NEGATIVE_INFINITY;
        return [r, lowest === 0 ? 0 : Math.ceil(-lowest * Math.max(...r.scales!))];
      }),
    );
    const chosen = new Map(needed);
    // Steps that copy bytes as they are want the same on both sides.
    const copies = this.steps.filter(isLive).flatMap(copiedRepresentations);
    for (let isChanged = true; isChanged; ) {
      isChanged = false;
      for (const pair of copies) {
        const most = Math.max(...pair.map((r) => chosen.get(r)!));
        for (const r of pair) {
          isChanged ||= chosen.get(r) !== most;
          chosen.set(r, most);
        }
      }
    }
    for (const r of integer) {
      const zeroPoint = chosen.get(r)!;
      if (zeroPoint <= Math.min(mostZeroPoint, pairTop - 127))
        [r.zeroPoint, r.isUnsigned] = [zeroPoint, true];
      else r.isUnsigned = needed.get(r) === 0;
    }
  }

  // ---- kernel calls

  private planStep(step: Step): PlanStep {
    switch (step.kind) {
      case "convolution":
        return this.planConvolution(step);
      case "depthwise":
        return this.planDepthwise(step);
      case "pooling":
        return this.planPooling(step);
      case "elementwise":
        return this.planElementwise(step);
      case "resize":
        return this.planResize(step);
      case "gather":
        return this.planGather(step);
      case "import":
        return this.planImport(step);
      case "copy":
        return this.planCopy(step);
      case "softmax":
        return this.planSoftmax(step);
      case "join":
        return planJoin(step);
      case "layerNorm":
        return planLayerNorm(this.data, step);
      case "lrn":
        this.scratch = Math.max(this.scratch, align(lrnScratchBytes(step.input.channels)));
        return planLrn(this.data, step);
      case "attention":
        this.scratch = Math.max(this.scratch, align(attentionScratchBytes(step.key.height)));
        return planAttention(step);
      case "reference":
        return {
          nodes: step.nodes,
          label: `reference ${step.node.type}`,
          macs: 0,
          bytes: 0,
          calls: [],
          reference: step,
        };
    }
  }

  /** The int8 representations of values whose float32 ones have just been written by kernels that can make no other. */
  private planConversions(values: readonly Value[]): PlanStep[] {
    return values.flatMap((value) => {
      const stores = value.representations.filter((r) => r.dtype === "i8");
      if (stores.length === 0) return [];
      const source = floatOf(value);
      const epilogue = epilogueOf([], stores, "none");
      const spec: ElementwiseSpec = {
        kind: "elementwise",
        operator: "add",
        rows: value.height,
        width: value.width,
        vectors: value.slotCount / 4,
        a: { pixelBytes: source.pixelBytes, rowBytes: source.rowBytes, splat: false },
        b: { kind: "none" },
        epilogue,
      };
      const constants = packEpilogue(this.data, epilogue, value, { stores });
      return {
        nodes: [],
        label: `quantize ${value.channels} ${value.width}x${value.height}`,
        macs: 0,
        bytes: writeBytes(value),
        calls: [
          {
            spec,
            args: [origin(source), 0, constants, ...stores.map(origin)],
            total: value.height,
            unit: 1,
          },
        ],
      };
    });
  }

  private planConvolution(step: ConvolutionStep): PlanStep {
    const { output, int8, x, y } = step;
    const runs = inputRuns(step);
    const arrangement = arrange(step, runs, this.dotKind(step, runs));
    const { dot, chain } = arrangement;
    const allNearEachOther = [...runs.map((run) => run.representation), ...output.representations];
    const residuals = step.fused.flatMap((done) => (done.kind === "residual" ? [floatOf(done.value)] : []));
    // All pixels are one long row if no window hangs over a row's end and no picture has a border.
    const flat =
      y.kernel * x.kernel === 1 &&
      y.stride * x.stride === 1 &&
      !hasPadding(step) &&
      [...allNearEachOther, ...residuals].every((r) => r.rowBytes === r.value.width * r.pixelBytes);
    const rows = flat ? 1 : y.output;
    const width = flat ? y.output * x.output : x.output;
    const epilogue = epilogueOf(step.fused, output.representations, int8 ? "i32" : "f32", {
      correction: runs.some((run) => run.representation.zeroPoint > 0),
      roundOnce: int8 !== undefined && step.roundOnce,
    });
    const outputVectors = output.slotCount / 4;
    const tile = chooseTile(this.target.tiles[dot], width, outputVectors);
    const packed = packConvolution(this.data, step, runs, arrangement, tile.vectors);
    const spec: ConvolutionSpec & { units: number } = {
      kind: "convolution",
      dot,
      chain,
      groups: packed.groups,
      rows,
      width,
      outputVectors,
      tile,
      epilogue,
      units: packed.units,
    };
    this.scratch = Math.max(this.scratch, align(scratchBytes(spec, packed.units)));
    const constants = packEpilogue(this.data, epilogue, output, {
      bias: step.bias,
      int8,
      correction: packed.correction,
    });
    const args = [
      packed.table,
      packed.weights,
      constants,
      residuals.length ? origin(residuals[0]) : 0,
      "scratch" as const,
      ...output.representations.map(origin),
    ];
    const call: KernelCall = {
      spec,
      args,
      total: rows === 1 ? width : rows,
      unit: rows === 1 ? tile.pixels : 1,
    };
    const name = { f32: "f32", relaxed: "s8-dot", pairs: `s8-pairs${chain}`, i16: "s8-i16" }[dot];
    const kernel =
      y.kernel * x.kernel > 1 ? ` ${x.kernel}x${y.kernel}${y.stride > 1 ? `s${y.stride}` : ""}` : "";
    const { segments } = packed;
    return {
      nodes: step.nodes,
      label: `conv ${name}${kernel} ${step.input.channels.length}>${output.channels} ${x.output}x${y.output}${segments > 1 ? ` seg${segments}` : ""}`,
      macs: step.weight.length * y.output * x.output,
      bytes: step.weight.length * (int8 ? 1 : 4) + readBytes(runs) + writeBytes(output),
      calls: [call],
    };
  }

  private dotKind(step: ConvolutionStep, runs: readonly InputRun[]): DotKind {
    if (!step.int8) return "f32";
    const { dot } = this.target;
    if (dot === "signed" || dot === "unsigned") return "relaxed";
    const isSafe = dot === "i7" && runs.every((run) => run.representation.isUnsigned);
    return !isSafe ? "i16" : this.target.pairTop > 0 ? "pairs" : "relaxed";
  }

  private planDepthwise(step: DepthwiseStep): PlanStep {
    const { input, output, int8, x, y } = step;
    const source = input.find(int8 ? "i8" : "f32", int8?.inputScale ?? 0, 0);
    const epilogue = epilogueOf(step.fused, output.representations, int8 ? "i32" : "f32");
    const { weights, tapGroups } = packDepthwise(this.data, step, source, this.lowestOf(input) === 0);
    const spec: DepthwiseSpec = {
      kind: "depthwise",
      input: int8 ? "i8" : "f32",
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
      tapGroups,
      tile: int8 ? 2 : 4,
      epilogue,
    };
    const constants = packEpilogue(
      this.data,
      epilogue,
      output,
      { bias: step.bias, int8 },
      depthwiseBlock(spec) / 4,
    );
    const residual = step.fused.find((done) => done.kind === "residual");
    const args = [
      windowOrigin(source, y, x),
      weights,
      constants,
      residual ? origin(floatOf(residual.value)) : 0,
      ...output.representations.map(origin),
    ];
    return {
      nodes: step.nodes,
      label: `depthwise ${int8 ? "s8" : "f32"} ${x.kernel}x${y.kernel}${y.stride > 1 ? `s${y.stride}` : ""} ${output.channels} ${x.output}x${y.output}`,
      macs: step.weight.length * y.output * x.output,
      bytes: step.weight.length + source.byteLength + writeBytes(output),
      calls: [{ spec, args, total: y.output, unit: 1 }],
    };
  }

  private planPooling(step: PoolingStep): PlanStep {
    const { input, output, x, y } = step;
    const source = step.int8 ? input.find("i8", soleScale(output.needs)!, 0) : floatOf(input);
    const epilogue = epilogueOf(step.fused, output.representations, "none");
    const spec: PoolingSpec = {
      kind: "pooling",
      operator: step.operator,
      input: step.int8 ? "i8" : "f32",
      zeroPoint: source.zeroPoint,
      kernelH: y.kernel,
      kernelW: x.kernel,
      strideH: y.stride,
      strideW: x.stride,
      padTop: y.padBefore,
      padLeft: x.padBefore,
      inputRows: y.input,
      inputWidth: x.input,
      rows: y.output,
      width: x.output,
      vectors: output.slotCount / 4,
      pixelBytes: source.pixelBytes,
      rowBytes: source.rowBytes,
      divisor: step.divisor,
      epilogue,
    };
    const constants = packEpilogue(this.data, epilogue, output, {});
    return {
      nodes: step.nodes,
      label: `pool ${step.operator} ${step.int8 ? "i8" : "f32"} ${x.kernel}x${y.kernel} ${output.channels} ${x.output}x${y.output}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [
        {
          spec,
          args: [origin(source), constants, ...output.representations.map(origin)],
          total: y.output,
          unit: 1,
        },
      ],
    };
  }

  private planElementwise(step: ElementwiseStep): PlanStep {
    const { a, b, output } = step;
    const source = floatOf(a);
    const epilogue = epilogueOf(step.fused, output.representations, "none");
    let operand: ElementwiseSpec["b"] = { kind: "none" };
    if (b.kind === "constant") operand = { kind: "constant", value: Math.fround(b.value) };
    if (b.kind === "value") {
      const r = floatOf(b.value);
      const perChannel = b.broadcast === "channel";
      operand = {
        kind: "picture",
        pixelBytes: perChannel ? 0 : r.pixelBytes,
        rowBytes: perChannel ? 0 : r.rowBytes,
        splat: b.broadcast === "pixel",
      };
    }
    const spec: ElementwiseSpec = {
      kind: "elementwise",
      operator: step.operator,
      rows: output.height,
      width: output.width,
      vectors: output.slotCount / 4,
      a: { pixelBytes: source.pixelBytes, rowBytes: source.rowBytes, splat: false },
      b: operand,
      epilogue,
    };
    const args = [
      origin(source),
      b.kind === "value" ? origin(floatOf(b.value)) : 0,
      packEpilogue(this.data, epilogue, output, {}),
      ...output.representations.map(origin),
    ];
    return {
      nodes: step.nodes,
      label: `elementwise ${b.kind === "none" ? describeFused(step.fused) : step.operator} ${output.channels} ${output.width}x${output.height}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [{ spec, args, total: output.height, unit: 1 }],
    };
  }

  private planResize(step: ResizeStep): PlanStep {
    const { input, output } = step;
    const source = floatOf(input);
    const epilogue = epilogueOf(step.fused, output.representations, "none");
    const spec: ResizeSpec = {
      kind: "resize",
      rows: output.height,
      width: output.width,
      vectors: output.slotCount / 4,
      epilogue,
    };
    const args = [
      origin(source),
      packTaps(this.data, step.rowTaps, source.rowBytes),
      packTaps(this.data, step.columnTaps, source.pixelBytes),
      packEpilogue(this.data, epilogue, output, {}),
      ...output.representations.map(origin),
    ];
    return {
      nodes: step.nodes,
      label: `resize bilinear ${output.channels} ${output.width}x${output.height}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [{ spec, args, total: output.height, unit: 1 }],
    };
  }

  private planGather(step: GatherStep): PlanStep {
    const { output } = step;
    const calls = output.representations.map((target) => {
      const refs = gatheredRefs(step, target);
      const sources = distinctSources(refs);
      const runs: {
        source: number;
        from: number;
        to: number;
        length: number;
        pixelBytes: number;
        rowBytes: number;
      }[] = [];
      refs.forEach((ref, to) => {
        if (!ref) return;
        const last = runs.at(-1);
        if (
          last &&
          sources[last.source] === ref.source &&
          last.from + last.length === ref.slot &&
          last.to + last.length === to
        ) {
          last.length++;
        } else {
          const { pixelBytes, rowBytes } = ref.source;
          runs.push({
            source: sources.indexOf(ref.source),
            from: ref.slot,
            to,
            length: 1,
            pixelBytes,
            rowBytes,
          });
        }
      });
      const { frame } = step;
      const [{ height, width }] = sources.length ? [sources[0].value] : [output];
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
      return { spec, args: [...sources.map(origin), origin(target)], total: output.height, unit: 1 };
    });
    const what = step.frame ? "pad" : step.scaleX * step.scaleY > 1 ? "resize nearest" : "gather";
    return {
      nodes: step.nodes,
      label: `${what} ${output.representations.map((r) => r.dtype).join("+")} ${output.channels} ${output.width}x${output.height}`,
      macs: 0,
      bytes: 2 * writeBytes(output),
      calls,
    };
  }

  private planImport(step: ImportStep): PlanStep {
    const { input, output } = step;
    const epilogue = epilogueOf([], output.representations, "none");
    const spec: ImportSpec = {
      kind: "import",
      channels: output.channels,
      rows: output.height,
      width: output.width,
      epilogue,
    };
    const args = [
      origin(floatOf(input)),
      packEpilogue(this.data, epilogue, output, {}),
      ...output.representations.map(origin),
    ];
    return {
      nodes: step.nodes,
      label: `import ${output.channels} ${output.width}x${output.height}`,
      macs: 0,
      bytes: floatOf(input).byteLength + writeBytes(output),
      calls: [{ spec, args, total: output.height, unit: 1 }],
    };
  }

  private planCopy(step: CopyStep): PlanStep {
    const { input, output } = step;
    const shape = [...new Array(4 - input.shape.length).fill(1), ...input.shape] as [
      number,
      number,
      number,
      number,
    ];
    const strides = [...new Array(4 - input.strides.length).fill(0), ...input.strides] as [
      number,
      number,
      number,
      number,
    ];
    const spec: StridedCopySpec = { kind: "stridedCopy", shape, strides };
    const args = [origin(floatOf(input.value)) + input.offset * 4, origin(floatOf(output))];
    return {
      nodes: step.nodes,
      label: `copy ${[...input.shape].reverse().join("x")}`,
      macs: 0,
      bytes: 2 * output.channels * 4,
      calls: [{ spec, args, total: shape[0] * shape[1], unit: 1 }],
    };
  }

  private planSoftmax(step: SoftmaxStep): PlanStep {
    const { input, output } = step;
    const [source, target] = [floatOf(input), floatOf(output)];
    const spec: SoftmaxSpec = {
      kind: "softmax",
      rows: output.height,
      width: output.width,
      channels: output.channels,
      pixelBytes: source.pixelBytes,
      rowBytes: source.rowBytes,
      outPixelBytes: target.pixelBytes,
      outRowBytes: target.rowBytes,
    };
    return {
      nodes: step.nodes,
      label: `softmax ${output.channels} ${output.width}x${output.height}`,
      macs: 0,
      bytes: source.byteLength + target.byteLength,
      calls: [{ spec, args: [origin(source), origin(target)], total: output.height, unit: 1 }],
    };
  }
}

// ---- helpers

export function align(bytes: number, to = 64): number {
  return Math.ceil(bytes / to) * to;
}

/** Kinds whose kernels write every representation of their result; all others write float32 only. */
const writesBytes: ReadonlySet<Step["kind"]> = new Set<Step["kind"]>([
  "convolution",
  "depthwise",
  "pooling",
  "elementwise",
  "resize",
  "gather",
  "import",
  "layerNorm",
  "lrn",
]);

function outputsOf(step: Step): Value[] {
  return step.kind === "reference" ? step.outputs.map(({ value }) => value) : [step.output];
}

function isLive(step: Step): boolean {
  return outputsOf(step).some((value) => value.needs.length > 0);
}

function needChannels(refs: readonly ChannelRef[], step: number, dtype: Need["dtype"], scale: number): void {
  const byValue = new Map<Value, Set<number>>();
  for (const { value, channel } of refs) {
    const set = byValue.get(value);
    if (set) set.add(channel);
    else byValue.set(value, new Set([channel]));
  }
  for (const [value, channels] of byValue) {
    const all = channels.size === value.channels;
    value.needs.push({ step, dtype, scale, channels: all ? undefined : channels });
  }
}

function hasBorder({ border }: Value): boolean {
  return border.top > 0 || border.left > 0 || border.bottom > 0 || border.right > 0;
}

/** Pairs of representations of which one is copied, byte for byte, into the other. */
function copiedRepresentations(step: Step): (readonly [Representation, Representation])[] {
  if (step.kind === "pooling" && step.int8) {
    const source = step.input.find("i8", soleScale(step.output.needs)!, 0);
    return step.output.representations.map((target) => [source, target] as const);
  }
  if (step.kind !== "gather") return [];
  return step.output.representations
    .filter((target) => target.dtype === "i8")
    .flatMap((target) =>
      distinctSources(gatheredRefs(step, target)).map((source) => [source, target] as const),
    );
}

/** What lands in a slot of a gather's result; undefined: nothing. */
type GatheredRef = { readonly source: Representation; readonly slot: number } | undefined;

function distinctSources(refs: readonly GatheredRef[]): Representation[] {
  return [...new Set(refs.flatMap((ref) => ref?.source ?? []))];
}

/** What a gather puts into each slot of a representation. */
function gatheredRefs({ input, output }: GatherStep, target: Representation): GatheredRef[] {
  return Array.from(slotsOf(output), (channel) => {
    if (channel < 0 || channel >= input.channels.length) return undefined;
    const { value, channel: from } = input.channels[channel];
    const scale = target.scales?.[channel] ?? 0;
    if (target.dtype === "i8" && scale === 0) return undefined;
    return { source: value.find(target.dtype, scale, from), slot: value.slot(from) };
  });
}

/** The one int8 scale that all readers want, if that is all they want. */
function soleScale(needs: readonly Need[]): number | undefined {
  const [first] = needs;
  return needs.every((need) => need.dtype === "i8" && need.scale === first.scale) ? first.scale : undefined;
}

function widenBorder({ border }: Value, { y, x }: { y: WindowAxis; x: WindowAxis }): void {
  const after = (axis: WindowAxis): number => {
    const reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
    return Math.max(reach - axis.padBefore - axis.input, 0);
  };
  border.top = Math.max(border.top, y.padBefore);
  border.left = Math.max(border.left, x.padBefore);
  border.bottom = Math.max(border.bottom, after(y));
  border.right = Math.max(border.right, after(x));
}

/**
 * Addresses for all representations: one is reused after its last reader. Those with a border share only among equals,
 * since nobody ever writes the border again.
 */
function allocateValues(values: readonly Value[], start: number): { arena: Arena; buffers: PlanBuffer[] } {
  const arena = new Arena(start, slack);
  const buffers: PlanBuffer[] = [];
  const byStart = [...values].sort((a, b) => a.producer - b.producer);
  for (const value of byStart) {
    const last = Math.max(...value.needs.map((need) => need.step));
    for (const r of value.representations) {
      const pool = hasBorder(value)
        ? [
            value.width,
            value.height,
            r.rowBytes,
            r.pixelBytes,
            r.byteLength,
            r.originOffset,
            r.zeroPoint,
          ].join()
        : undefined;
      r.address = arena.allocate(r.byteLength, value.producer, last, pool);
      const { name, producer: first } = value;
      const { dtype, address, byteLength } = r;
      buffers.push({ name, dtype, address, byteLength, first, last, bordered: pool !== undefined });
    }
  }
  return { arena, buffers };
}

/** Address of pixel (0, 0). */
export function origin(r: Representation): number {
  return r.address + r.originOffset;
}

/** Address of the first cell under the window of output (0, 0). */
export function windowOrigin(r: Representation, y: WindowAxis, x: WindowAxis): number {
  return origin(r) - y.padBefore * r.rowBytes - x.padBefore * r.pixelBytes;
}

export function floatOf(value: Value): Representation {
  return value.find("f32", 0, 0);
}

/** Channel in every slot, -1 in those that only round up to a vector. */
export function slotsOf(value: Value): Int32Array {
  const channels = new Int32Array(value.slotCount).fill(-1);
  for (let c = 0; c < value.channels; c++) channels[value.slot(c)] = c;
  return channels;
}

/** The runs of slots that a convolution reads, in memory order, with the input channel of every slot. */
function inputRuns(step: ConvolutionStep): InputRun[] {
  const { int8, input } = step;
  const places = input.channels.map((ref, inputChannel) => ({
    representation: ref.value.find(int8 ? "i8" : "f32", int8?.inputScale ?? 0, ref.channel),
    slot: ref.value.slot(ref.channel),
    inputChannel,
  }));
  const order = new Map<Representation, number>();
  for (const { representation } of places)
    if (!order.has(representation)) order.set(representation, order.size);
  places.sort((a, b) => order.get(a.representation)! - order.get(b.representation)! || a.slot - b.slot);
  const runs: InputRun[] = [];
  for (const { representation, slot, inputChannel } of places) {
    const last = runs.at(-1);
    if (last && last.representation === representation && last.slot + last.channels.length === slot) {
      last.channels.push(inputChannel);
    } else runs.push({ representation, slot, channels: [inputChannel] });
  }
  return runs;
}

function epilogueStep(done: FusedStep): EpilogueStep {
  if (done.kind === "activation") return done;
  const { pixelBytes, rowBytes } = done.value.representations.length
    ? floatOf(done.value)
    : { pixelBytes: 0, rowBytes: 0 };
  return { kind: "residual", pixelBytes, rowBytes };
}

export function epilogueOf(
  fused: readonly FusedStep[],
  representations: readonly Representation[],
  accumulator: EpilogueSpec["accumulator"],
  { correction = false, roundOnce = false } = {},
): EpilogueSpec {
  const stores = representations.map(
    ({ dtype, pixelBytes, rowBytes, zeroPoint }): StoreSpec => ({ dtype, pixelBytes, rowBytes, zeroPoint }),
  );
  return { accumulator, correction, roundOnce, steps: fused.map(epilogueStep), stores };
}

function chooseTile(
  wanted: { pixels: number; vectors: number },
  width: number,
  outputVectors: number,
): { pixels: number; vectors: number } {
  // A single pixel has only channels to work on in parallel.
  if (width === 1) return { pixels: 1, vectors: Math.min(8, outputVectors) };
  const vectors = Math.min(wanted.vectors, outputVectors);
  if (width >= 64) return { pixels: wanted.pixels, vectors };
  // Short rows: the widest tile that wastes least, since a rest of few pixels costs almost as much as a full tile.
  let best = Math.min(wanted.pixels, width);
  for (let pixels = best; pixels >= Math.max(2, wanted.pixels - 3); pixels--) {
    if (Math.ceil(width / pixels) < Math.ceil(width / best)) best = pixels;
    if (width % pixels === 0 && Math.ceil(width / pixels) <= Math.ceil(width / best) + 1) {
      best = pixels;
      break;
    }
  }
  return { pixels: best, vectors };
}

function readBytes(runs: readonly InputRun[]): number {
  return [...new Set(runs.map((run) => run.representation))].reduce((sum, r) => sum + r.byteLength, 0);
}
export function writeBytes(value: Value): number {
  return value.representations.reduce((sum, r) => sum + r.byteLength, 0);
}
function describeFused(fused: readonly FusedStep[]): string {
  return fused.map((done) => (done.kind === "activation" ? done.activation.kind : "add")).join("+");
}
