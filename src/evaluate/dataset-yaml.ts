/** YOLOv5's dataset yaml: where the pictures are, and what the classes are called. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { expectKind } from "../base/arguments.ts";
import { FormatError } from "../base/errors.ts";
import { quote } from "../base/text.ts";

/** What a YOLOv5 dataset yaml says; paths as written, relative ones to be resolved against `path`. */
export interface DatasetYaml {
  path?: string;
  train: string[];
  val: string[];
  test: string[];
  /** Class names by class number; empty where the file has none. */
  names: string[];
  /** Key points behind each box in the label files of a pose dataset (`kpt_shape`): how many, and numbers for each. */
  keypoints?: { count: number; values: 2 | 3 };
  /** Spread of each key point in parts of the object's size (`kpt_oks_sigmas`). */
  sigmas?: number[];
}

/** 10 000 names fit; time and memory grow with the length, to half a second. */
const maxCharacters = 300_000;
/** Each is looked for in the whole file. */
const maxAliases = 100;

/**
 * Reads the part of a dataset yaml that is needed here: `path`, `train`, `val` (or `validation`), `test` (a string or a
 * list), `names` (a list or a map by class number), `nc`, `kpt_shape` and `kpt_oks_sigmas`. Every value is text as it is written: a class may be called
 * `no` or `1.0`. Other keys are passed over. Throws FormatError for what is no YAML, for tags, for keys that are there twice,
 * and for names that do not agree with `nc`.
 */
export function parseDatasetYaml(text: string, where: string): DatasetYaml {
  expectKind("parseDatasetYaml: text", text, "a string");
  const entries = topLevel(text, where);
  const paths = (...keys: string[]): string[] => {
    const key = keys.find((each) => entries.has(each));
    return key === undefined ? [] : entries.list(key);
  };
  const [path] = paths("path");
  const names = entries.has("names") ? entries.names() : [];
  const [count] = paths("nc");
  if (count !== undefined && names.length && Number(count) !== names.length) {
    throw new FormatError(`${where}: nc is ${quote(count)}, but there are ${names.length} names`);
  }
  return {
    ...{ path, names, ...posePoints(paths("kpt_shape"), paths("kpt_oks_sigmas"), where) },
    ...{ train: paths("train"), val: paths("val", "validation"), test: paths("test") },
  };
}

/** `[17, 3]`: 17 points of x, y and whether it is seen. */
function posePoints(
  shape: readonly string[],
  spreads: readonly string[],
  where: string,
): Pick<DatasetYaml, "keypoints" | "sigmas"> {
  if (shape.length === 0) return {};
  const [count, values] = shape.map(Number);
  const isCount = Number.isSafeInteger(count) && count > 0 && count < 10_000;
  if (shape.length !== 2 || !isCount || (values !== 2 && values !== 3)) {
    throw new FormatError(`${where}: kpt_shape: found ${quote(shape.join(", "))}, expected [points, 2 or 3]`);
  }
  const keypoints = { count, values } as const;
  if (!spreads.length) return { keypoints };
  const sigmas = spreads.map(Number);
  if (sigmas.length !== count || !sigmas.every((sigma) => sigma > 0 && sigma <= 1)) {
    throw new FormatError(
      `${where}: kpt_oks_sigmas: found ${quote(spreads.join(", "))}, expected ${count} numbers above 0, at most 1`,
    );
  }
  return { keypoints, sigmas };
}

/** The keys of the file, and their values as text. */
class Entries {
  private readonly document: Document;
  private readonly nodes = new Map<string, Node | null>();
  private readonly where: string;
  private aliases = 0;

  constructor(document: Document, where: string) {
    this.document = document;
    this.where = where;
    if (!isMap(document.contents)) {
      throw new FormatError(`${where}: expected a dataset yaml: "key: value" with train, val and names`);
    }
    for (const [key, value] of this.pairs(document.contents, where)) this.nodes.set(key, value);
  }

