/** Small networks with random weights and pictures for them. */
import { Random } from "../../src/base/random.ts";
import type { CalibrationSource } from "../../src/deploy/calibrate.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";
import { quantizableLayers } from "../../src/quantize/index.ts";
import { addRanges, type Ranges } from "../../src/quantize/ranges.ts";

/** A ShuffleNet-like unit, a residual add, a 3×3 convolution and a head: all that equalization has to see through. */
export const shuffleNet = `7767517
15 18
Input                x     0 1 x 0=16 1=16 2=3
Convolution          stem  1 1 x stem 0=8 1=3 3=2 4=1 5=1 6=216 9=1
Slice                cut   1 2 stem left right -23300=2,4,4
Convolution          a     1 1 right a 0=6 1=1 5=1 6=24 9=1
ConvolutionDepthWise dw    1 1 a dw 0=6 1=3 4=1 5=1 6=54 7=6
Convolution          b     1 1 dw b 0=4 1=1 5=1 6=24 9=2 -23310=1,0.1
Concat               cat   2 1 left b cat
ShuffleChannel       mix   1 1 cat mix 0=2
Pooling              pool  1 1 mix pool 0=1 1=3 2=1 3=1 5=1
Convolution          c     1 1 pool c 0=8 1=3 4=1 5=1 6=576
BinaryOp             add   2 1 pool c sum
ReLU                 relu  1 1 sum relu
Convolution          head  1 1 relu head 0=5 1=1 5=1 6=40
Swish                s     1 1 relu s
Convolution          last  1 1 s last 0=2 1=1 6=16
`;

/** The network with weights whose channels differ a hundredfold in size, as folded batch norms make them. */
export function network(text = shuffleNet, seed = 1): Graph {
  const graph = parseParam(text);
  const random = new Random(seed);
  for (const node of graph.nodes) {
    const p = paramsOf(node, ops) as Record<string, number>;
    if (!p.weight_data_size) continue;
    const perChannel = p.weight_data_size / p.num_output;
    const size = Array.from({ length: p.num_output }, () => 10 ** random.uniform(-1, 1));
    node.weights.weight = f32Weight(
      Float32Array.from(
        { length: p.weight_data_size },
        (_, i) => (random.normal() * size[Math.floor(i / perChannel)]) / Math.sqrt(perChannel),
      ),
    );
    if (p.bias_term) node.weights.bias = f32Weight(size.map((s) => s * random.normal() * 0.3));
  }
  return graph;
}

/** Ranges of the inputs of all convolutions. */
export async function rangesOf(graph: Graph, source: CalibrationSource): Promise<Ranges> {
  const ranges: Ranges = new Map();
  const wanted = quantizableLayers(graph).map(({ input }) => input);
  for await (const input of source()) {
    const values = { ...input, ...runReference(graph, input, wanted) };
    addRanges(ranges, Object.fromEntries(wanted.map((blob) => [blob, values[blob]])));
  }
  return ranges;
}

export function pictures(count: number, seed = 1): CalibrationSource {
  return async function* () {
    const random = new Random(seed);
    for (let i = 0; i < count; i++) yield { x: { shape: [3, 16, 16], data: random.floats(768, 0, 1) } };
  };
}
