/** Whether the engine computes right on this machine: small networks with every kernel, beside the reference kernels. */
import { Random } from "../base/random.ts";
import { warmUp } from "../base/timing.ts";
import { createSession, type SessionOptions } from "../engine/session.ts";
import type { Graph } from "../ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { type KernelNetwork, kernelNetworks, timedNetworks } from "../zoo/kernels.ts";
import { synthesize } from "../zoo/weights.ts";
import { timeRuns } from "./benchmark.ts";

/** What float kernels may be away from the reference, of the largest number of a blob: their sums are added in another order. */
const tolerance = 1e-4;

export interface SelfTest {
  /** The first network whose result is wrong, and how; undefined where all are right. */
  readonly wrong: string | undefined;
  /** Milliseconds of networks of plain products, in float32 and int8; to compare settings by. */
  readonly milliseconds: readonly number[];
}

const prepared = ({ build }: KernelNetwork): { graph: Graph; inputs: Record<string, Tensor> } => {
  const graph = build();
  synthesize(graph);
  const random = new Random(1);
  const inputs = graph.nodes.flatMap(({ type, outputs, params: { c, h, w } }) => {
    if (type !== "Input") return [];
    const shape = [c, h, w] as Shape;
    return [[outputs[0], { shape, data: random.floats(elementCount(shape), -1, 1) }] as const];
  });
  return { graph, inputs: Object.fromEntries(inputs) };
};

/** What differs, undefined for nothing. */
async function difference(network: KernelNetwork, options: SessionOptions): Promise<string | undefined> {
  const { graph, inputs } = prepared(network);
  const [session, reference] = await Promise.all([
    createSession(graph, options),
    createSession(graph, { backend: "reference" }),
  ]);
  try {
    const [found, expected] = [await session.run(inputs), await reference.run(inputs)];
    for (const blob of graph.outputs) {
      const [a, b] = [found[blob].data, expected[blob].data];
      let largest = 0;
      for (const x of b) largest = Math.max(largest, Math.abs(x));
      const most = network.isExact ? 0 : tolerance * largest;
      const at = b.findIndex((x, i) => !(Math.abs(a[i] - x) <= most));
      if (at >= 0) return `${network.name}: element ${at} of ${blob} is ${a[at]}, expected ${b[at]}`;
    }
    return undefined;
  } finally {
    session.close();
    reference.close();
  }
}

async function timeOf(network: KernelNetwork, options: SessionOptions): Promise<number> {
  const { graph, inputs } = prepared(network);
  const session = await createSession(graph, options);
  const run = () => session.run(inputs);
  const warmup = await warmUp(run);
  const { min } = await timeRuns(run, 40, warmup);
  session.close();
  return min;
}

/** Runs the networks with such a session: some tenths of a second. */
export async function selfTest(options: SessionOptions = {}): Promise<SelfTest> {
  for (const network of kernelNetworks) {
    const wrong = await difference(network, options);
    if (wrong !== undefined) return { wrong, milliseconds: [] };
  }
  const milliseconds: number[] = [];
  for (const network of timedNetworks) milliseconds.push(await timeOf(network, options));
  return { wrong: undefined, milliseconds };
}
