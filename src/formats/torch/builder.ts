/** Walks the module tree and appends ncnn layers to a graph; which class becomes what is in `layers.ts` and `blocks.ts`. */
import { Graph } from "../../ir/graph.ts";
import type { Params } from "../../ir/op.ts";
import { f32Weight, type Weights } from "../../ir/weight.ts";
import { share } from "../../ops/slice.ts";
import type { TorchModule } from "./module.ts";

/** Appends the layers of a module that reads `inputs` and returns its output blob. */
export type Emitter = (builder: NetworkBuilder, module: TorchModule, inputs: readonly string[]) => string;

/** The deepest real tree has about ten levels; sharing could otherwise make exponentially many paths. */
const maxDepth = 48;
const maxModules = 50_000;

export class NetworkBuilder {
  readonly graph = new Graph();
  /** Of a module with several outputs, by the blob that stands for them. */
  readonly parts = new Map<string, readonly string[]>();
  private readonly emitters: ReadonlyMap<string, Emitter>;
  private readonly names = new Set<string>();
  private readonly swapped = new Map<string, { module: TorchModule; source: string; blob?: string }>();
  private depth = 0;
  private modules = 0;

  constructor(emitters: ReadonlyMap<string, Emitter>) {
    this.emitters = emitters;
  }

  /** Appends a module, by its class. Throws UnsupportedError naming a class that has no emitter. */
  emit(module: TorchModule, ...inputs: string[]): string {
    const emitter = this.emitters.get(module.className);
    if (!emitter) {
      module.unsupported("this class cannot be converted; export the model to ONNX and convert that");
    }
    if (++this.modules > maxModules) module.fail(`more than ${maxModules} modules`);
    if (++this.depth > maxDepth) module.fail(`modules are nested more than ${maxDepth} deep`);
    const output = emitter(this, module, inputs);
    this.depth--;
    return output;
  }

  /** Appends a chain of sub-modules; names with a trailing `?` are skipped where they are missing. */
  chain(module: TorchModule, parts: readonly string[], input: string): string {
    return parts.reduce((blob, part) => {
      const child = part.endsWith("?") ? module.optionalChild(part.slice(0, -1)) : module.child(part);
      return child ? this.emit(child, blob) : blob;
    }, input);
  }

  /**
   * Appends one layer with one output, whose blob has the layer's name; a name that is taken gets a number. `module` pays
   * for the weights.
   */
  layer(
    module: TorchModule,
    type: string,
    name: string,
    inputs: readonly string[],
    params: Params = {},
    weights: Record<string, Float32Array> = {},
  ): string {
    return this.layers(module, type, name, inputs, 1, params, weights)[0];
  }

  /** As `layer`, for a layer with several outputs: `name`, `name_1`, … */
  layers(
    module: TorchModule,
    type: string,
    name: string,
    inputs: readonly string[],
    outputs: number,
    params: Params = {},
    weights: Record<string, Float32Array> = {},
  ): string[] {
    const stored: Weights = {};
    for (const [key, data] of Object.entries(weights)) {
      module.pay(data.length);
      stored[key] = f32Weight(data);
    }
    const sources = inputs.map((blob) => this.inOrder(blob));
    const blobs = Array.from({ length: outputs }, () => this.freeName(name));
    // Float parameters are float32 in files; rounding them here makes a written graph equal this one.
    const rounded: Params = {};
    for (const [key, value] of Object.entries(params)) {
      rounded[key] = typeof value === "number" ? Math.fround(value) : value;
    }
    this.graph.add({
      type,
      name: blobs[0],
      inputs: sources,
      outputs: [...blobs],
      params: rounded,
      weights: stored,
    });
    return blobs;
  }

  /**
   * A name for `source` with the second and third quarter of its channels exchanged. A convolution exchanges its weights
   * instead (`swappedSource`); for other layers the quarters are put in order.
   */
  swapQuarters(module: TorchModule, source: string): string {
    const name = `${source} swapped`;
    this.swapped.set(name, { module, source });
    return name;
  }
  swappedSource(blob: string): string | undefined {
    return this.swapped.get(blob)?.source;
  }

  private inOrder(blob: string): string {
    const swap = this.swapped.get(blob);
    if (!swap) return blob;
    if (swap.blob === undefined) {
      const { module, source } = swap;
      const quarters = { slices: [share, share, share, share] };
      const [a, b, c, d] = this.layers(module, "Slice", module.at("quarters"), [source], 4, quarters);
      swap.blob = this.layer(module, "Concat", module.at("order"), [a, c, b, d]);
    }
    return swap.blob;
  }

  /** Gives a blob that was just made, and nothing reads yet, another name: the layer keeps its own. */
  rename(blob: string, wanted: string): string {
    const name = this.freeName(wanted);
    const node = this.graph.nodes.findLast(({ outputs }) => outputs.includes(blob))!;
    node.outputs = node.outputs.map((output) => (output === blob ? name : output));
    return name;
  }

  private freeName(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.names.has(name); i++) name = `${wanted}_${i}`;
    this.names.add(name);
    return name;
  }
}
