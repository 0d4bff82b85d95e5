/** A loaded model: a graph in a session, with the facts that turn pictures into its input and its outputs into boxes. */

import { expectKind } from "../base/arguments.ts";
import { InputError, UnsupportedError, UsageError, withContext } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { type DetectOptions, postprocess } from "../detect/detect.ts";
import type { Detection } from "../detect/detection.ts";
import type { Transform } from "../detect/letterbox.ts";
import { isFrame, type Picture, pictureOfFrame } from "../detect/picture.ts";
import { Placer } from "../detect/placer.ts";
import {
  type BackendName,
  createSession,
  type Look,
  type Looked,
  type Session,
  type SessionOptions,
} from "../engine/session.ts";
import type { CompiledSource } from "../engine/standalone.ts";
import { blobsOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { Frame } from "../ir/pixels.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "./facts.ts";
import type { OpenedModel } from "./format.ts";

/** How a picture is looked at. */
export interface LookOptions {
  /** Input size in pixels instead of the manifest's: a square's side or both sides; multiples of the model's stride. */
  size?: KnownFacts["size"];
  /** Pad only to the next multiple of the stride, as YOLOv5's `detect.py` does: less to compute, slightly other boxes. */
  rectangle?: boolean;
}

/** Options of `model.detect`. */
export type ModelDetectOptions = DetectOptions & LookOptions;

/** What a network says of a picture, as long as it is not asked about another one. */
export class PictureLook {
  /** How the picture lies in the input. */
  readonly transform: Transform;
  /** Placing the picture in the input, and running the network. */
  readonly milliseconds: Looked["milliseconds"];
  private readonly looked: Looked;
  private readonly turn: number;
  private readonly manifest: Manifest;

  constructor(looked: Looked, manifest: Manifest, transform: Transform) {
    this.looked = looked;
    this.turn = looked.turn;
    this.milliseconds = { ...looked.milliseconds };
    this.manifest = manifest;
    this.transform = transform;
  }

  /** As `detect` gives them. Throws UsageError for a wrong option, and where the model has looked at another picture since. */
  detections(options: DetectOptions = {}): Detection[] {
    const { looked, manifest, transform } = this;
    if (looked.turn !== this.turn) {
      throw new UsageError(
        "detections: the model has looked at another picture since; look at this one again",
      );
    }
    return postprocess(looked.blobs, manifest, transform, options, looked.sieve);
  }
}

/** A model ready to run, as `load` gives it. `close` it when it is no longer needed. */
export class Model {
  /** Pre-processing, heads, labels, provenance; what `NAME.json` holds. */
  readonly manifest: Manifest;
  /** What the files did not say and was assumed, a sentence each; empty for a model with a manifest. */
  readonly assumptions: readonly string[];
  private readonly whyNoHeads: string | undefined;
  private readonly session: Session;
  private readonly placer: Placer;
  private readonly lookAtPixels: Look;
  /** What decoding reads. */
  private readonly blobs: readonly string[];

  constructor(opened: Pick<OpenedModel, "manifest" | "assumptions" | "whyNoHeads">, session: Session) {
    this.manifest = opened.manifest;
    this.assumptions = opened.assumptions;
    this.whyNoHeads = opened.whyNoHeads;
    this.session = session;
    const { input, heads } = opened.manifest;
    this.placer = new Placer(input);
    this.lookAtPixels = session.lookFor({ blob: input.blob, levels: this.placer.levels });
    this.blobs = blobsOf(heads);
  }

  get graph(): Graph {
    return this.session.graph;
  }
  /** What computes; of a model that was loaded with `auto`, what did so last. */
  get backend(): BackendName {
    return this.session.backend;
  }
  /** What it was made to run with. */
  get options(): Readonly<SessionOptions> {
    return this.session.options;
  }
  /** Why that is not the backend that was asked for, in a sentence; undefined where it is. */
  get fallback(): string | undefined {
    return this.session.fallback;
  }
  /** Bytes of WebAssembly or GPU memory held at present. */
  get memoryBytes(): number {
    return this.session.memoryBytes;
  }

  /**
   * Raw blobs by name for the given input blobs; without `outputs`, the graph's outputs. Tensors are `[c, h, w]` float32.
   *
   * ```ts
   * const { output } = await model.run({ images: { shape: [3, 320, 320], data } });
   * output.shape; // [3, 1600, 85]
   * ```
   * Throws GraphError for a missing, unknown or misshapen input and for an unknown output.
   */
  run(inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Record<string, Tensor>> {
    return this.session.run(inputs, outputs);
  }

  /**
   * What is in a picture (`ImageData`, 8-bit RGB/RGBA pixels, or an `ImageBitmap` or `VideoFrame`, whose pixels stay on the GPU with webgpu), best first; boxes, masks and points in pixels of the picture. `task` tells
   * what there is of each: boxes, masks, key points, turned boxes, or classes of the whole picture.
   *
   * ```ts
   * await model.detect(picture, { confidence: 0.5 });
   * // [{ task: "detect", label: "tv", classId: 62, score: 0.8818, box: { x: 0.54, y: 163.7, width: 158.04, height: 103.05 } }, …]
   * ```
   * Throws UnsupportedError when the model is no detector, UsageError for a wrong option, InputError for a broken picture.
   */
  async detect(picture: Picture | Frame, options: ModelDetectOptions = {}): Promise<Detection[]> {
    return this.lookAt("detect", picture, options, (look) => look.detections(options));
  }

  /**
   * The same in two steps: with other thresholds, the boxes of a picture are chosen anew without running the network again.
   *
   * ```ts
   * const look = await model.look(picture);
   * const [few, many] = [look.detections({ confidence: 0.5 }), look.detections({ confidence: 0.1 })];
   * ```
   * Throws as `detect` does.
   */
  look(picture: Picture | Frame, options: LookOptions = {}): Promise<PictureLook> {
    return this.lookAt("look", picture, options, (look) => look);
  }

  /** `read` is called before anybody else can run the network. */
  private async lookAt<T>(
    name: string,
    picture: Picture | Frame,
    options: LookOptions,
    read: (look: PictureLook) => T,
  ): Promise<T> {
    this.requireHeads();
    const given = isFrame(picture) ? pictureOfFrame(picture) : picture;
    if (given === picture) expectKind(`${name}: picture`, picture, "a picture ({ width, height, data })");
    expectKind(`${name}: options`, options, "an object of options");
    const { rectangle } = options;
    const { pixels, transform, tensor } = this.placer.place(given, {
      ...bothSides(options.size),
      rectangle,
    });
    const { manifest } = this;
    let error: unknown;
    const result = await this.lookAtPixels(pixels, tensor, this.blobs, (looked) => {
      try {
        return read(new PictureLook(looked, manifest, transform));
      } catch (reason) {
        // What is wrong with options is not wrong with the size.
        error = reason;
        return undefined;
      }
    }).catch((reason: unknown) => {
      throw this.atSize(reason, transform);
    });
    if (error !== undefined) throw error;
    return result as T;
  }

  /** An error says so where the model runs at other sizes than this. */
  private atSize(error: unknown, { width: w, height: h }: Transform): unknown {
    const { width, height } = this.manifest.input;
    if (w === width && h === height) return error;
    const where = `${this.manifest.name} does not run at ${w}x${h}; use ${width}x${height}, which it was made for, or convert an export made for ${w}x${h}`;
    return withContext(where, error);
  }

  /** Throws UnsupportedError when the outputs of the model cannot be read as boxes. */
  requireHeads(): void {
    const { manifest, whyNoHeads } = this;
    if (!manifest.heads.length) requireHeads({ manifest, graph: this.graph, whyNoHeads });
  }

  /** Frees memory and threads; the model cannot run afterwards. */
  close(): void {
    this.session.close();
  }
}

/** Throws UnsupportedError when the outputs of a model cannot be read as boxes; before anything is computed or read. */
export function requireHeads(model: Pick<OpenedModel, "manifest" | "graph" | "whyNoHeads">): void {
  expectKind("requireHeads: model", model, "an opened model ({ graph, manifest })");
  const { manifest, graph, whyNoHeads } = model;
  expectKind("requireHeads: model.manifest", manifest, "a manifest");
  if (manifest.heads.length) return;
  const why = whyNoHeads ?? "no heads of a kind that is known are among its outputs";
  throw new UnsupportedError(
    `${manifest.name} is no detector that can be decoded: ${why} (${brief(graph.outputs.join(", "))})`,
  );
}

/** A model that runs, from one that was opened; raw graphs are optimised first. */
export async function startModel(opened: OpenedModel, options: SessionOptions): Promise<Model> {
  if (!opened.hasWeights) throw new InputError(`${opened.manifest.bin} is missing, so the model cannot run`);
  if (opened.compiled) return startCompiled(opened, opened.compiled.source, options);
  // A page that loads what was converted already does not carry the passes.
  const { graph, manifest } = opened.raw ? (await import("./convert.ts")).convert(opened) : opened;
  const { backend, threads, wideVectors, modules, precision, tune } = options;
  return new Model(
    { manifest, assumptions: opened.assumptions, whyNoHeads: opened.whyNoHeads },
    await createSession(graph, { backend, threads, wideVectors, modules, precision, tune }),
  );
}

async function startCompiled(
  { graph, manifest, assumptions, whyNoHeads }: OpenedModel,
  source: CompiledSource,
  { backend = "wasm", threads = 1 }: SessionOptions,
): Promise<Model> {
  if (backend !== "wasm") {
    throw new UsageError(
      `backend "${backend}": ${source.name} is compiled to WebAssembly; leave the backend out`,
    );
  }
  if (threads > 1) {
    throw new UsageError(
      `threads ${threads}: the library runs a compiled file in one thread; its own module does it in several`,
    );
  }
  const { createCompiledSession } = await import("../engine/standalone.ts");
  return new Model({ manifest, assumptions, whyNoHeads }, await createCompiledSession(graph, source));
}
