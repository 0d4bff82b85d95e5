/**
 * ncnn lets a blob have one reader; fan-out needs a `Split` layer. In the graph a blob has any number of readers: this
 * is the one place where Splits vanish (`dropSplits`) and come back (`withSplits`).
 */
import { freeName, type Graph, type Node } from "../../ir/graph.ts";
import { noop } from "../../ops/noop.ts";
import { split } from "../../ops/split.ts";

/**
 * Removes the Split nodes of a freshly parsed graph, binding readers to the blob that was copied, and remembers their
 * spelling. A copy that nobody reads is an output of the network: it stays, as a Noop.
 */
export function dropSplits(graph: Graph): void {
  const splits = graph.nodes.filter((node) => node.type === split.type);
  if (splits.length === 0) return;
  const readers = new Map<string, string[]>();
  for (const node of graph.nodes) {
    node.inputs.forEach((blob, i) => {
      readers.set(blob, [...(readers.get(blob) ?? []), `${node.name}:${i}`]);
    });
  }
  const source = new Map<string, string>();
  const kept: Node[] = [];
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((blob) => source.get(blob) ?? blob);
    if (node.type !== split.type) {
      kept.push(node);
      continue;
    }
    const [blob] = node.inputs;
    const topReaders = node.outputs.map((top) => readers.get(top) ?? []);
    for (const [i, top] of node.outputs.entries()) {
      if (topReaders[i].length > 0) source.set(top, blob);
      else
        kept.push({
          type: noop.type,
          name: `${node.name}_${i}`,
          inputs: [blob],
          outputs: [top],
          params: {},
          weights: {},
        });
    }
    if (topReaders.every((list) => list.length === 1) && !graph.splits.has(blob)) {
      graph.splits.set(blob, {
        name: node.name,
        outputs: [...node.outputs],
        readers: topReaders.map(([reader]) => reader),
        params: node.params,
      });
    }
  }
  graph.nodes = kept;
}

/**
 * The nodes to write: a Split after each producer of a blob with several readers. A Split that was read from a file
 * and still fits is written as it was; a new one is named as onnx2ncnn does: `splitncnn_<k>`, tops `<blob>_splitncnn_<i>`,
 * the first reader bound to the highest i. The graph is not changed.
 */
export function withSplits(graph: Graph): Node[] {
  const readers = new Map<string, { node: Node; index: number }[]>();
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: [...node.inputs] }));
  for (const node of nodes) {
    node.inputs.forEach((blob, index) => {
      readers.set(blob, [...(readers.get(blob) ?? []), { node, index }]);
    });
  }
  const takenNames = new Set(nodes.map((node) => node.name));
  const takenBlobs = new Set(nodes.flatMap((node) => node.outputs));
  for (const spelling of graph.splits.values()) takenNames.add(spelling.name);
  let counter = 0;
  const written: Node[] = [];
  for (const node of nodes) {
    written.push(node);
    for (const blob of node.outputs) {
      const list = readers.get(blob) ?? [];
      if (list.length < 2) continue;
      const keys = list.map(({ node, index }) => `${node.name}:${index}`);
      const known = graph.splits.get(blob);
      const fits = known?.readers.length === keys.length && keys.every((key) => known.readers.includes(key));
      let name: string;
      let tops: string[];
      if (known && fits) {
        name = known.name;
        tops = keys.map((key) => known.outputs[known.readers.indexOf(key)]);
      } else {
        do name = `splitncnn_${counter++}`;
        while (takenNames.has(name));
        tops = list.map((_, i) => freeName(`${blob}_splitncnn_${list.length - 1 - i}`, takenBlobs));
      }
      for (const [i, reader] of list.entries()) reader.node.inputs[reader.index] = tops[i];
      const outputs = known && fits ? [...known.outputs] : tops.reverse();
      const params = known && fits ? known.params : {};
      written.push({ type: split.type, name, inputs: [blob], outputs, params, weights: {} });
    }
  }
  return written;
}
