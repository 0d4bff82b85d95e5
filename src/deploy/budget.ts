/** Which layers stay float so that an int8 model stays within a budget of accuracy or of time. */

import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { median } from "../base/maths.ts";
import { warmUp } from "../base/timing.ts";
import { createSession } from "../engine/session.ts";
import type { CalibrationTable } from "../formats/table.ts";
import { lossOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import { type Graph, inferShapes, opOf, paramsOf } from "../ir/graph.ts";
import { Model } from "../open/model.ts";
import { ops } from "../ops/index.ts";
import { withoutVectorConvolutions } from "../passes/index.ts";
import { type Corrections, type Loss, quantizableLayers, quantizeGraph } from "../quantize/index.ts";
import { headline } from "../tally/measure.ts";
import type { EvaluationItem } from "../tally/pictures.ts";
import type { Runner } from "../tally/run.ts";
import { evaluateModels } from "./evaluate.ts";
import { type LayerSensitivity, sensitivity } from "./sensitivity.ts";

/** What layers that stay float may cost; each limit that is given must hold. */
export interface Budget {
  /** Most AP50-95 that may be lost, as a fraction: 0.003 for 0.3 AP. */
  ap?: number;
  /** Most that an inference may take longer than with all layers int8, as a fraction: 0.05 for 5 %. */
  time?: number;
  /** Most multiply-accumulates in float, as a fraction of those of all layers that can be int8. The same on every machine. */
  work?: number;
}

/** What layers are chosen by. */
export interface BudgetInput {
  /** The float graph that the table belongs to. */
  graph: Graph;
  manifest: Manifest;
  table: CalibrationTable;
  corrections?: Corrections;
  keepFloat?: readonly string[];
  budget: Budget;
  /** A few input pictures, on which the layers' sensitivity is measured. */
  inputs: readonly Blobs[];
  /** What `sensitivity` has found already. */
  ranked?: readonly LayerSensitivity[];
  /**
   * How good the network is with these in float. With it, layers are taken from the most sensitive on, within the budget of time or
   * work, only until it is 1; where that is not reached, as few as are about as good as any.
   */
  quality?: (keepFloat: readonly string[]) => Promise<number>;
  /** Labelled pictures, for a budget of AP (of top-1 where pictures are sorted). */
  items?: () => AsyncIterable<EvaluationItem>;
  /** Spread of each key point of their objects, as `evaluateModels` takes it. */
  sigmas?: readonly number[];
  size?: { width: number; height: number };
  threads?: number;
  /** What carries out passes over `items`; default: this thread. */
  runner?: Runner;
  signal?: AbortSignal;
  /** Told after each layer, and after each candidate that accuracy was measured of. */
  onProgress?: (what: "sensitivity" | "accuracy", done: number, total?: number) => void;
}
type Blobs = Parameters<Loss>[0];

/** Which layers stay float, and what came of it. */
export interface BudgetResult {
  /** Layers to keep float, those asked for not among them, with the reason for each. */
  reasons: Map<string, string>;
  /** AP lost with these in float; missing without a budget of AP. */
  apLoss?: number;
  /** Whether the budget of AP is kept, and `quality` reached. */
  met: boolean;
  /** All layers, most sensitive first. */
  ranked: readonly LayerSensitivity[];
}

/** Chooses by measured sensitivity. Throws UsageError for a budget of AP without labelled pictures. */
export async function keepWithinBudget(given: BudgetInput): Promise<BudgetResult> {
  expectKind("keepWithinBudget: given", given, "an opened model ({ graph, manifest })");
  const input = { ...given, graph: withoutVectorConvolutions(given.graph) };
  const { graph, table, budget, onProgress, items } = input;
  if (budget.ap !== undefined && !items) {
    throw new UsageError("a budget of AP needs labelled pictures to measure it on");
  }
  const { corrections, keepFloat, threads, manifest, signal } = input;
  const { heads, labels } = manifest;
  // Sensitivity on the detections, where the outputs make some.
  const loss: Loss | undefined = heads.length
    ? (float, int8) => lossOf(heads, labels.length, float, int8)
    : undefined;
  const ranked =
    input.ranked ??
    (await sensitivity(graph, table, input.inputs, {
      ...{ corrections, keepFloat, threads, signal },
      ...(loss && { loss }),
      onProgress: (done, total) => onProgress?.("sensitivity", done, total),
    }));
  const place = new Map(ranked.map(({ name }, i) => [name, i + 1]));
  const reason = (name: string): string =>
    `number ${place.get(name)} of ${ranked.length} in sensitivity, within the budget of ${budgetText(budget)}`;
  let order = ranked.map(({ name }) => name);
  if (budget.time !== undefined) order = await withinTime(input, ranked, budget.time);
  else if (budget.work !== undefined) order = bestWithin(input, ranked, 1, budget.work);
  let apLoss: number | undefined;
  let met = true;
  if (budget.ap !== undefined && items) {
    const most = budget.ap;
    const lossWith = await apLosses(input, order, items);
    const count = await fewest(order.length, async (tried) => (await lossWith(tried)) <= most);
    order = order.slice(0, count);
    apLoss = await lossWith(count);
    met = apLoss <= most;
  } else if (input.quality) {
    const { quality } = input;
    const found = new Map<number, number>();
    const isEnough = async (tried: number): Promise<boolean> => {
      found.set(tried, await quality(order.slice(0, tried)));
      return (found.get(tried) ?? 0) >= 1;
    };
    const count = await fewest(order.length, isEnough);
    met = (found.get(count) ?? 0) >= 1;
    order = order.slice(0, met ? count : aboutBest(found));
  }
  return { reasons: new Map(order.map((name) => [name, reason(name)])), apLoss, met, ranked };
}

/** What two measurements may differ by without a reason. */
const chance = 0.005;

/** The least count that is about as good as any. */
function aboutBest(found: ReadonlyMap<number, number>): number {
  const best = Math.max(...found.values());
  return Math.min(...[...found].filter(([, quality]) => quality >= best - chance).map(([count]) => count));
}

function budgetText({ ap, time, work }: Budget): string {
  return [
    ...(ap === undefined ? [] : [`${+(100 * ap).toFixed(3)} AP`]),
    ...(time === undefined ? [] : [`${+(100 * time).toFixed(2)} % time`]),
    ...(work === undefined ? [] : [`${+(100 * work).toFixed(2)} % of the work`]),
  ].join(" and ");
}

/**
 * The layers that give most for their time, as long as the time stays within the share. A layer's time is estimated as its
 * part of what float takes longer than int8, by its multiply-accumulates; the whole is measured, and if it takes too long
 * after all, the estimate is allowed less.
 */
async function withinTime(
  input: BudgetInput,
  ranked: readonly { name: string; loss: number }[],
  share: number,
): Promise<string[]> {
  const { graph, table, corrections, keepFloat = [] } = input;
  const timeWith = (names: readonly string[]): Promise<number> =>
    timeOf(quantizeGraph(graph, table, { corrections, keepFloat: [...keepFloat, ...names] }), input);
  const floatTime = await timeOf(graph, input);
  let allowed = share;
  for (let attempt = 0; attempt < 6; attempt++) {
    const int8Time = await timeWith([]); // anew each time: other work on the machine comes and goes
    const chosen = bestWithin(input, ranked, Math.max(floatTime - int8Time, 0), allowed * int8Time);
    const excess = chosen.length ? (await timeWith(chosen)) / int8Time - 1 : 0;
    if (excess <= share) return chosen;
    allowed *= Math.min(share / excess, 0.7);
  }
  return [];
}

/** What any layer in float costs, as a part of what int8 saves over all: its neighbours have to convert. */
const leastCost = 1e-3;

/** Greedy choice by loss for time; `saved` is what int8 saves over all layers, `budget` what may be spent, in the same unit. */
function bestWithin(
  { graph, inputs }: BudgetInput,
  ranked: readonly { name: string; loss: number }[],
  saved: number,
  budget: number,
): string[] {
  const macs = macsOf(graph, inputs[0]);
  const all = ranked.reduce((sum, { name }) => sum + (macs.get(name) ?? 0), 0) || 1;
  const costOf = (name: string): number => ((macs.get(name) ?? 0) / all) * saved;
  const worth = ({ name, loss }: { name: string; loss: number }): number =>
    loss / (costOf(name) + leastCost * saved || 1e-9);
  let left = budget;
  const chosen = new Set<string>();
  for (const { name } of [...ranked].sort((a, b) => worth(b) - worth(a))) {
    if (costOf(name) > left + 1e-9 * budget) continue; // the sum is rounded
    left -= costOf(name);
    chosen.add(name);
  }
  return ranked.map(({ name }) => name).filter((name) => chosen.has(name));
}

/** Multiply-accumulates of these layers as a part of those of all layers that can be int8. */
export function workOf(graph: Graph, inputs: Blobs, layers: Iterable<string>): number {
  const macs = macsOf(graph, inputs);
  const sum = (names: Iterable<string>): number =>
    [...names].reduce((total, name) => total + (macs.get(name) ?? 0), 0);
  return sum(layers) / (sum(quantizableLayers(graph).map(({ name }) => name)) || 1);
}

function macsOf(graph: Graph, inputs: Blobs): Map<string, number> {
  const given = Object.fromEntries(Object.entries(inputs).map(([blob, { shape }]) => [blob, shape]));
  const shapes = inferShapes(graph, ops, given);
  return new Map(
    graph.nodes.map((node) => {
      const [from, to] = [node.inputs, node.outputs].map((blobs) =>
        blobs.map((blob) => shapes.get(blob) ?? []),
      );
      return [node.name, opOf(node, ops).macs?.(from, to, paramsOf(node, ops)) ?? 0];
    }),
  );
}

async function timeOf(graph: Graph, { inputs, threads }: BudgetInput): Promise<number> {
  const session = await createSession(graph, { threads });
  try {
    const run = (): Promise<unknown> => session.run(inputs[0]);
    await warmUp(run, 5);
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    return median(times);
  } finally {
    session.close();
  }
}

/** What AP is lost with so many layers from the front of `order` in float; each is measured once. */
async function apLosses(
  input: BudgetInput,
  order: readonly string[],
  items: () => AsyncIterable<EvaluationItem>,
): Promise<(count: number) => Promise<number>> {
  let step = 0;
  const { size, sigmas, runner, signal } = input;
  const apOf = async (graph: Graph): Promise<number> => {
    const session = await createSession(graph, { threads: input.threads });
    try {
      const model = new Model({ manifest: input.manifest, assumptions: [] }, session);
      const { models } = await evaluateModels([model], items(), { size, sigmas, runner, signal });
      input.onProgress?.("accuracy", ++step);
      return headline(models[0]) ?? -1;
    } finally {
      session.close();
    }
  };
  const { graph, table, corrections, keepFloat = [] } = input;
  const float = await apOf(graph);
  const known = new Map<number, number>();
  return async (count) => {
    const keep = [...keepFloat, ...order.slice(0, count)];
    const loss =
      known.get(count) ?? float - (await apOf(quantizeGraph(graph, table, { corrections, keepFloat: keep })));
    known.set(count, loss);
    return loss;
  };
}

/** The least count with which it is enough, if more is never worse; `all` if none is. */
export async function fewest(all: number, isEnough: (count: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [-1, 0];
  let found = await isEnough(0);
  while (!found && high < all) {
    low = high;
    high = Math.min(Math.max(high * 2, 1), all);
    found = await isEnough(high);
  }
  while (found && high - low > 1) {
    const middle = (low + high) >> 1;
    if (await isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
