/**
 * A network as a module of its own, for any host: memory, weights and all that is done with a picture are inside (docs/compile.md). Several
 * input sizes share weights, kernels and the memory of values.
 */
import { UnsupportedError } from "../../base/errors.ts";
import type { BoxFormulas } from "../../base/formula.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import {
  type CandidateList,
  candidateBytes,
  emitFit,
  emitPlace,
  type FitSpec,
  type PictureGlobals,
  placeTableBytes,
} from "../../kernels/wasm/index.ts";
import { i32, set } from "../../wasm/expressions.ts";
import { type FuncRef, type GlobalRef, Module } from "../../wasm/index.ts";
import type { PixelInput } from "../backend.ts";
import { emitPictures, pageBytes } from "./_pictures.ts";
import { DistinctData, packRaw, type Unpacking } from "./_raw-weights.ts";
import { type DetectionLayout, emitDetect, layoutOf } from "./detect.ts";
import { type DenseOutput, imageOf } from "./image.ts";
import { align, StaticData, slack } from "./memory.ts";
import { emitRun, emitStep, Kernels } from "./module.ts";
import { makePlan } from "./plan.ts";
import type { Plan } from "./records.ts";
import type { PlanTarget } from "./target.ts";
import { controlAddresses, emitBarrier, emitCommand, emitServe } from "./threads.ts";

export interface StandaloneOptions {
  readonly graph: Graph;
  /** Input shapes of each size. */
  readonly sizes: readonly Record<string, Shape>[];
  readonly outputs: readonly string[];
  readonly target: PlanTarget;
  /** Fed with pictures, which are fitted like that. */
  readonly pictures?: { readonly source: PixelInput; readonly border: number } & Pick<
    FitSpec,
    "resize" | "corner"
  >;
  /** What boxes are made of at a size, by the shapes of its outputs. */
  readonly formulas?: (shapes: Readonly<Record<string, Shape>>, input: Shape) => readonly BoxFormulas[];
  /** Overlapping boxes are dropped. */
  readonly suppress: boolean;
}

/** Where a tensor of float32 numbers lies. */
export interface TensorPlace {
  readonly blob: string;
  readonly address: number;
  readonly shape: Shape;
}

export interface StandaloneSize {
  /** None where pictures are fed. */
  readonly inputs: readonly TensorPlace[];
  readonly outputs: readonly TensorPlace[];
}

export interface Standalone {
  readonly module: Module;
  readonly sizes: readonly StandaloneSize[];
  readonly pages: number;
  /** What `detect` writes, where there are formulas. */
  readonly detection?: DetectionLayout;
  /** Addresses, lengths and contents of what has to lie in memory after the start: for checks. */
  readonly chunks: StaticData["chunks"];
}

/** Boxes that are looked at at most, as in `detect/nms.ts`. */
const mostCandidates = 30_000;
/** Detections that there is room for. */
export const mostDetections = 1000;
/** Counts candidates. */
const countAddress = 16;

/** Throws UnsupportedError that names the layer where one has no kernel. */
export function makeStandalone(options: StandaloneOptions): Standalone {
  const { plans, data } = planAll(options);
  return new Builder(options, plans, data).build();
}

/** The plans of all sizes, over one region of constants behind the largest arena. */
function planAll({ graph, sizes, outputs, target, pictures }: StandaloneOptions): {
  plans: Plan[];
  data: DistinctData;
} {
  const plan = (shapes: Record<string, Shape>, data: StaticData): Plan =>
    makePlan(graph, shapes, outputs, target, pictures?.source, data);
  const ends = sizes.map((shapes) => plan(shapes, new StaticData(0)).memoryBytes);
  const data = new DistinctData(align(Math.max(...ends) + slack), 16);
  const plans = sizes.map((shapes) => plan(shapes, data));
  for (const { steps } of plans) {
    const without = steps.find(({ reference }) => reference);
    if (!without?.reference) continue;
    const { name, type } = without.reference.node;
    throw new UnsupportedError(
      `layer "${name}" of type ${type} has no WebAssembly kernel, so the network cannot be compiled to a file; it runs in the library, where such layers are done in JavaScript`,
    );
  }
  return { plans, data };
}

