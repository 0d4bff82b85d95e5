/**
 * What callers in plain JavaScript get wrong. Every function of every entry, called with everything that is not what it wants, answers with one
 * of our errors. In a folder of its own: some of them write.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as api from "../../src/node.ts";
import * as official from "../../src/official.ts";
import * as steps from "../../src/steps.ts";
import { png, put, temporaryFolder, tinyFiles } from "../cli/_run.ts";

const folder = temporaryFolder();
const inside = path.join(folder, "a/b");
const before = process.cwd();
beforeAll(() => {
  mkdirSync(inside, { recursive: true });
  process.chdir(inside);
});
afterAll(() => process.chdir(before));

const odd: unknown[] = [
  ...[undefined, null, 0, Number.NaN, -1, "", "x", true, Symbol("s"), 1n],
  ...[
    {},
    { a: null },
    [],
    [null],
    [{}],
    new Map(),
    new Uint8Array(3),
    new Float64Array(3),
    Promise.resolve(),
  ],
  ...[new Date(0), /x/, () => {}],
];
/** Nothing of theirs can be wrong, or they are classes. */
const left = new Set(["Model", "Guard", "features", "withContext", "inContext", "modelCache"]);
const functions = Object.entries({ ...steps, ...official, ...api }).filter(
  ([name, f]) => typeof f === "function" && !left.has(name),
);

test.each(functions.filter(([name]) => !name.endsWith("Error")))(
  "%s",
  async (_, f) => {
    const call = f as (...given: unknown[]) => unknown;
    for (const first of odd) {
      for (const second of [undefined, null, 1, "x", {}, [], [null]]) {
        try {
          await call(first, second);
        } catch (error) {
          if (error instanceof api.NcnnkitError) continue;
          const shown = [first, second].map((value) => `${typeof value} ${String(value)}`).join(", ");
          throw new Error(`for (${shown}): ${error}`, { cause: error });
        }
      }
    }
  },
  60_000,
);

test.each([
  ["labels", ["a,b", [1], 7, null]],
  ["anchors", ["10,13", [10, 13], [["10", "13"]], [[10, -13]], [[Number.NaN, 1]], 7, null]],
])("load: %s of a wrong kind", async (name, values) => {
  const { "tiny.param": param, "tiny.bin": bin } = tinyFiles();
  for (const value of values) {
    const loading = api.load({ param, bin } as never, { [name]: value } as never);
    await expect(loading).rejects.toThrow(new RegExp(`^${name} is .*, expected a list of`));
  }
});

