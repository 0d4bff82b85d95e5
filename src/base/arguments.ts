/**
 * What callers in plain JavaScript get wrong: null, a promise that was not awaited, a path where bytes are due. Every public function says so
 * at its first line, with the name of the argument, instead of failing somewhere inside. What an object holds is checked where it is read.
 */
import { UsageError } from "./errors.ts";
import { quote } from "./text.ts";

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Objects are known by their fields, not by their class: a page may hold two copies of a class. */
const has = (value: unknown, fields: Fields): boolean => {
  if (!isObject(value)) return false;
  // Of every frame of a stream: no list of names is made.
  for (const name in fields) if (!sameKind(value[name], fields[name])) return false;
  return true;
};
const sameKind = (value: unknown, sample: unknown): boolean =>
  Array.isArray(sample) ? Array.isArray(value) : typeof value === typeof sample && value !== null;

/** By what an object calls itself, since one of another realm (an iframe, a test runner) has a class of its own. */
export const isCalled = (value: unknown, ...names: string[]): boolean =>
  names.includes(Object.prototype.toString.call(value).slice(8, -1));

const isContent = (value: unknown): boolean => typeof value === "string" || isCalled(value, "Uint8Array");

const graph = { nodes: [], inputs: [], outputs: [], clone: () => {} };
const picture = { width: 0, height: 0, data: {} };

const upright = { x: 0, y: 0, width: 0, height: 0 };
const rotated = { x: 0, y: 0, width: 0, height: 0, angle: 0 };

/** What there is of each task. */
const parts: Readonly<Record<string, Fields>> = {
  classify: {},
  detect: { box: {} },
  segment: { box: {}, mask: {} },
  pose: { box: {}, points: [] },
  obb: { box: {}, rotated },
};
function isDetection(value: unknown): boolean {
  if (!has(value, { task: "", classId: 0, score: 0 })) return false;
  const { task } = value as { task: string };
  return Object.hasOwn(parts, task) && has(value, parts[task]);
}

/** The kinds of arguments, as a message calls them. */
const kinds = {
  "a string": (value: unknown) => typeof value === "string",
  "a number": (value: unknown) => typeof value === "number",
  "a number from 0 to 1": (value: unknown) => typeof value === "number" && value >= 0 && value <= 1,
  "true or false": (value: unknown) => typeof value === "boolean",
  "a whole number above 0": (value: unknown) => Number.isInteger(value) && Number(value) > 0,
  "a function": (value: unknown) => typeof value === "function",
  "bytes (a Uint8Array)": (value: unknown) => isCalled(value, "Uint8Array"),
  "text or bytes (a Uint8Array)": isContent,
  "a list": (value: unknown) => Array.isArray(value),
  "a list of strings": (value: unknown) =>
    Array.isArray(value) && value.every((each) => typeof each === "string"),
  "a list of numbers for each head": (value: unknown) =>
    Array.isArray(value) &&
    value.every((each) => Array.isArray(each) && each.every((v) => typeof v === "number" && v > 0)),
  "a number, or { width, height }": (value: unknown) => has(value, { width: 0, height: 0 }),
  "a list of categories ({ id, name })": (value: unknown) =>
    Array.isArray(value) && value.every((each) => has(each, { id: 0, name: "" })),
  "a list of files ({ name, bytes })": (value: unknown) =>
    Array.isArray(value) &&
    value.every((each) => has(each, { name: "" }) && isCalled(each.bytes, "Uint8Array")),
  "a folder ({ read, describe })": (value: unknown) => has(value, { read: () => {}, describe: () => {} }),
  "a head ({ kind, … })": (value: unknown) => has(value, { kind: "" }),
  "a detection ({ task, … })": isDetection,
  "a list of detections": (value: unknown) => Array.isArray(value) && value.every(isDetection),
  "a list of boxes of tracks ({ frame, id, box, score })": (value: unknown) =>
    Array.isArray(value) &&
    value.every((each) => has(each, { frame: 0, id: 0, score: 0 }) && has(each.box, upright)),
  "a turned box ({ x, y, width, height, angle })": (value: unknown) => has(value, rotated),
  "a mask ({ size, counts })": (value: unknown) => has(value, { size: [], counts: [] }),
  "a size ({ width, height })": (value: unknown) => isObject(value) && has(value, { width: 0, height: 0 }),
  "files (text or bytes by name)": (value: unknown) =>
    isObject(value) && Object.values(value).every(isContent),
  "a list of [path, text or bytes]": (value: unknown) =>
    Array.isArray(value) &&
    value.every((each) => Array.isArray(each) && typeof each[0] === "string" && isContent(each[1])),
  "a shape (whole numbers)": (value: unknown) =>
    Array.isArray(value) && value.every((extent) => Number.isInteger(extent) && extent >= 0),
  "a guard": (value: unknown) => has(value, { measure: () => {}, inputs: () => {} }),
  "an object": isObject,
  "an object of options": (value: unknown) => value === undefined || isObject(value),
  "pictures (something to iterate over)": (value: unknown) =>
    typeof value === "object" &&
    value !== null &&
    (Symbol.iterator in value || Symbol.asyncIterator in value),
  "a map": (value: unknown) => isCalled(value, "Map"),
  "a graph": (value: unknown) => has(value, graph),
  "a picture ({ width, height, data })": (value: unknown) => has(value, picture),
  "a manifest": (value: unknown) => has(value, { input: {}, heads: [], labels: [] }),
  "an opened model ({ graph, manifest })": (value: unknown) =>
    has(value, { manifest: {} }) && has((value as Fields).graph, graph),
  "a loaded model": (value: unknown) => has(value, { manifest: {}, run: () => {}, detect: () => {} }),
  "the data of a report": (value: unknown) =>
    has(value, {
      name: "",
      size: {},
      calibration: {},
      variants: [],
      pairs: [],
      layers: [],
      examples: [],
      notes: [],
    }),
  "a calibration table": (value: unknown) =>
    isObject(value) && isCalled(value.weights, "Map") && isCalled(value.activations, "Map"),
} as const;

export type Kind = keyof typeof kinds;

/** Throws UsageError `load: source is null, expected …` unless the value is of the kind. `what` names the function and the argument. */
export function expectKind(what: string, value: unknown, kind: Kind): void {
  if (!kinds[kind](value)) throw new UsageError(`${what} is ${described(value)}, expected ${kind}`);
}

/** A value of a wrong kind in a message: `null`, `the string "a"`, `a Promise (await it)`. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string") return `the string ${quote(value)}`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  if (value instanceof Promise) return "a promise (await it)";
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return name === "Object" || !name ? "an object without what is needed" : `of class ${name}`;
}
