/**
 * What becomes of an int8 network that the guard has measured: layers stay float where it is not near the float one, and one that
 * is still not is not passed on without a word.
 */
import { expectKind } from "../base/arguments.ts";
import { counted, quote } from "../base/text.ts";
import type { GuardFigures, Manifest, QuantizationGuard } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { withoutVectorConvolutions } from "../passes/index.ts";
import { type Corrections, picturesOf, quantizeGraph } from "../quantize/index.ts";
import type { EvaluationItem } from "../tally/pictures.ts";
import { type Budget, type BudgetInput, keepWithinBudget, workOf } from "./budget.ts";
import type { CalibrationResult } from "./calibrate.ts";
import {
  floor,
  Guard,
  type GuardOptions,
  isNear,
  isWeak,
  nearness,
  type Shortfall,
  shortfalls,
} from "./guard.ts";
import type { LayerSensitivity } from "./sensitivity.ts";

/** What may stay float where nobody has said it. */
const defaultBudget: Budget = { work: 0.1 };
/** So many of the worst layers are named. */
const namedLayers = 8;
/** A list of at most so many layers can be given to `--keep-float`. */
const listedLayers = 40;
/** More calibration pictures than this hardly help. */
const enoughPictures = 64;

/**
 * A calibration as it can be written for later. Outputs of a network that int8 destroys cannot be set right, and layers that stay float
 * would not undo what was tried, so that it is left out then.
 */
export async function checkCalibration<C extends CalibrationResult>(
  calibration: C,
  float: { graph: Graph; manifest: Manifest },
  items: AsyncIterable<EvaluationItem>,
  options: GuardOptions = {},
): Promise<{ calibration: C; isDestroyed: boolean }> {
  expectKind("checkCalibration: calibration", calibration, "an object");
  expectKind("checkCalibration: calibration.graph", calibration.graph, "a graph");
  const { graph, table, corrections, unshifted } = calibration;
  const guard = await Guard.start(float, items, options);
  const figures = await guard.measure(
    quantizeGraph(withoutVectorConvolutions(graph), table, { corrections }),
  );
  if (!shortfalls(figures, floor).length) return { calibration, isDestroyed: false };
  return { calibration: { ...calibration, corrections: unshifted }, isDestroyed: true };
}

/** What `protect` needs: the int8 network, and what may be done to it. */
export interface ProtectInput extends Omit<BudgetInput, "budget" | "inputs" | "quality" | "ranked"> {
  guard: Guard;
  /** A given budget is spent whatever the guard says; without one, `defaultBudget` as far as it is needed. */
  budget?: Budget;
  /** `corrections` before outputs were set right, where that has been done (`CalibrationResult`). */
  unshifted?: Corrections;
  /** How the table was made, for advice. */
  method?: string;
  images?: number;
}

/** What `protect` found, for `judge`. */
export interface Protection {
  /** Layers that stay float, those asked for not among them, and why. */
  reasons: Map<string, string>;
  /** With no layers in float but those asked for. */
  before: GuardFigures;
  apLoss?: number;
  /** Whether a budget of AP is kept. */
  met: boolean;
  /** All layers, most sensitive first; missing where none had to be looked for. */
  ranked?: readonly LayerSensitivity[];
}

/** Measures the int8 network, and finds layers to keep float where a budget is given or the guard calls for it. */
export async function protect(input: ProtectInput): Promise<Protection> {
  checkInput("protect", input);
  const measure = measurer(input);
  const before = await measure([]);
  const given = isGiven(input.budget) ? input.budget : undefined;
  if (given ? isNothing(given) : isNear(before)) return { reasons: new Map(), before, met: true };
  // Outputs of a destroyed network cannot be set right: what was tried would make layers at the end look bad that are not.
  const isDestroyed = shortfalls(before, floor).length > 0;
  const corrections = isDestroyed ? (input.unshifted ?? input.corrections) : input.corrections;
  const rest = { ...input, corrections };
  const measureRest = corrections === input.corrections ? measure : measurer(rest);
  const quality = async (keep: readonly string[]): Promise<number> => nearness(await measureRest(keep));
  const budget = given ? { budget: given } : { budget: defaultBudget, quality };
  return { ...(await keepWithinBudget({ ...rest, ...budget, inputs: sensitivityInputs(input) })), before };
}

function checkInput(name: string, input: ProtectInput): void {
  expectKind(`${name}: input`, input, "an object");
  expectKind(`${name}: input.guard`, input.guard, "a guard");
  expectKind(`${name}: input.graph`, input.graph, "a graph");
  expectKind(`${name}: input.table`, input.table, "a calibration table");
}

const isGiven = (budget: Budget = {}): boolean => Object.values(budget).some((limit) => limit !== undefined);
const isNothing = ({ ap, time, work }: Budget): boolean => ap === undefined && (time === 0 || work === 0);
const sensitivityInputs = ({ guard }: ProtectInput) => guard.inputs(picturesOf(guard.effort).sensitivity);

/** Figures with these layers in float besides those asked for; each is measured once. */
function measurer(input: ProtectInput): (keep: readonly string[]) => Promise<GuardFigures> {
  const { guard, table, corrections, keepFloat = [], onProgress } = input;
  const graph = withoutVectorConvolutions(input.graph);
  const known = new Map<string, GuardFigures>();
  return async (keep) => {
    const key = [...keep].sort().join(" ");
    const int8 = (): Graph =>
      quantizeGraph(graph, table, { corrections, keepFloat: [...keepFloat, ...keep] });
    const figures = known.get(key) ?? (await guard.measure(int8()));
    known.set(key, figures);
    onProgress?.("accuracy", known.size);
    return figures;
  };
}

