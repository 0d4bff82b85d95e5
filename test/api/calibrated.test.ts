/** Calibrated models beside their table, and calibration in parts, from memory. */
import { describe, expect, test } from "vitest";
import { calibrateModel, type Tensor, UsageError } from "../../src/index.ts";
import { memoryFolder } from "../../src/open/source.ts";
import {
  calibratedFiles,
  mergePartials,
  observeSource,
  openCalibrated,
  parseTable,
  partialNote,
  writePartial,
} from "../../src/steps.ts";
import { tinyModel } from "../cli/_tiny.ts";

const tensorOf = (level: number): Record<string, Tensor> => ({
  images: { shape: [3, 64, 64], data: Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => (i % 7) * level) },
});
const source = (levels: readonly number[]) =>
  async function* tensors() {
    for (const level of levels) yield tensorOf(level);
  };

describe("a calibrated model", () => {
  const encode = (content: Uint8Array | string): Uint8Array =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;

  async function calibrated() {
    const original = tinyModel();
    const result = await calibrateModel(original.graph, source([0.1, 0.14]));
    const files = await calibratedFiles(result, original, "t-calibrated");
    const named = Object.entries(files).map(([name, content]) => ({ name, bytes: encode(content) }));
    return { original, result, files, folder: memoryFolder(named), table: parseTable(result.plainTable) };
  }

  test("is found with its own table, by the float model and the plain table", async () => {
    const { original, result, files, folder, table } = await calibrated();
    expect(Object.keys(files).sort()).toEqual(
      ["-float.bin", "-float.param", ".bin", ".h", ".json", ".param", ".table"].map(
        (extension) => `t-calibrated${extension}`,
      ),
    );
    const found = await openCalibrated(folder, "t-calibrated", { graph: original.graph, table });
    // The same integers as calibration gave, and beside them the weights that a layer in float has.
    expect(found?.corrections?.get("head")).toEqual(result.corrections.get("head"));
    const weights = (graph = original.graph) => graph.node("head")?.weights.weight.data;
    expect(weights(found?.graph)).toEqual(weights(result.graph));
    expect(found).toMatchObject({ method: "auto", images: 2 });
    expect([...(found?.table.activations.keys() ?? [])]).toEqual(["head"]);
    expect(await openCalibrated(folder, "other", { graph: original.graph, table })).toBeUndefined();
  });

  test("of another model or table is left alone, with a word", async () => {
    const { original, folder, table } = await calibrated();
    const said: string[] = [];
    const open = (graph: typeof original.graph, given: typeof table) =>
      openCalibrated(folder, "t-calibrated", { graph, table: given }, (message) => said.push(message));
    const other = tinyModel().graph;
    other.nodes[1].weights.bias.data[0] = 1;
    expect(await open(other, table)).toBeUndefined();
    expect(await open(original.graph, { ...table, activations: new Map([["head", 3]]) })).toBeUndefined();
    expect(said).toEqual([
      "t-calibrated.json is of another model: only the table is used",
      "t-calibrated.json does not fit the scales in the table: only the table is used",
    ]);
  });

  test("a layer that was taken out of the table stays out", async () => {
    const { original, folder } = await calibrated();
    const table = { weights: new Map(), activations: new Map() };
    const found = await openCalibrated(folder, "t-calibrated", { graph: original.graph, table });
    expect([found?.table.weights.size, found?.table.activations.size]).toEqual([0, 0]);
  });

  test("there are no files where the weights stay as they are", async () => {
    const original = tinyModel();
    const result = await calibrateModel(original.graph, source([0.1]), { method: "kl" });
    expect(await calibratedFiles(result, original, "t")).toEqual({});
  });
});

describe("parts", () => {
  const { graph, manifest } = tinyModel();
  const part = async (levels: readonly number[], input = manifest.input) => {
    const observations = await observeSource(graph, source(levels));
    return writePartial({ note: await partialNote(graph, input), observations });
  };

  test("merge to what one run sees", async () => {
    const files = [
      { name: "a", bytes: await part([0.1]) },
      { name: "b", bytes: await part([0.14]) },
    ];
    const merged = mergePartials(files, await partialNote(graph, manifest.input));
    const whole = await observeSource(graph, source([0.1, 0.14]));
    const tables = [merged, whole].map((observations) =>
      calibrateModel(graph, undefined, { observations, method: "kl" }),
    );
    const [one, other] = await Promise.all(tables);
    expect(one.images).toBe(2);
    expect(one.plainTable).toBe(other.plainTable);
  });

  test("the same part twice, and one of other pictures, are refused", async () => {
    const note = await partialNote(graph, manifest.input);
    const bytes = await part([0.1]);
    const twice = [bytes, await part([0.14]), bytes.slice()].map((each, i) => ({
      name: `p${i}`,
      bytes: each,
    }));
    expect(() => mergePartials(twice, note)).toThrow(
      new UsageError("p2 and p0 are the same part, whose pictures would count twice"),
    );
    const other = { name: "o", bytes: await part([0.1], { ...manifest.input, width: 128 }) };
    expect(() => mergePartials([other], note)).toThrow(/^o: made with another model, size or pre-processing/);
  });
});
