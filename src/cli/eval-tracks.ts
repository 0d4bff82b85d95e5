/** `ncnnkit eval --tracks`: how well things were followed, from the text files of MOTChallenge. */
import path from "node:path";
import { counted } from "../base/text.ts";
import { kindOf, listFolder, readText } from "../node/files.ts";
import {
  InputError,
  type TrackEvaluation,
  type TrackedSequence,
  type TrackMeasures,
  type TrackRow,
  type TrackRules,
  UsageError,
} from "../node.ts";
import { evaluateTracks, parseTracks } from "../steps.ts";
import { figures } from "./figures.ts";
import { printJson, type Terminal, warn } from "./terminal.ts";

interface Options {
  readonly rules: TrackRules;
  readonly json?: boolean;
  readonly perSequence?: boolean;
}

/** Measures each of the results (a file, or a folder with a file a sequence) against the labels. */
export async function evalTracks(
  truth: string,
  results: readonly string[],
  { rules, json, perSequence }: Options,
  terminal: Terminal,
): Promise<void> {
  const evaluations: TrackEvaluation[] = [];
  for (const result of results) {
    const sequences = await readSequences(truth, result, (message) => warn(terminal, message));
    evaluations.push(evaluateTracks(sequences, { rules }));
  }
  if (json) {
    printJson(terminal, { rules, results: evaluations.map((each, i) => ({ file: results[i], ...each })) });
    return;
  }
  const [{ combined }] = evaluations;
  const { truthBoxes, truthIds } = combined.counts;
  terminal.out(`${counted(truthBoxes, "labelled box")} of ${counted(truthIds, "thing")}\n\n`);
  const named = evaluations.flatMap(({ sequences, combined: all }, i): [string, TrackMeasures][] => [
    ...(perSequence
      ? sequences.map((each): [string, TrackMeasures] => [`${results[i]} ${each.name}`, each])
      : []),
    [results[i], all],
  ]);
  terminal.out(tables(named).join("\n"));
}

/** Pairs of files: `gt.txt` and `result.txt`, or for folders those of each sequence. Throws InputError. */
async function readSequences(
  truth: string,
  result: string,
  warned: (message: string) => void,
): Promise<TrackedSequence[]> {
  const kinds = [kindOf(truth), kindOf(result)];
  if (kinds[0] !== "folder" && kinds[1] !== "folder") {
    const name = path.basename(result, path.extname(result));
    return [{ name, truth: await rowsOf(truth), result: await rowsOf(result) }];
  }
  if (kinds[0] !== kinds[1]) {
    throw new UsageError(
      `${truth} is ${kinds[0] ? `a ${kinds[0]}` : "missing"} and ${result} ${kinds[1] ? `a ${kinds[1]}` : "is missing"}; name two files, or two folders with a file for each sequence`,
    );
  }
  const files = truthFiles(truth);
  const sequences: TrackedSequence[] = [];
  for (const [name, file] of files) {
    const found = path.join(result, `${name}.txt`);
    const isThere = kindOf(found) === "file";
    if (!isThere) warned(`${found} is missing: nothing was found in this sequence`);
    sequences.push({ name, truth: await rowsOf(file), result: isThere ? await rowsOf(found) : [] });
  }
  if (sequences.every((each) => !each.result.length)) {
    throw new InputError(
      `${result}: no results for ${[...files.keys()].slice(0, 5).join(", ")}; expected NAME.txt for each`,
    );
  }
  return sequences;
}

/** By sequence: `NAME/gt/gt.txt`, as MOTChallenge has it, or `NAME.txt`. */
function truthFiles(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const name of listFolder(folder).sort()) {
    const inside = path.join(folder, name, "gt", "gt.txt");
    if (kindOf(inside) === "file") files.set(name, inside);
    else if (name.endsWith(".txt")) files.set(name.slice(0, -4), path.join(folder, name));
  }
  if (files.size) return files;
  throw new InputError(`${folder}: no labels in this folder, expected NAME/gt/gt.txt or NAME.txt`);
}

const rowsOf = async (file: string): Promise<TrackRow[]> =>
  parseTracks(await readText(file, "annotations"), file);

/** Hundredths with one decimal, below 0 too. */
const hundredths = (value: number): string => (100 * value).toFixed(1);

function tables(named: readonly [string, TrackMeasures][]): string[] {
  const shares = (title: string, of: (each: TrackMeasures) => Record<string, number>): string => {
    const [[, first]] = named;
    const columns = Object.keys(of(first));
    return figures([
      [title, ...columns],
      ...named.map(([name, each]) => [name, ...columns.map((column) => hundredths(of(each)[column]))]),
    ]);
  };
  const numbers = ["TP", "FN", "FP", "IDSW", "Frag", "MT", "PT", "ML"] as const;
  return [
    shares("tracks", ({ clear, identity, hota }) => ({
      ...{ HOTA: hota.HOTA, MOTA: clear.MOTA, IDF1: identity.IDF1, DetA: hota.DetA, AssA: hota.AssA },
      ...{ LocA: hota.LocA, MOTP: clear.MOTP, recall: clear.recall, precision: clear.precision },
    })),
    shares("parts", ({ clear, identity, hota }) => ({
      ...{ DetRe: hota.DetRe, DetPr: hota.DetPr, AssRe: hota.AssRe, AssPr: hota.AssPr },
      ...{ IDR: identity.IDR, IDP: identity.IDP, MODA: clear.MODA, sMOTA: clear.sMOTA },
    })),
    figures([
      ["counts", ...numbers, "identities"],
      ...named.map(([name, { clear, counts }]) => [
        name,
        ...numbers.map((each) => String(clear[each])),
        String(counts.foundIds),
      ]),
    ]),
  ];
}
