/**
 * Calibration tables: text <-> scales. The format of ncnn2table and ncnn2int8, one record a line:
 * `<layer>_param_0 s s s ` for the weights and `<layer> s ` for the layer's input, numbers as C's `%f` prints them.
 * Source: ncnn tools/quantize/ncnn2table.cpp, ncnn2int8.cpp.
 */
import { expectKind } from "../base/arguments.ts";
import { FormatError, UnsupportedError } from "../base/errors.ts";

/** A scale multiplies: `q = round(x·scale)`. It is infinite for data that is all zero. All values are float32. */
export interface CalibrationTable {
  /** Layer name to weight scales: one per output channel, for depthwise layers one per group. In file order. */
  weights: Map<string, Float32Array>;
  /** Layer name to the scale of its input. */
  activations: Map<string, number>;
}

const weightSuffix = "_param_0";
/** ncnn2int8's own limits. */
const maxLineLength = 10_240_000;
const maxKeyLength = 255;

export function emptyTable(): CalibrationTable {
  return { weights: new Map(), activations: new Map() };
}

/**
 * Reads a table as ncnn2int8 does: the last of several records with one key counts, and a layer whose line is commented out
 * with `#` has no record. Empty lines mean nothing. `warn` takes a sentence for every scale that the tools write, but that
 * silences a layer or a channel, and for records that contradict an earlier one. Throws FormatError with the line number, also for an input's scale of 0, which no data has.
 */
export function parseTable(
  text: string,
  where = "table",
  warn?: (message: string) => void,
): CalibrationTable {
  expectKind("parseTable: text", text, "a string");
  const table = emptyTable();
  let start = text.startsWith("\uFEFF") ? 1 : 0;
  for (let line = 1; start < text.length; line++) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const at = `${where}: line ${line}`;
    if (end - start > maxLineLength) {
      throw new FormatError(`${at}: ${end - start} characters, at most ${maxLineLength} are legal`);
    }
    const tokens = text
      .slice(start, end)
      .split(/[ \t\r]+/)
      .filter((token) => token !== "");
    if (tokens.length > 0) addRecord(table, tokens, at, warn);
    start = end + 1;
  }
  if (warn) doubts(table).forEach(warn);
  return table;
}

function addRecord(
  table: CalibrationTable,
  [key, ...values]: readonly string[],
  at: string,
  warn: ((message: string) => void) | undefined,
): void {
  if (key.length > maxKeyLength) {
    throw new FormatError(
      `${at}: a layer name of ${key.length} characters, at most ${maxKeyLength} are legal`,
    );
  }
  if (key.startsWith("#")) return;
  const scales = Float32Array.from(values, (value) => parseScale(value, `${at}: ${key}`));
  const add = <T>(map: Map<string, T>, layer: string, value: T): void => {
    const earlier = map.get(layer);
    if (earlier !== undefined && String(earlier) !== String(value)) {
      warn?.(`${key} stands there twice with different scales: the later counts`);
    }
    map.set(layer, value);
  };
  if (key.includes("_param_")) {
    // Recurrent and attention layers have further records (_param_1 …), which belong to layers that stay float here.
    if (!key.endsWith(weightSuffix)) return;
    if (scales.length === 0) throw new FormatError(`${at}: ${key} has no scales`);
    add(table.weights, key.slice(0, -weightSuffix.length), scales);
    return;
  }
  if (scales.length !== 1) {
    throw new FormatError(`${at}: ${key} has ${scales.length} scales, expected one for the layer's input`);
  }
  if (scales[0] === 0) {
    throw new FormatError(
      `${at}: ${key}: the scale of the layer's input is ${values[0].slice(0, 40)}, expected more than 0; calibrate again, or delete the line to keep the layer float`,
    );
  }
  add(table.activations, key, scales[0]);
}

function parseScale(token: string, at: string): number {
  if (/^\+?inf(inity)?$/i.test(token)) return Number.POSITIVE_INFINITY;
  const value = /^\+?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(token) ? Number(token) : Number.NaN;
  if (Number.isNaN(value)) {
    throw new FormatError(`${at}: scale "${token.slice(0, 40)}", expected a number of at least 0 or inf`);
  }
  return value;
}

/** Scales that say that a layer or channel gives its bias only; right where the calibrated data was all zero. */
function doubts(table: CalibrationTable): string[] {
  const silent = [...table.activations].filter(([, scale]) => scale === Number.POSITIVE_INFINITY);
  const isSilent = (scale: number): boolean => scale === 0 || scale === Number.POSITIVE_INFINITY;
  const muted = [...table.weights].filter(([, scales]) => scales.some(isSilent));
  return [
    ...silent.map(
      ([name]) =>
        `layer ${name}: the scale of its input is inf: it was 0 in every calibration picture, so the int8 layer gives its bias only`,
    ),
    ...muted.map(
      ([name, scales]) =>
        `layer ${name}: ${scales.filter(isSilent).length} of ${scales.length} weight scales are 0 or inf: these channels give their bias only`,
    ),
  ];
}

/** The table as ncnn2table prints it: all weight records, then all activation records. Throws UnsupportedError. */
export function printTable(table: CalibrationTable): string {
  expectKind("printTable: table", table, "a calibration table");
  const lines: string[] = [];
  for (const [layer, scales] of table.weights) {
    lines.push(record(`${layer}${weightSuffix}`, scales));
  }
  for (const [layer, scale] of table.activations) lines.push(record(layer, [scale]));
  return lines.join("");
}

function record(key: string, scales: Iterable<number>): string {
  if (key === "" || key.length > maxKeyLength || /\s|^#/.test(key)) {
    throw new UnsupportedError(
      `layer name "${key}": a table needs 1 to ${maxKeyLength} characters without white space, not beginning with #`,
    );
  }
  return `${[key, ...Array.from(scales, printScale)].join(" ")} \n`;
}

/** C's `%f`. `toFixed` differs from it in exact ties, which C rounds to even, and beyond 1e21. */
function printScale(value: number): string {
  const scale = Math.fround(value);
  if (Number.isNaN(scale) || scale < 0) {
    throw new UnsupportedError(`scale ${scale}: expected a number of at least 0`);
  }
  if (scale === Number.POSITIVE_INFINITY) return "inf";
  if (scale >= 1e21) return `${BigInt(scale)}.000000`;
  const text = scale.toFixed(6);
  const isTie = Math.abs((scale * 128) % 2) === 1;
  const isOdd = "13579".includes(text[text.length - 1]);
  return isTie && isOdd ? (Number(text) - 1e-6).toFixed(6) : text;
}

/** Scales of inputs by layer, as printed. */
export function printedScales(table: CalibrationTable): Record<string, string> {
  expectKind("printedScales: table", table, "a calibration table");
  return Object.fromEntries([...table.activations].map(([layer, scale]) => [layer, printScale(scale)]));
}

/** The scales as a reader of the printed table gets them: six decimals, then float32. */
export function roundTable(table: CalibrationTable): CalibrationTable {
  return parseTable(printTable(table));
}