class Builder {
  private readonly options: StandaloneOptions;
  private readonly plans: readonly Plan[];
  private readonly data: DistinctData;
  private readonly m: Module;
  private readonly sizes: StandaloneSize[];
  private readonly raw: Unpacking;
  private readonly levels: readonly (readonly BoxFormulas[])[];
  private readonly layout: DetectionLayout | undefined;
  private readonly detections: number;
  private readonly candidates: CandidateList;
  /** What is free from here on: stored weights at first, then pictures. */
  private readonly heap: number;
  private readonly shared: boolean;

  constructor(options: StandaloneOptions, plans: readonly Plan[], data: DistinctData) {
    this.options = options;
    this.m = new Module({ scalar: options.target.scalar });
    this.plans = plans;
    this.data = data;
    this.shared = options.target.threads > 1;
    this.sizes = plans.map(
      (plan): StandaloneSize => ({
        inputs: [...plan.inputs].map(([blob, place]) => ({ blob, ...place })),
        outputs: denseOutputs(plan),
      }),
    );
    this.detections = align(data.end + slack);
    this.levels = this.levelsOfSizes();
    this.layout = this.levels.length ? layoutOf(this.levels.flat()) : undefined;
    const rows = this.levels.map((levels) =>
      levels.reduce((sum, { rows, every, classes }) => sum + rows * (every ? classes.count : 1), 0),
    );
    const most = this.layout ? Math.min(mostCandidates, Math.max(0, ...rows)) : 0;
    const list = align(this.detections + (this.layout ? mostDetections * this.layout.bytes : 0));
    const turned = this.layout?.turned ?? false;
    this.candidates = { address: list, most, count: countAddress, turned };
    this.heap = align(list + most * candidateBytes(turned) + slack);
    this.raw = packRaw(data.chunks, this.heap);
  }

  build(): Standalone {
    const { m, raw, data } = this;
    const pages = Math.ceil(align(this.raw.end + slack) / pageBytes);
    const limits = this.shared ? { min: pages, max: pageBytes, shared: true } : { min: pages };
    if (this.shared) m.importMemory("env", "memory", limits);
    else m.memory(limits, "memory");
    const { constants, end } = controlAddresses;
    m.keepConstants(constants, (end - constants) / 4);
    const current = m.global("i32", { mutable: true, init: -1 });
    const globals = this.pictureGlobals();
    const runs = this.emitRuns();
    const fits = this.emitFits(globals);
    const select = this.emitSelect(current);
    if (fits.length) emitPictures(m, this.heap, select, fits);
    else this.emitSelectExport(select, globals);
    this.emitRunExport(current, runs);
    this.emitDetect(current, globals);
    const unpack = raw.emit(m);
    const words = m.constantWords();
    const active = [...raw.segments, { address: constants, bytes: new Uint8Array(words.buffer) }];
    if (this.shared) {
      const segments = active.map(({ bytes }) => m.addData(bytes));
      this.emitStart(select, unpack, (f) => {
        active.forEach(({ address, bytes }, i) => {
          for (const number of [address, 0, bytes.length]) f.i32(number);
          f.memoryInit(segments[i]);
        });
      });
    } else {
      for (const { address, bytes } of active) m.addData(bytes, address);
      m.startWith(this.emitStart(select, unpack));
    }
    const { sizes, layout: detection } = this;
    return { module: m, sizes, pages, ...(detection && { detection }), chunks: data.chunks };
  }

  private levelsOfSizes(): (readonly BoxFormulas[])[] {
    const { formulas, sizes } = this.options;
    if (!formulas) return [];
    return this.sizes.map(({ outputs }, i) => {
      const shapes = Object.fromEntries(outputs.map(({ blob, shape }) => [blob, shape]));
      return formulas(shapes, Object.values(sizes[i])[0]);
    });
  }

