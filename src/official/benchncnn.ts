/** The field's benchmark: many networks, weights out of a seed, time of an inference each. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { warmUp } from "../base/timing.ts";
import { createSession, type SessionOptions } from "../engine/session.ts";
import { parseParam, printParam, writeWeights } from "../formats/ncnn/index.ts";
import type { Graph } from "../ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Timing, timeRuns } from "../open/benchmark.ts";
import { summarize } from "../open/summary.ts";
import { type ZooNetwork, zoo } from "../zoo/index.ts";
import { synthesize } from "../zoo/weights.ts";

/** A network to time. */
export interface BenchmarkNetwork {
  readonly name: string;
  /** Shapes of the inputs, `[c, h, w]`, in the order of the graph's inputs. */
  readonly shapes: readonly Shape[];
  /** The graph, without weights. */
  build(): Graph;
}

export interface NetworkTiming extends Timing {
  readonly name: string;
  readonly shapes: readonly Shape[];
  readonly parameters: number;
  /** Multiply-accumulates of one inference. */
  readonly macs: number;
  /** Milliseconds from a graph with weights to the first result. */
  readonly firstRun: number;
}

export interface NetworkBenchmarkOptions extends SessionOptions {
  /** Timed inferences; default 4. */
  readonly loops?: number;
}

/** The networks of ncnn's benchmark in its order, then YOLOv5-Lite at three sizes. */
export const benchmarkNetworks: readonly BenchmarkNetwork[] = zoo.map((network: ZooNetwork) => ({
  name: network.name,
  shapes: [[3, network.size, network.size]],
  build: network.build,
}));

/**
 * A network from the text of a `.param` file.
 * Throws FormatError, and UsageError when the number of shapes is not that of the inputs.
 */
export function networkFromParam(text: string, name: string, shapes: readonly Shape[]): BenchmarkNetwork {
  expectKind("networkFromParam: text", text, "a string");
  expectKind("networkFromParam: shapes", shapes, "a list");
  const graph = parseParam(text, name);
  if (graph.inputs.length !== shapes.length) {
    throw new UsageError(
      `${name} has ${graph.inputs.length} inputs (${graph.inputs.join(", ")}), but ${shapes.length} shapes are given`,
    );
  }
  return { name, shapes, build: () => graph };
}

/**
 * Times one network: invents weights and inputs, warms up until times settle (`warmUp`), runs. Weights are freed afterwards.
 *
 * ```ts
 * await benchmarkNetwork(benchmarkNetworks[0], { loops: 8 });
 * ```
 */
export async function benchmarkNetwork(
  network: BenchmarkNetwork,
  options: NetworkBenchmarkOptions = {},
): Promise<NetworkTiming> {
  expectKind("benchmarkNetwork: network", network, "an object");
  expectKind("benchmarkNetwork: network.build", network.build, "a function");
  expectKind("benchmarkNetwork: options", options, "an object of options");
  const { loops = 4, ...sessionOptions } = options;
  const { graph, inputShapes } = invented(network);
  const { parameters, macs = 0 } = summarize(graph, inputShapes);
  const inputs = noise(inputShapes);
  const start = performance.now();
  const session = await createSession(graph, sessionOptions);
  try {
    await session.run(inputs);
    const firstRun = performance.now() - start;
    const warmup = 1 + (await warmUp(() => session.run(inputs)));
    const timing = await timeRuns(() => session.run(inputs), loops, warmup);
    return { name: network.name, shapes: network.shapes, parameters, macs, firstRun, ...timing };
  } finally {
    session.close();
  }
}

/** The network with its invented weights as ncnn files, so that other programs can be timed on it. */
export function networkFiles(network: BenchmarkNetwork): { param: string; bin: Uint8Array } {
  expectKind("networkFiles: network", network, "an object");
  expectKind("networkFiles: network.build", network.build, "a function");
  const { graph } = invented(network);
  return { param: printParam(graph), bin: writeWeights(graph) };
}

function invented(network: BenchmarkNetwork): { graph: Graph; inputShapes: Record<string, Shape> } {
  const graph = network.build();
  const inputShapes = Object.fromEntries(graph.inputs.map((blob, i) => [blob, network.shapes[i]]));
  synthesize(graph, inputShapes);
  return { graph, inputShapes };
}

/** Values in [-1, 1), what the weights are made for. */
function noise(shapes: Record<string, Shape>): Record<string, Tensor> {
  const random = new Random(1);
  return Object.fromEntries(
    Object.entries(shapes).map(([blob, shape]) => [
      blob,
      { shape, data: random.floats(elementCount(shape)) },
    ]),
  );
}