  has(key: string): boolean {
    const node = this.nodes.get(key);
    return !(node === undefined || node === null || (isScalar(node) && this.isNull(node)));
  }

  list(key: string): string[] {
    const node = this.nodes.get(key) ?? null;
    const where = `${this.where}: ${key}`;
    if (!isSeq(node)) return [this.text(node, where)];
    return node.items.map((item) => this.text(this.resolved(item), where));
  }

  names(): string[] {
    const node = this.nodes.get("names") ?? null;
    const where = `${this.where}: names`;
    if (isSeq(node)) return this.list("names");
    if (!isMap(node)) throw new FormatError(`${where}: expected a list, or a map by class number`);
    const names: string[] = [];
    for (const [key, value] of this.pairs(node, where)) {
      if (!/^\d{1,6}$/.test(key)) {
        throw new FormatError(`${where}: found the key ${quote(key)}, expected a class number`);
      }
      if (names[Number(key)] !== undefined)
        throw new FormatError(`${where}: class ${Number(key)} is there twice`);
      names[Number(key)] = this.text(value, where);
    }
    const missing = Array.from<string | undefined>(names).indexOf(undefined);
    if (missing >= 0) throw new FormatError(`${where}: class ${missing} has no name`);
    return names;
  }

  private *pairs(
    map: { items: { key: unknown; value: unknown }[] },
    where: string,
  ): Generator<[string, Node | null]> {
    const seen = new Set<string>();
    for (const pair of map.items) {
      const key = this.text(this.resolved(pair.key), where);
      if (seen.has(key)) throw new FormatError(`${where}: ${quote(key)} is there twice`);
      seen.add(key);
      yield [key, this.resolved(pair.value)];
    }
  }

  private resolved(node: unknown): Node | null {
    if (!isAlias(node)) return (node as Node | undefined) ?? null;
    if (++this.aliases > maxAliases) throw new FormatError(`${this.where}: more than ${maxAliases} aliases`);
    const target: Node | undefined = node.resolve(this.document);
    if (!target) throw new FormatError(`${this.where}: the alias ${quote(node.source)} stands for nothing`);
    return target;
  }

  private isNull({ value, source }: { value: unknown; source?: string }): boolean {
    return value === "" || (source !== undefined && ["~", "null", "Null", "NULL"].includes(source));
  }

  private text(node: Node | null, where: string): string {
    const value = isScalar(node) ? String(node.value ?? "") : undefined;
    if (value === undefined) throw new FormatError(`${where}: expected a word, found a list or a map`);
    if (value.includes("\ufffd"))
      throw new FormatError(`${where}: ${quote(value)} is not UTF-8; save the file as UTF-8`);
    return value;
  }
}

function topLevel(text: string, where: string): Entries {
  if (text.length > maxCharacters) {
    throw new FormatError(`${where}: ${text.length} characters are too many for a dataset yaml`);
  }
  const document = parse(text, where);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) {
    const line = text.slice(0, problem.pos[0]).split("\n").length;
    throw new FormatError(`${where}: line ${line}: ${isTooDeep(problem) ? tooDeep : problem.message}`);
  }
  return new Entries(document, where);
}

const tooDeep = "lists or maps are nested too deep for a dataset yaml";
/** The parser goes as deep as the text does, and says of some of its overflows itself. */
const isTooDeep = ({ message }: Error): boolean => message.includes("call stack");

function parse(text: string, where: string): Document {
  try {
    // Scalars stay text, and nothing is looked up for every key or error: both would take the square of the length.
    return parseDocument(text, {
      ...{ schema: "failsafe", uniqueKeys: false, prettyErrors: false, logLevel: "silent" },
    });
  } catch (error) {
    if (error instanceof RangeError && isTooDeep(error)) throw new FormatError(`${where}: ${tooDeep}`);
    throw error;
  }
}