  /** Masks are made of them outside. */
  private pictureGlobals(): PictureGlobals {
    const isShown = this.layout?.mask !== undefined;
    const double = (name: string, init: number): GlobalRef =>
      this.m.global("f64", { mutable: true, init, ...(isShown && { export: name }) });
    return {
      ...{ padX: double("padX", 0), padY: double("padY", 0) },
      ...{ scaleX: double("scaleX", 1), scaleY: double("scaleY", 1) },
      ...{ width: double("width", 0), height: double("height", 0) },
    };
  }

  private emitRuns(): FuncRef[] {
    const { m, plans, options } = this;
    const barrier = this.shared ? emitBarrier(m) : undefined;
    const kernels = new Kernels(m, options.target);
    return plans.map((plan, i) => {
      const steps = plan.steps.map((step, s) =>
        emitStep(m, `size${i}step${s}`, step.calls, (spec) => kernels.of(step, spec), plan, false),
      );
      return emitRun(m, `size${i}`, steps, barrier, false);
    });
  }

  private emitFits(globals: PictureGlobals): FuncRef[] {
    const { m, plans, options } = this;
    const { pictures } = options;
    return plans.flatMap(({ pixels }, i) => {
      if (!pixels || !pictures) return [];
      const { spec, height, ...addresses } = pixels;
      const places = {
        3: emitPlace(m, `place3of${i}`, { ...spec, pixelBytes: 3 }, false),
        4: emitPlace(m, `place4of${i}`, { ...spec, pixelBytes: 4 }, false),
      };
      const { resize, corner } = pictures;
      const fit = { ...addresses, resize, corner, width: spec.width, height, place: spec };
      return [emitFit(m, `fit${i}`, fit, globals, places)];
    });
  }

  /** `(size)`: makes the memory of values that of a size: zeros but for some borders. */
  private emitSelect(current: GlobalRef): FuncRef {
    const { m, plans, data } = this;
    const fill = m.func("fill", { params: { at: "i32", bytes: "i32", word: "i32" }, results: [] }, (f) => {
      const { at, bytes, word } = f.params;
      set(f, bytes, i32.add(at, bytes));
      f.loop((again) => {
        f.get(at);
        f.get(word);
        f.op("i32.store");
        set(f, at, i32.add(at, 4));
        i32.lt_s(at, bytes)(f);
        f.brIf(again);
      });
    });
    return m.func("select", { params: { size: "i32" }, results: [] }, (f) => {
      f.get(f.params.size);
      f.getGlobal(current);
      f.op("i32.ne");
      f.if(() => {
        f.getGlobal(current);
        f.i32(0);
        f.op("i32.ge_s");
        f.if(() => {
          for (const number of [controlAddresses.end, 0, data.start - controlAddresses.end]) f.i32(number);
          f.op("memory.fill");
        });
        f.get(f.params.size);
        f.setGlobal(current);
        plans.forEach(({ filledBorders }, i) => {
          i32.eq(f.params.size, i)(f);
          f.if(() => {
            for (const { address, byteLength, dtype, fill: value } of filledBorders) {
              f.i32(address);
              f.i32(align(byteLength, 4));
              f.i32(
                dtype === "i8" ? (value & 255) * 0x1010101 : new Int32Array(Float32Array.of(value).buffer)[0],
              );
              f.call(fill);
            }
          });
        });
      });
    });
  }

  /** `selectSize(size) → 0`, 1 where there is none. What is seen is as large as the input. */
  private emitSelectExport(select: FuncRef, { width, height }: PictureGlobals): void {
    const { m, plans, options } = this;
    m.func("selectSize", { params: { size: "i32" }, results: ["i32"], export: true }, (f) => {
      i32.lt_u(f.params.size, plans.length)(f);
      f.if(
        () => {
          f.get(f.params.size);
          f.call(select);
          options.sizes.forEach((shapes, i) => {
            const [shape] = Object.values(shapes);
            i32.eq(f.params.size, i)(f);
            f.if(() => {
              for (const [global, side] of [
                [width, shape[2]],
                [height, shape[1]],
              ] as const) {
                f.f64(side);
                f.setGlobal(global);
              }
            });
          });
          f.i32(0);
        },
        () => f.i32(1),
        ["i32"],
      );
    });
  }