/** What the guard says of the network as it is to be written. */
export interface Judgement {
  record: QuantizationGuard;
  /** Why it should not be used, and what may help; missing where it holds. */
  problem?: string;
  /** What a user has to know of one that may be used. */
  note?: string;
}

/** The judgement on the int8 graph that came of `protect`; `kept` are all of its layers in float. */
export async function judge(
  input: ProtectInput,
  protection: Protection,
  int8: Graph,
  kept: readonly string[],
): Promise<Judgement> {
  checkInput("judge", input);
  expectKind("judge: protection", protection, "an object");
  expectKind("judge: int8", int8, "a graph");
  expectKind("judge: kept", kept, "a list");
  const { images, objects } = input.guard;
  const { before, reasons } = protection;
  const after = kept.length ? await input.guard.measure(int8) : before;
  const floatWork = workOf(input.graph, input.guard.inputs(1)[0], kept);
  const record: QuantizationGuard = {
    images,
    ...(objects !== undefined && { objects }),
    ...{ floor: { ...floor }, before, after, floatWork },
  };
  const on = `on ${counted(images, "calibration picture")}${objects === undefined ? "" : ` with ${counted(objects, "object")}`}`;
  const layers = floatLayers(kept.length, floatWork);
  const short = shortfalls(after, floor);
  if (short.length) {
    const found = `int8 does not do what the float network does: ${on} ${listed(short)}, with ${layers}`;
    return { record, problem: [found, ...(await advice(input, protection))].join("; ") };
  }
  if (!after.parts.length && !after.outputs.length && after.fidelity === undefined) {
    return { record, note: `Int8 was not compared with float: ${on} there is too little to compare.` };
  }
  if (!isWeak(after) && !reasons.size) return { record };
  const figures = reasons.size
    ? `With ${floatLayers(kept.length - reasons.size, 0)}, ${inWords(before)} ${on}; with ${layers} ${inWords(after)}`
    : `Int8 reaches ${inWords(after)} ${on}`;
  const warning = isWeak(after)
    ? ". That is not near the float network: compare more pictures before you rely on it"
    : "";
  return { record, note: `${figures}${warning}.` };
}

const percent = (share: number): string => `${+(100 * share).toPrecision(2)} %`;

const floatLayers = (count: number, work: number): string =>
  count
    ? `${counted(count, "layer")} in float${work ? ` (${percent(work)} of the work)` : ""}`
    : "all layers in int8";

/** `fidelity 8.4`, or the output that is least alike. */
function inWords({ parts, outputs, fidelity, found }: GuardFigures): string {
  if (fidelity !== undefined) {
    return `fidelity ${(100 * fidelity).toFixed(1)}${found === undefined ? "" : `, ${percent(found)} of the objects`}`;
  }
  const [worst] = [...parts, ...outputs].toSorted((a, b) => a.sqnr - b.sqnr);
  return worst
    ? `${worst.sqnr.toFixed(1)} dB and cosine ${worst.cosine.toFixed(3)} at ${quote(worst.name)}`
    : "no output that can be compared";
}

/** `fidelity 8.4 (at least 70), "class" cosine 0.32 (at least 0.85), …`. */
function listed(short: readonly Shortfall[]): string {
  const shown = short.slice(0, 6).map(({ name, measure, found, least }) => {
    if (measure === "fidelity") return `fidelity is ${(100 * found).toFixed(1)} (at least ${100 * least})`;
    if (measure === "sqnr") return `${quote(name)} is at ${found.toFixed(1)} dB (at least ${least})`;
    return `${quote(name)} has cosine ${found.toFixed(2)} (at least ${least})`;
  });
  return `${shown.join(", ")}${short.length > shown.length ? `, and ${short.length - shown.length} more` : ""}`;
}

/** What may help, and with which layers in float it would hold whatever they cost. */
async function advice(input: ProtectInput, { ranked }: Protection): Promise<string[]> {
  const { method, images } = input;
  const needed = await neededLayers(input, ranked);
  const work = workOf(input.graph, input.guard.inputs(1)[0], needed.layers);
  const option =
    needed.layers.length <= listedLayers
      ? `--keep-float ${needed.layers.join(" ")}`
      : `--budget-time ${Math.ceil(100 * work)}%`;
  return [
    `the most sensitive layers are ${needed.worst.slice(0, namedLayers).join(", ")}`,
    needed.met
      ? `${floatLayers(needed.layers.length, work)} would do: ${option}`
      : "not even all layers in float would do: table or corrections are of another model, or broken",
    ...(images !== undefined && images < enoughPictures ? ["more calibration pictures may help"] : []),
    ...(method === "auto" ? [] : ["a table of calibrate --method auto may be better"]),
    "--force writes the files all the same",
  ];
}

/** Layers with which in float int8 would do, those asked for among them: of the smallest budget of work that has some. */
async function neededLayers(
  input: ProtectInput,
  known: Protection["ranked"],
): Promise<{ layers: string[]; worst: string[]; met: boolean }> {
  const rest = { ...input, corrections: input.unshifted ?? input.corrections, ranked: known };
  const measure = measurer(rest);
  const quality = async (keep: readonly string[]): Promise<number> => Number(!isWeak(await measure(keep)));
  const inputs = sensitivityInputs(input);
  let found = await keepWithinBudget({ ...rest, quality, inputs, budget: defaultBudget });
  for (const work of [0.2, 0.4, 1]) {
    if (found.met) break;
    const { ranked } = found;
    found = await keepWithinBudget({ ...rest, quality, inputs, ranked, budget: { work } });
  }
  return {
    layers: [...(input.keepFloat ?? []), ...found.reasons.keys()],
    worst: found.ranked.map(({ name }) => name),
    met: found.met,
  };
}
