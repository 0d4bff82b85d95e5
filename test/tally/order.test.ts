/** Every kind of tally gives the same to the last bit whatever the order of pictures and the parts. */
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { calibrate } from "../../src/deploy/calibrate.ts";
import type { Picture } from "../../src/detect/picture.ts";
import type { Head } from "../../src/heads/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { assumeManifest } from "../../src/open/assume.ts";
import { quantizableLayers, quantizeGraph } from "../../src/quantize/index.ts";
import { Detections } from "../../src/tally/detections.ts";
import { Differences } from "../../src/tally/differences.ts";
import { EqTally } from "../../src/tally/eq.ts";
import { Histograms } from "../../src/tally/histograms.ts";
import { detectionFocus, detectionImportance } from "../../src/tally/importance.ts";
import { tallyOf } from "../../src/tally/kinds.ts";
import { Moments } from "../../src/tally/moments.ts";
import { type EvaluationItem, iteratedPictures, type Pictures } from "../../src/tally/pictures.ts";
import { RangesTally } from "../../src/tally/ranges.ts";
import { type Runner, run } from "../../src/tally/run.ts";
import { Shift } from "../../src/tally/shift.ts";
import { pictureSubject } from "../../src/tally/subjects.ts";
import type { Numbered, Subject, Tally } from "../../src/tally/tally.ts";
import { network } from "../quantize/_models.ts";

/** A network with a head of two anchors and one class, with outputs in the cells of its 8×8 map. */
const text = `7767517
6 6
Input       x    0 1 x 0=16 1=16 2=3
Convolution stem 1 1 x stem 0=8 1=3 3=2 4=1 5=1 6=216 9=1
Convolution body 1 1 stem body 0=8 1=3 4=1 5=1 6=576 9=1
Convolution head 1 1 body head 0=12 1=1 5=1 6=96
Reshape     cut  1 1 head cells 0=64 1=6 2=2
Permute     out  1 1 cells out 0=1
`;
const graph = network(text, 3);
const heads: Head[] = [{ kind: "yolov5", blob: "out", stride: 2, anchors: [4, 4, 8, 8] }];
const manifest = { ...assumeManifest(graph, "tiny").manifest, heads, labels: ["thing"] };
const input = {
  of: {
    ...manifest.input,
    blob: "x",
    width: 16,
    height: 16,
    stride: 2,
    mean: [0, 0, 0],
    norm: [1 / 255, 1 / 255, 1 / 255],
  },
  options: {},
};

const count = 11;
const items: EvaluationItem[] = Array.from({ length: count }, (_, i) => {
  const random = new Random(i);
  const data = Uint8Array.from({ length: 20 * 14 * 3 }, () => random.int(0, 255));
  const picture: Picture = { width: 20, height: 14, channels: 3, data };
  const box = { x: random.int(0, 9), y: random.int(0, 5), width: 6, height: 7 };
  return { id: `p${i}`, picture, truth: [{ image: `p${i}`, category: 0, box }] };
});
/** Some of them, in some order, each with its number. */
const some = (numbers: readonly number[]): Pictures<EvaluationItem> => ({
  numbered: async function* numbered() {
    for (const index of numbers) yield { index, picture: items[index] } satisfies Numbered<EvaluationItem>;
  },
});

const subjectOf = (of: Graph): Subject<EvaluationItem> => pictureSubject(of, input);
const float = subjectOf(graph);
const tensors = () =>
  async function* () {
    for (const picture of items) yield float.prepare(picture).inputs;
  };
const { table } = await calibrate(graph, tensors(), { method: "minmax" });
const int8 = subjectOf(quantizeGraph(graph, table));
const layers = quantizableLayers(graph).map(({ input: blob }) => blob);
const focus = detectionFocus(manifest);

const made: { [kind: string]: () => Tally<EvaluationItem> } = {
  histograms: () => new Histograms(float, layers),
  "histograms, ranges only": () => new Histograms(float, layers, { rangesOnly: true }),
  ranges: () => new RangesTally(float, layers, focus),
  moments: () => new Moments(float, table.activations, focus),
  eq: () => new EqTally(float),
  shift: () => new Shift(float, int8, detectionImportance(manifest)!),
  detections: () => new Detections([float, int8], [manifest, manifest]),
  differences: () => new Differences(float, int8),
};
/** What a tally holds, in the order of names and numbers; times left out. */
const held = (tally: Tally<EvaluationItem>): unknown =>
  JSON.parse(
    JSON.stringify(tally.write(), (key, value) => {
      if (key === "milliseconds") return undefined;
      return ArrayBuffer.isView(value)
        ? { bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex") }
        : value;
    }),
    (key, value) => (key === "" && Array.isArray(value) ? value.sort((a, b) => a[0] - b[0]) : value),
  );
const straight = Array.from({ length: count }, (_, i) => i);

describe.each(Object.keys(made))("%s", (kind) => {
  test("is the same in any order and any parts, and elsewhere", async () => {
    const whole = made[kind]();
    expect(await run([whole], some(straight))).toBe(count);
    const random = new Random(7);
    for (const parts of [1, 2, 5]) {
      const order = straight.map((i) => ({ i, at: random.next() })).sort((a, b) => a.at - b.at);
      const merged = made[kind]();
      for (let part = parts - 1; part >= 0; part--) {
        const numbers = order.map(({ i }) => i).filter((_, at) => at % parts === part);
        const there = tallyOf(kind.split(",")[0], whole.graphs, structuredClone(whole.settings));
        await run([there], some(numbers));
        merged.merge(merged.read(structuredClone(there.write())));
      }
      expect(held(merged)).toEqual(held(whole));
    }
  });
});

/** Cuts every pass into parts, and merges them from the last on. */
const inParts =
  (parts: number): Runner =>
  async ({ tallies, isWanted }) => {
    let images = 0;
    for (let part = parts - 1; part >= 0; part--) {
      const numbers = straight.filter((index) => isWanted(index) && index % parts === part);
      for (const tally of tallies as Tally<EvaluationItem>[]) {
        const there = tallyOf(tally.kind!, tally.graphs, tally.settings);
        images += await run([there], some(numbers));
        tally.merge(tally.read(there.write()));
      }
    }
    return images;
  };

test("calibration is the same in parts as at once", async () => {
  const options = { focus, importance: detectionImportance(manifest) };
  for (const method of ["auto", "eq", "kl"] as const) {
    const whole = await calibrate(graph, tensors(), { ...options, method });
    for (const parts of [2, 3]) {
      const source = Object.assign(tensors(), { of: { pictures: some(straight), input } });
      const result = await calibrate(graph, source, { ...options, method, runner: inParts(parts) });
      expect(result.table).toEqual(whole.table);
      expect(result.corrections).toEqual(whole.corrections);
      expect(result.layers).toEqual(whole.layers);
    }
  }
});

test("a pass over nothing adds nothing", async () => {
  expect(
    await run(
      [made.histograms()],
      iteratedPictures<EvaluationItem>(() => []),
    ),
  ).toBe(0);
});
