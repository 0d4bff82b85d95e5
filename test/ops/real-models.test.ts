/** Shapes of every real network, against the shape hints that native ncnn left in the files. */
import { expect, it } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { inferShapes } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";
import { dataFiles, dataText, describeData } from "../data.ts";

/** Input extent of networks that work with one only and do not say so in the file; the others get 320. */
const inputSizes: Record<string, number> = { "models/benchncnn/vision_transformer.param": 384 };

/** A hint of four (rank, w, h, c) or five (rank, w, h, d, c) numbers as a shape. */
function hintedShape(hint: readonly number[]): number[] {
  const [rank, w, h, ...rest] = hint;
  const c = rest[rest.length - 1];
  return [[w], [h, w], [c, h, w], [c, ...rest.slice(0, 1), h, w]][rank - 1];
}

describeData("shape rules on real networks", () => {
  const files = [...dataFiles("models", ".param"), ...dataFiles("models/benchncnn", ".param")];
  it.each(files)("%s", (file) => {
    const graph = parseParam(dataText(file), file);
    const size = inputSizes[file] ?? 320;
    const inputs = Object.fromEntries(graph.inputs.map((blob) => [blob, [3, size, size]]));
    const declared = graph.nodes.filter((node) => node.type === "Input" && node.params.w);
    for (const node of declared) delete inputs[node.outputs[0]];
    const shapes = inferShapes(graph, ops, inputs);
    const wrong: unknown[] = [];
    for (const node of graph.nodes) {
      const hints = node.params.shape_hints as readonly number[] | undefined;
      // Hints of detection layers hold the rows that the converter's run happened to give.
      if (!hints || declared.length === 0 || ops.get(node.type)!.dynamicRows) continue;
      const step = hints.length / node.outputs.length;
      node.outputs.forEach((blob, i) => {
        const hinted = hintedShape(hints.slice(i * step, (i + 1) * step));
        const found = shapes.get(blob);
        if (JSON.stringify(hinted) !== JSON.stringify(found))
          wrong.push([node.type, node.name, hinted, found]);
      });
    }
    expect(wrong).toEqual([]);
    expect(shapes.size).toBeGreaterThan(graph.nodes.length - 1);
  });
});
