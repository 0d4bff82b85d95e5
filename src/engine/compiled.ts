/** A session over a file that was compiled ahead of time (docs/compile.md): what the file does itself is not done again. */
import { GraphError, NcnnkitError, UnsupportedError } from "../base/errors.ts";
import { sieve } from "../base/sieve.ts";
import type { Graph } from "../ir/graph.ts";
import type { Pixels } from "../ir/pixels.ts";
import { elementCount, extremesOf, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { features } from "../wasm/index.ts";
import type { Looked } from "./backend.ts";
import { checkInputs } from "./inputs.ts";
import type { Look, Session } from "./session.ts";

interface TensorPlace {
  readonly blob: string;
  readonly address: number;
  readonly shape: Shape;
}

/** A file, and what it tells of itself. */
export interface CompiledSource {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mode: string;
  readonly pictures: boolean;
  readonly sizes: readonly {
    readonly width: number;
    readonly height: number;
    readonly inputs: readonly TensorPlace[];
    readonly outputs: readonly TensorPlace[];
  }[];
  /** Of memory that it imports, at first and at most. */
  readonly pages?: readonly [number, number];
}

/** Throws UnsupportedError for a file of another kind of machines. */
function checkMachine({ name, mode }: CompiledSource): void {
  if (mode === "portable" || mode === "scalar") return;
  const { dot, madd, signSelect, pairDot } = features();
  const fits = {
    signed: dot === "signed",
    unsigned: dot === "unsigned" && signSelect,
    i7: dot === "saturating" && signSelect && (pairDot === "saturating" || pairDot === "unsigned"),
  }[mode];
  if (fits && madd === "fused") return;
  throw new UnsupportedError(
    `${name} was compiled for machines of the kind "${mode}", and this is none: its numbers would be wrong; take the portable file`,
  );
}

/** Throws UnsupportedError where the file cannot run here. One thread computes. */
export async function createCompiledSession(graph: Graph, source: CompiledSource): Promise<Session> {
  checkMachine(source);
  const runner = await Runner.start(source);
  let closed = false;
  const open = (): void => {
    if (closed) throw new GraphError("the session is closed");
  };
  const none = async (): Promise<never> => {
    throw new UnsupportedError(
      `${source.name} is compiled: it has no steps to show or to time; ask the model it was made from`,
    );
  };
  return {
    graph,
    backend: "wasm",
    options: {},
    fallback: undefined,
    run: async (inputs, outputs) => {
      open();
      return runner.run(checkInputs(graph, inputs), inputs, outputs);
    },
    extremes: async (inputs, blobs) => {
      open();
      const values = runner.run(checkInputs(graph, inputs), inputs, blobs);
      return Object.fromEntries(Object.entries(values).map(([blob, value]) => [blob, extremesOf(value)]));
    },
    lookFor: (): Look => async (pixels, tensor, outputs, read) => {
      open();
      return read(source.pictures ? runner.look(pixels, outputs) : runner.lookAt(tensor(), outputs));
    },
    ...{ profile: none, plan: none },
    get memoryBytes() {
      return runner.memory.buffer.byteLength;
    },
    close: () => {
      closed = true;
    },
  };
}

class Runner {
  readonly memory: WebAssembly.Memory;
  private readonly source: CompiledSource;
  private readonly exports: Record<string, (...args: number[]) => number>;
  private turn = 0;

  private constructor(source: CompiledSource, exports: WebAssembly.Exports, memory: WebAssembly.Memory) {
    this.source = source;
    this.exports = exports as Runner["exports"];
    this.memory = memory;
  }

  static async start(source: CompiledSource): Promise<Runner> {
    const { bytes, name, pages } = source;
    const shared = pages && new WebAssembly.Memory({ initial: pages[0], maximum: pages[1], shared: true });
    try {
      const imports: WebAssembly.Imports = shared ? { env: { memory: shared } } : {};
      const { instance } = await WebAssembly.instantiate(bytes, imports);
      const runner = new Runner(
        source,
        instance.exports,
        shared ?? (instance.exports.memory as WebAssembly.Memory),
      );
      if (shared) runner.call("start");
      return runner;
    } catch (error) {
      throw new UnsupportedError(
        `${name} cannot be run here: ${error instanceof Error ? error.message : error}`,
        {
          cause: error,
        },
      );
    }
  }

  /** What a broken file does is an error of the kit. */
  private call(name: string, ...args: number[]): number {
    try {
      return this.exports[name](...args);
    } catch (error) {
      throw new NcnnkitError(
        `${this.source.name}: ${name} stopped: ${error}; the file is damaged, or memory has run out`,
        {
          cause: error,
        },
      );
    }
  }

  private sizeOf(width: number, height: number): number {
    const { sizes, name } = this.source;
    const index = sizes.findIndex((size) => size.width === width && size.height === height);
    if (index >= 0) return index;
    const known = sizes.map((size) => `${size.width}x${size.height}`);
    throw new UnsupportedError(`${name} was compiled for ${known.join(", ")}, not for ${width}x${height}`);
  }

  run(
    shapes: Record<string, Shape>,
    inputs: Record<string, Tensor>,
    outputs: readonly string[] | undefined,
  ): Record<string, Tensor> {
    const { pictures, name } = this.source;
    if (pictures) {
      throw new UnsupportedError(
        `${name} takes pictures, which detect and look give it; numbers of an input it does not take`,
      );
    }
    const [[, height, width]] = Object.values(shapes);
    const size = this.sizeOf(width, height);
    this.call("selectSize", size);
    for (const { blob, address, shape } of this.source.sizes[size].inputs) {
      const { data } = inputs[blob];
      if (data.length !== elementCount(shape)) {
        throw new GraphError(
          `input "${blob}": shape ${formatShape(shapes[blob])}, expected ${formatShape(shape)}`,
        );
      }
      new Float32Array(this.memory.buffer, address, data.length).set(data);
    }
    this.compute();
    const found = this.outputs(size, outputs);
    return Object.fromEntries(
      Object.entries(found).map(([blob, { shape, data }]) => [blob, { shape, data: data.slice() }]),
    );
  }

  look({ data, channels, placement }: Pixels, outputs: readonly string[]): Looked {
    const { sourceWidth, sourceHeight, width, height } = placement;
    const size = this.sizeOf(width, height);
    const start = performance.now();
    const at = this.call("picture", sourceWidth, sourceHeight, channels);
    if (!at)
      throw new UnsupportedError(
        `${this.source.name}: a picture of ${sourceWidth}x${sourceHeight} is too large`,
      );
    new Uint8Array(this.memory.buffer, at, data.length).set(data);
    this.call("preprocess", sourceWidth, sourceHeight, channels, size);
    return this.looked(size, outputs, start);
  }

  lookAt({ shape, data }: Tensor, outputs: readonly string[]): Looked {
    const start = performance.now();
    const size = this.sizeOf(shape[2], shape[1]);
    this.call("selectSize", size);
    const [{ address }] = this.source.sizes[size].inputs;
    new Float32Array(this.memory.buffer, address, data.length).set(data);
    return this.looked(size, outputs, start);
  }

  private looked(size: number, outputs: readonly string[], start: number): Looked {
    const placed = performance.now();
    this.compute();
    const milliseconds = { placing: placed - start, running: performance.now() - placed };
    return { blobs: this.outputs(size, outputs), turn: ++this.turn, milliseconds, sieve };
  }

  private compute(): void {
    if (this.call("run")) throw new NcnnkitError(`${this.source.name}: a thread did not answer in time`);
  }

  /** As they lie in memory. */
  private outputs(
    size: number,
    wanted: readonly string[] | undefined,
  ): Record<string, Tensor & { data: Float32Array }> {
    const all = this.source.sizes[size].outputs;
    const names = wanted ?? all.map(({ blob }) => blob);
    return Object.fromEntries(
      names.map((blob) => {
        const place = all.find((each) => each.blob === blob);
        if (!place) {
          throw new GraphError(
            `no output "${blob}" in ${this.source.name}; there are ${all.map((each) => each.blob).join(", ")}`,
          );
        }
        const { address, shape } = place;
        return [blob, { shape, data: new Float32Array(this.memory.buffer, address, elementCount(shape)) }];
      }),
    );
  }
}