describe("a model", () => {
  const file = put(folder, { "tiny.json": tinyFiles()["tiny.json"], ...tinyFiles() });
  const bytes = png(64, 64, () => true);
  const run = async (use: (model: api.Model) => unknown): Promise<unknown> => {
    const model = await api.load(file);
    try {
      return await use(model);
    } finally {
      model.close();
    }
  };
  const data = new Float32Array(3 * 64 * 64);
  const white = { width: 2, height: 1, data: new Uint8Array(8) };
  type Any = never;

  test.each<[string, (model: api.Model) => unknown, new (message: string) => Error, RegExp]>([
    [
      "no picture",
      (m) => m.detect(null as Any),
      api.UsageError,
      /detect: picture is null, expected a picture/,
    ],
    ["a promise", (m) => m.detect(Promise.resolve() as Any), api.UsageError, /is a promise \(await it\)/],
    ["a path", (m) => m.detect("a.jpg" as Any), api.UsageError, /is the string "a\.jpg", expected a picture/],
    [
      "float levels",
      (m) => m.detect({ ...white, data: new Float32Array(8) } as Any),
      api.InputError,
      /data is of class Float32Array, expected levels 0 to 255/,
    ],
    ["too few", (m) => m.detect({ ...white, width: 3 }), api.InputError, /8 bytes of pixels, expected 12/],
    ["null options", (m) => m.detect(white, null as Any), api.UsageError, /options is null/],
    [
      "text as confidence",
      (m) => m.detect(white, { confidence: "0.5" as Any }),
      api.UsageError,
      /confidence is the string "0\.5"/,
    ],
    [
      "text as iou",
      (m) => m.detect(white, { iou: "1" as Any }),
      api.UsageError,
      /iou is the string "1", expected a number/,
    ],
    [
      "text as size",
      (m) => m.detect(white, { size: "64" as Any }),
      api.UsageError,
      /size is the string "64"/,
    ],
    [
      "half a size",
      (m) => m.detect(white, { size: { width: 64 } as Any }),
      api.UsageError,
      /size is an object/,
    ],
    [
      "a class as text",
      (m) => m.detect(white, { classes: "white" as Any }),
      api.UsageError,
      /classes is the string/,
    ],
    [
      "text for a switch",
      (m) => m.detect(white, { agnostic: "no" as Any }),
      api.UsageError,
      /agnostic is the string/,
    ],
    [
      "text as a count",
      (m) => m.detect(white, { maxDetections: "1" as Any }),
      api.UsageError,
      /maxDetections is the string "1"/,
    ],
    ["no inputs", (m) => m.run(null as Any), api.UsageError, /run: inputs is null, expected an object/],
    ["an empty run", (m) => m.run({}), api.GraphError, /input "images" is missing; the inputs are images/],
    ["a null input", (m) => m.run({ images: null as Any }), api.GraphError, /"images" is missing/],
    [
      "bare numbers",
      (m) => m.run({ images: data as Any }),
      api.GraphError,
      /found shape undefined and data undefined/,
    ],
    [
      "float64",
      (m) => m.run({ images: { shape: [3, 64, 64], data: new Float64Array(data.length) as Any } }),
      api.GraphError,
      /with a Float32Array, found .* data of class Float64Array/,
    ],
    [
      "a list of numbers",
      (m) => m.run({ images: { shape: [3, 64, 64], data: [...data] as Any } }),
      api.GraphError,
      /Float32Array/,
    ],
    [
      "rank 4",
      (m) => m.run({ images: { shape: [1, 3, 64, 64], data } }),
      api.GraphError,
      /images 1x3x64x64|images 64x64/,
    ],
    [
      "wrong count",
      (m) => m.run({ images: { shape: [3, 64, 63], data } }),
      api.GraphError,
      /calls for 12096 values/,
    ],
    [
      "text in a shape",
      (m) => m.run({ images: { shape: ["3", 64, 64] as Any, data } }),
      api.GraphError,
      /shape/,
    ],
    [
      "a blob as text",
      (m) => m.run({ images: { shape: [3, 64, 64], data } }, "output" as Any),
      api.UsageError,
      /outputs/,
    ],
  ])("%s", async (_, use, Class, problem) => {
    const failed = await run(use).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failed).toBeInstanceOf(Class);
    expect(failed?.message).toMatch(problem);
  });

  test.each<[string, unknown, RegExp]>([
    [
      "a backend that is none",
      { backend: "webgl" },
      /backend the string "webgl": expected "wasm", "webgpu", "reference" or "auto"/,
    ],
    ["text as threads", { threads: "2" }, /threads is the string "2"/],
    ["no threads", { threads: 0 }, /threads is 0, expected a whole number above 0/],
    ["null", null, /load: options is null/],
  ])("load with %s", async (_, options, problem) => {
    await expect(api.load(file, options as Any)).rejects.toThrow(problem);
  });
  test("load of what is no model", async () => {
    const { load } = await import("../../src/index.ts");
    for (const each of [load, api.load]) {
      await expect(each(null as Any)).rejects.toThrow(/load: source is null/);
      await expect(each({ param: 5 } as Any)).rejects.toThrow(
        /a part of the model is 5, expected text or bytes/,
      );
      await expect(each({ pt: null } as Any)).rejects.toThrow(/is null, expected text or bytes/);
      await expect(each([{ name: "a.pt" }] as Any)).rejects.toThrow(/bytes of a\.pt is undefined/);
      await expect(each([bytes] as Any)).rejects.toThrow(api.UsageError);
    }
  });
});
