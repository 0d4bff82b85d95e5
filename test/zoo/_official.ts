/** The official `.param` files, cut down to what runs within seconds; NCNNKIT_FULL=1 leaves all as they are. */
import { parseParam } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { zoo } from "../../src/zoo/index.ts";
import { dataText } from "../data.ts";

const isFull = process.env.NCNNKIT_FULL === "1";

interface Reduction {
  readonly size: number;
  /** Leaves out all layers after the last of this type (`nth` counts from the first). */
  readonly until?: readonly [type: string, nth: number];
}

/** Fully connected layers fix the input's size: these networks are cut before them. */
const reductions: Record<string, Reduction> = {
  resnet18: { size: 64, until: ["Eltwise", 8] },
  resnet50: { size: 64, until: ["Eltwise", 16] },
  googlenet: { size: 64, until: ["Concat", 9] },
  vgg16: { size: 32, until: ["Pooling", 5] },
  alexnet: { size: 99, until: ["Pooling", 3] },
  vision_transformer: { size: 384, until: ["LayerNorm", 3] },
  blazeface: { size: 64 },
};

/** An official network without weights, and the size of its input. */
export function official(name: string): { graph: Graph; size: number } {
  const graph = parseParam(dataText(`models/benchncnn/${name}.param`), `${name}.param`);
  const { size } = zoo.find((network) => network.name === name)!;
  if (isFull) return { graph, size };
  const reduction = reductions[name.replace("_int8", "")] ?? { size: size > 224 ? 160 : 96 };
  if (reduction.until) cut(graph, ...reduction.until);
  return { graph, size: reduction.size };
}

function cut(graph: Graph, type: string, nth: number): void {
  const last = graph.nodes.filter((node) => node.type === type)[nth - 1];
  graph.nodes.length = graph.nodes.indexOf(last) + 1;
}
