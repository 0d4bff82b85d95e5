import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FormatError, type TrackMeasures, type TrackRules, UsageError } from "../../src/index.ts";
import { evaluateTracks, parseTracks, tracksText } from "../../src/steps.ts";

type Values = Record<string, number | number[]>;
interface Golden {
  name: string;
  rules: TrackRules;
  sequences: [name: string, truth: string, result: string][];
  trackeval: Record<string, { HOTA: Values; CLEAR: Values; Identity: Values }>;
  motmetrics?: Record<string, { mota: number; idf1: number }>;
}

/** Made by scripts/mot-goldens.py with trackeval and py-motmetrics. */
const goldens = JSON.parse(readFileSync(new URL("data/tracks.json", import.meta.url), "utf8")) as Golden[];

const clearNames: Record<string, string> = {
  CLR_Re: "recall",
  CLR_Pr: "precision",
  CLR_F1: "F1",
  CLR_TP: "TP",
  CLR_FN: "FN",
  CLR_FP: "FP",
};
const hotaNames: Record<string, string> = {
  "HOTA(0)": "HOTA0",
  "LocA(0)": "LocA0",
  "HOTALocA(0)": "HOTALocA0",
};

function near(ours: unknown, theirs: number | number[], what: string): void {
  const [a, b] = [[ours].flat(), [theirs].flat()];
  expect(a.length, what).toBe(b.length);
  for (const [i, value] of b.entries()) {
    expect(Math.abs(Number(a[i]) - value), `${what}[${i}]: ${a[i]}, trackeval ${value}`).toBeLessThan(1e-6);
  }
}

function same(ours: TrackMeasures, theirs: Golden["trackeval"][string], where: string): void {
  for (const [name, value] of Object.entries(theirs.CLEAR)) {
    const found = Object.entries(ours.clear).find(([key]) => key === (clearNames[name] ?? name));
    near(found?.[1], value, `${where}: ${name}`);
  }
  for (const [name, value] of Object.entries(theirs.Identity)) {
    near(Object.entries(ours.identity).find(([key]) => key === name)?.[1], value, `${where}: ${name}`);
  }
  for (const [name, value] of Object.entries(theirs.HOTA)) {
    const key = hotaNames[name] ?? name.replace(/^HOTA_/, "");
    const from: object = Array.isArray(value) ? ours.hota.at : ours.hota;
    near(Object.entries(from).find(([each]) => each === key)?.[1], value, `${where}: ${name}`);
    if (Array.isArray(value) && key in ours.hota) {
      const mean = value.reduce((sum, each) => sum + each, 0) / value.length;
      near(Object.entries(ours.hota).find(([each]) => each === key)?.[1], mean, `${where}: mean ${name}`);
    }
  }
}

test.each(goldens)("$name: trackeval's and motmetrics' figures", (golden) => {
  const sequences = golden.sequences.map(([name, truth, result]) => ({
    name,
    truth: parseTracks(truth, "gt.txt"),
    result: parseTracks(result, "result.txt"),
  }));
  const found = evaluateTracks(sequences, { rules: golden.rules });
  for (const each of found.sequences) same(each, golden.trackeval[each.name], each.name);
  same(found.combined, golden.trackeval.all, "all");
  for (const [name, { mota, idf1 }] of Object.entries(golden.motmetrics ?? {})) {
    const ours = found.sequences.find((each) => each.name === name);
    near(ours?.clear.MOTA, mota, `${name}: motmetrics' MOTA`);
    near(ours?.identity.IDF1, idf1, `${name}: motmetrics' IDF1`);
  }
});

test("motmetrics was compared with", () => {
  expect(goldens.flatMap(({ motmetrics }) => Object.keys(motmetrics ?? {})).length).toBeGreaterThan(6);
});

test("a result measured against itself is perfect, and written it can be read", () => {
  const [[, , text]] = goldens[0].sequences;
  const rows = parseTracks(text, "a").map((row) => ({ ...row, score: 0.5 }));
  const { combined } = evaluateTracks([{ name: "a", truth: rows, result: rows }]);
  expect([combined.clear.MOTA, combined.identity.IDF1, combined.hota.HOTA]).toEqual([1, 1, 1]);
  expect(parseTracks(tracksText(rows), "b").map(({ category: _, ...row }) => row)).toEqual(
    rows.map(({ category: _, ...row }) => row),
  );
});

test("blanks between numbers, a comma at the end, Windows' line ends", () => {
  expect(parseTracks("1 2 3 4 5 6\r\n2, 2, 3.5, 4, 5, 6, 1,\r\n\r\n", "a")).toEqual([
    { frame: 1, id: 2, box: { x: 3, y: 4, width: 5, height: 6 }, score: 1 },
    { frame: 2, id: 2, box: { x: 3.5, y: 4, width: 5, height: 6 }, score: 1 },
  ]);
});

test.each([
  ["1,2,3,4,5\n", 'gt.txt: line 1: 5 numbers in "1,2,3,4,5", expected frame,id,left,top,width,height'],
  ["1,1,3,4,5,6\n1,a,3,4,5,6\n", 'gt.txt: line 2: "a" is no number'],
  ["0,1,3,4,5,6\n", "gt.txt: line 1: picture 0, expected a whole number from 1"],
  ["1,1.5,3,4,5,6\n", "gt.txt: line 1: identity 1.5, expected a whole number"],
  ["1,1,3,4,5,6\n1,1,9,9,5,6\n", "gt.txt: line 2: picture 1 has identity 1 a second time, first in line 1"],
  ["1,1,,4,5,6\n", 'gt.txt: line 1: "" is no number'],
])("a wrong file is told: %j", (text, message) => {
  expect(() => parseTracks(text, "gt.txt")).toThrow(FormatError);
  expect(() => parseTracks(text, "gt.txt")).toThrow(message);
});

test("rules that need classes say so", () => {
  const rows = parseTracks("1,1,3,4,5,6,1\n", "a");
  expect(() => evaluateTracks([{ name: "street", truth: rows, result: rows }], { rules: "mot17" })).toThrow(
    'street: identity 1 in picture 1 of the labels has no class (the eighth number), which the rules of mot17 go by; use the rules "all"',
  );
  expect(() => evaluateTracks([], { rules: "kitti" as "all" })).toThrow(UsageError);
});