  /** `run() → 0`, 1 where a thread did not come; with threads `share(threads)` and `serve(thread, threads)`. */
  private emitRunExport(current: GlobalRef, runs: readonly FuncRef[]): void {
    const { m, shared, options } = this;
    const threads = shared ? m.global("i32", { mutable: true, init: 1 }) : undefined;
    const command = shared ? emitCommand(m) : undefined;
    m.func("run", { params: {}, results: ["i32"], export: true }, (f) => {
      const missing = f.local("i32", "missing");
      runs.forEach((run, i) => {
        f.getGlobal(current);
        f.i32(i);
        f.op("i32.eq");
        f.if(() => {
          if (command && threads) {
            f.getGlobal(threads);
            f.i32(1);
            f.op("i32.gt_s");
            f.if(() => {
              f.i32(i);
              f.call(command);
            });
          }
          f.i32(0);
          if (threads) f.getGlobal(threads);
          else f.i32(1);
          f.call(run);
          f.set(missing);
        });
      });
      f.get(missing);
    });
    if (!threads) return;
    m.func("share", { params: { threads: "i32" }, results: ["i32"], export: true }, (f) => {
      i32.lt_u(i32.sub(f.params.threads, 1), options.target.threads)(f);
      f.if(
        () => {
          f.get(f.params.threads);
          f.setGlobal(threads);
          f.i32(0);
        },
        () => f.i32(1),
        ["i32"],
      );
    });
    emitServe(m, runs);
  }

  private emitDetect(current: GlobalRef, globals: PictureGlobals): void {
    const { m, candidates, layout, options, sizes } = this;
    if (!layout) return;
    const levels = this.levels.map((list, size) =>
      list.map((formulas) => ({
        formulas,
        addresses: formulas.views.map(
          ({ blob }) => sizes[size].outputs.find((each) => each.blob === blob)!.address,
        ),
      })),
    );
    const { suppress } = options;
    emitDetect(m, {
      ...{ levels, layout, candidates, suppress, current, globals },
      ...{ out: this.detections, room: mostDetections },
    });
  }

  /** `start()`, exported where the host calls it: threads instantiate the module too, over memory that is in use. */
  private emitStart(
    select: FuncRef,
    unpack: readonly { readonly fn: FuncRef; readonly args: readonly number[] }[],
    load?: (f: { i32(value: number): void; memoryInit(segment: number): void }) => void,
  ): FuncRef {
    const { m, plans, heap, raw, options } = this;
    return m.func("start", { params: {}, results: [], export: load !== undefined }, (f) => {
      load?.(f);
      for (const { fn, args } of unpack) {
        for (const arg of args) f.i32(arg);
        f.call(fn);
      }
      // Stored weights are not needed any more.
      for (const number of [heap, 0, raw.end - heap]) f.i32(number);
      f.op("memory.fill");
      // What the border's level becomes, for each representation and channel.
      for (const pixels of new Map(
        plans.flatMap(({ pixels }) => (pixels ? [[pixels.tables, pixels]] : [])),
      ).values()) {
        for (let table = 0; table < pixels.outputs.length * pixels.spec.mix.length; table++) {
          const at = pixels.tables + table * placeTableBytes;
          f.i32(at);
          i32.load(at + (options.pictures?.border ?? 0) * 4)(f);
          f.op("i32.store", { offset: 256 * 4 });
        }
      }
      f.i32(0);
      f.call(select);
    });
  }
}

/** Throws UnsupportedError for integers that are handed out, which have a picture's layout. */
function denseOutputs(plan: Plan): TensorPlace[] {
  const { outputs } = imageOf(plan, {
    bytes: new Uint8Array(),
    segments: [],
    pages: 0,
    constants: new Int32Array(),
  });
  return [...outputs].map(([blob, output]) => {
    if (output.kind === "dense") {
      const { address, shape } = output as DenseOutput;
      return { blob, address, shape };
    }
    throw new UnsupportedError(`output "${blob}" is int8; a compiled file gives floats`);
  });
}
