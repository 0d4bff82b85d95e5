/** The tools as functions, with pictures and arrays from memory. */
import { describe, expect, test } from "vitest";
import { calibrateModel, InputError, UsageError } from "../../src/index.ts";
import {
  checkTableSettings,
  ncnn2int8,
  ncnn2table,
  parseTableSettings,
  type TableFiles,
} from "../../src/official.ts";
import { parseTable } from "../../src/steps.ts";
import { tinyModel } from "../cli/_tiny.ts";

const words = ["mean=[0,0,0]", "norm=[0.0039,0.0039,0.0039]", "shape=[64,64,3]", "pixel=RGB", "method=kl"];

/** Grey pictures of one level each. */
const pictures = (levels: readonly number[]): TableFiles => ({
  files: [levels.map(String)],
  picture: async (file) => ({
    width: 16,
    height: 16,
    data: new Uint8Array(16 * 16 * 4).fill(Number(file)),
  }),
  bytes: async () => {
    throw new Error("there are no arrays");
  },
});

describe("settings", () => {
  test("are what the words say; a key is known by its beginning; threads have a limit", () => {
    expect(parseTableSettings([...words, "threads=100"], { threads: 2 })).toEqual({
      mean: [[0, 0, 0]],
      norm: [[0.0039, 0.0039, 0.0039]],
      shape: [[64, 64, 3]],
      pixel: ["RGB"],
      threads: 64,
      method: "kl",
      arrays: false,
    });
    expect(parseTableSettings(["thread=0"], { threads: 2 }).threads).toBe(2);
  });

  test("words that mean nothing are told", () => {
    const told: string[] = [];
    parseTableSettings(["here", "colour=red"], { onWarning: (message) => told.push(message) });
    expect(told).toEqual(["unrecognized arg here", "unknown key colour is ignored"]);
  });

  test.each([["mean=[a]"], ["pixel=RAW"], ["method=mse"], ["type=2"], ["thread=x"]])(
    "%s is refused",
    (word) => {
      expect(() => parseTableSettings([word])).toThrow(UsageError);
    },
  );

  test("each input has its own", () => {
    const { graph } = tinyModel();
    expect(() => checkTableSettings(graph, 2, parseTableSettings(words))).toThrow(
      "expect 1 lists, but got 2: one for each Input layer (images)",
    );
    expect(() => checkTableSettings(graph, 1, parseTableSettings([...words, "norm=[1]"]))).toThrow(
      "norm of images: found 1 numbers, expected 3 for RGB",
    );
  });
});

test("a table of pictures in memory, and the int8 model of it", async () => {
  const { graph } = tinyModel();
  const phases: string[] = [];
  const { table, layers } = await ncnn2table(graph, pictures([51, 255, 128]), parseTableSettings(words), {
    onProgress: ({ phase, images }) => phases.push(`${phase} ${images}`),
  });
  expect(phases).toEqual(["observe 1", "observe 2", "observe 3"]);
  // The level 255 is the largest: 127 stands for about 255·0.0039.
  expect(layers.map(({ name, max }) => [name, Number(max.toFixed(4))])).toEqual([["head", 0.9945]]);
  const lines: string[] = [];
  const int8 = ncnn2int8(graph, parseTable(table), { log: (line) => lines.push(line) });
  expect(lines).toEqual(["quantize_convolution head"]);
  expect(int8.nodes.find(({ name }) => name === "head")?.params.int8_scale_term).toBeTruthy();
  expect(ncnn2int8(graph, undefined).nodes.some(({ params }) => params.int8_scale_term)).toBe(false);
});

test("aciq counts no values, and finds the same scales as a calibration that reports", async () => {
  const { graph } = tinyModel();
  const files = pictures([51, 255, 128]);
  const aciq = parseTableSettings(words.map((word) => word.replace("kl", "aciq")));
  const { table, layers } = await ncnn2table(graph, files, aciq);
  const levels = [51, 255, 128].map((level) =>
    new Float32Array(3 * 64 * 64).fill(Math.fround(level * 0.0039)),
  );
  const source = async function* () {
    for (const data of levels) yield { images: { shape: [3, 64, 64], data } };
  };
  const full = await calibrateModel(graph, source, { method: "aciq" });
  expect(table).toBe(full.plainTable);
  expect(full.layers).toMatchObject(layers);
  expect(full.layers[0].histogram.length).toBe(256);
});

test("an array of another shape is refused", async () => {
  const header = `${"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1), }".padEnd(117)}\n`;
  const bytes = new Uint8Array(10 + 118 + 24);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, 118, 0]);
  bytes.set(new TextEncoder().encode(header), 10);
  const files: TableFiles = { ...pictures([]), files: [["a.npy"]], bytes: async () => bytes };
  const settings = parseTableSettings(["type=1", "shape=[64,64,3]"]);
  await expect(ncnn2table(tinyModel().graph, files, settings)).rejects.toThrow(
    new InputError("a.npy: an array of shape=[1,2,3], expected [64,64,3]"),
  );
});
