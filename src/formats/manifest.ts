/**
 * The model manifest `NAME.json`: reading with every rule checked, stable printing, and the check against the graph.
 * The format is described for users in `docs/manifest.md`; the types are in `heads/manifest.ts`.
 */
import * as z from "zod/mini";
import { FormatError, GraphError } from "../base/errors.ts";
import { describeIssue, parseJson } from "../base/issue.ts";
import { isFileName } from "../base/text.ts";
import { blobsOf, headKinds, headProblem, headSchema, strideOf, taskOf } from "../heads/index.ts";
import { preprocessingFields } from "../heads/input.ts";
import { blobName, extent } from "../heads/kind.ts";
import type { Manifest } from "../heads/manifest.ts";
import { type Graph, inferShapes, paramsOf } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";

export type * from "../heads/manifest.ts";
export { manifestHeader } from "./manifest-header.ts";

/** Longest text that is parsed, in UTF-16 units; a manifest with all weight scales of a large model is near 1 MB. */
const maxLength = 64 * 2 ** 20;
/** Deepest brackets; more would only serve to exhaust the stack. */
const maxNesting = 32;

const text = z.string().check(z.minLength(1), z.maxLength(4096));
const count = z.int().check(z.minimum(0));
/** A scale is 0 for a channel without weights. */
const scale = z.number().check(z.minimum(0));
const fileName = text.check(
  z.refine((name) => isFileName(name), {
    error: "a plain file name in the manifest's own folder, without control characters",
  }),
);

const inputSchema = z
  .strictObject({
    blob: blobName,
    width: extent,
    height: extent,
    stride: extent,
    channels: z.union([z.literal(1), z.literal(3)]),
    ...preprocessingFields,
  })
  .check((context) => {
    const input = context.value;
    const problem = (path: string, found: unknown, error: string) =>
      context.issues.push({ code: "custom", input: found, path: [path], message: error });
    for (const side of ["width", "height"] as const) {
      if (input[side] % input.stride) problem(side, input[side], `a multiple of the stride ${input.stride}`);
    }
    for (const field of ["mean", "norm"] as const) {
      if (input[field].length !== input.channels) {
        problem(field, input[field], `${input.channels} numbers, one per channel`);
      }
    }
    if ((input.pixel === "GRAY") !== (input.channels === 1)) {
      problem(
        "pixel",
        input.pixel,
        input.channels === 1 ? "GRAY for 1 channel" : "RGB or BGR for 3 channels",
      );
    }
  });

const change = z.nullable(z.number());
const likenesses = z.array(z.strictObject({ name: text, sqnr: z.number(), cosine: z.number() }));
const figuresSchema = z.strictObject({
  parts: likenesses,
  outputs: likenesses,
  fidelity: z.optional(z.number()),
  found: z.optional(z.number()),
});
const quantizationSchema = z.looseObject({
  method: text,
  images: count,
  layers: z.record(
    z.string(),
    z.looseObject({ input: scale, output: z.optional(scale), weights: z.optional(z.array(scale)) }),
  ),
  keptFloat: z.array(z.strictObject({ name: text, reason: text })),
  accuracy: z.optional(
    z.looseObject({
      images: count,
      ap: z.optional(z.number()),
      apFloat: z.optional(z.number()),
      fidelity: z.optional(z.number()),
      scoreChange: z.optional(z.strictObject({ small: change, medium: change, large: change })),
    }),
  ),
  guard: z.optional(
    z.looseObject({
      images: count,
      objects: z.optional(count),
      floor: z.strictObject({ sqnr: z.number(), cosine: z.number(), fidelity: z.number() }),
      before: figuresSchema,
      after: figuresSchema,
      floatWork: z.number(),
    }),
  ),
});

/** Fields of heads that tell a task. */
const taskParts = new Set(["mask", "points", "angle"]);

const schema = z
  .strictObject({
    version: z.literal(1),
    // Files are named after it: NAME.json, NAME.h, NAME-int8.param.
    name: fileName,
    param: fileName,
    bin: fileName,
    input: inputSchema,
    heads: z.array(headSchema).check(z.maxLength(64)),
    labels: z.array(z.string().check(z.maxLength(4096))).check(z.maxLength(100_000)),
    provenance: z.looseObject({
      tool: text,
      source: z.optional(text),
      sha256: z.optional(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
      passes: z.array(z.string()),
    }),
    quantization: z.optional(quantizationSchema),
  })
  .check((context) => {
    const { heads, labels, input } = context.value;
    if (heads.length && !labels.length) {
      context.issues.push({
        code: "custom",
        input: labels,
        path: ["labels"],
        message: "a name for every class, since there are heads",
      });
    }
    const other = heads.findIndex(({ kind }) => kind !== heads[0].kind);
    if (other > 0) {
      context.issues.push({
        code: "custom",
        input: heads[other].kind,
        path: ["heads", other, "kind"],
        message: `"${heads[0].kind}", as of the first: heads of a model are of one kind`,
      });
    }
    heads.forEach((head, i) => {
      const parts = Object.entries(head).flatMap(([name, value]) =>
        value && taskParts.has(name) ? [name] : [],
      );
      if (parts.length < 2) return;
      context.issues.push({
        code: "custom",
        input: parts,
        path: ["heads", i],
        message: "one of them: a model has one task",
      });
    });
    const task = taskOf(heads);
    const odd = heads.findIndex((head) => taskOf([head]) !== task);
    if (odd >= 0) {
      context.issues.push({
        code: "custom",
        input: heads[odd],
        path: ["heads", odd],
        message: `masks, an angle, points or none of them as the others have (their task is "${task}")`,
      });
    }
    heads.forEach((head, i) => {
      if (input.stride % strideOf(head) === 0) return;
      context.issues.push({
        code: "custom",
        input: strideOf(head),
        path: ["heads", i, "stride"],
        message: `a divisor of input.stride ${input.stride}`,
      });
    });
  });

/** JSON can say −0 but is never printed with it: read as 0, so that what is read is what is written. */
const plusZero = (_: string, value: unknown): unknown => (Object.is(value, -0) ? 0 : value);

/**
 * Reads a manifest. `where` names it in errors. Throws FormatError that names the field (`input.mean`), what was found
 * and what is expected; unknown fields are errors except in `provenance` and `quantization`.
 */
export function parseManifest(source: string, where: string): Manifest {
  if (source.length > maxLength) {
    throw new FormatError(`${where}: ${source.length} characters are too many for a model manifest`);
  }
  if (nesting(source) > maxNesting) {
    throw new FormatError(
      `${where}: brackets are nested more than ${maxNesting} deep; expected a model manifest`,
    );
  }
  return validate(parseJson(source.replace(/^\uFEFF/, ""), where, plusZero), where);
}

/**
 * Pretty JSON with fields in a fixed order and a newline at the end: the same manifest gives the same text.
 * Throws FormatError if the manifest breaks a rule of the format (a NaN scale, a path as file name, …).
 */
export function printManifest(manifest: Manifest): string {
  return `${print(validate(manifest, `manifest of ${manifest.name}`), "")}\n`;
}

/** How deep brackets are nested in JSON text, strings left out. */
function nesting(source: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "[" || char === "{") deepest = Math.max(deepest, ++depth);
    else if (char === "]" || char === "}") depth--;
  }
  return deepest;
}

function validate(json: unknown, where: string): Manifest {
  const result = z.safeParse(schema, json);
  if (result.success) return result.data;
  throw new FormatError(
    `${where}: ${describeIssue(result.error.issues[0], json, "the manifest", expectation)}`,
  );
}

/** What only manifests expect. */
function expectation(issue: z.core.$ZodIssue): string | undefined {
  if (issue.code === "invalid_format") return "64 lower-case hexadecimal digits";
  if (issue.code !== "invalid_union") return undefined;
  return issue.path.at(-1) === "kind" ? headKinds.map((kind) => JSON.stringify(kind)).join(" or ") : "1 or 3";
}

/** JSON with every list or record on one line where it fits, long lists of plain values filled, the rest one entry a line. */
function print(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const flat = inline(value);
  if (indent && flat.length <= 90) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const plain = value.every((item) => typeof item !== "object" || item === null);
    const lines = plain ? fill(value.map(inline)) : value.map((item) => print(item, inner));
    return `[\n${lines.map((line) => inner + line).join(plain ? "\n" : ",\n")}\n${indent}]`;
  }
  const lines = entriesOf(value).map(
    ([key, item]) => `${inner}${JSON.stringify(key)}: ${print(item, inner)}`,
  );
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function inline(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  const entries = entriesOf(value).map(([key, item]) => `${JSON.stringify(key)}: ${inline(item)}`);
  return entries.length ? `{ ${entries.join(", ")} }` : "{}";
}

function entriesOf(record: object): [string, unknown][] {
  return Object.entries(record).filter(([, item]) => item !== undefined);
}

/** Items joined into lines of at most 90 characters, each but the last line ending with a comma. */
function fill(items: string[]): string[] {
  const lines: string[] = [];
  let line = "";
  items.forEach((item, i) => {
    const piece = i + 1 < items.length ? `${item},` : item;
    if (line && line.length + piece.length >= 90) {
      lines.push(line);
      line = piece;
    } else line += line ? ` ${piece}` : piece;
  });
  return [...lines, line];
}

/**
 * Checks that a manifest and its graph tell the same story: the blobs exist, the graph runs at the input size, and every
 * head blob has the shape that its stride, anchors and the labels call for. Throws FormatError, which says what differs.
 * `where` names the manifest in errors.
 */
export function checkManifest(manifest: Manifest, graph: Graph, where = `${manifest.name}.json`): void {
  const { input, heads, labels } = manifest;
  if (!graph.inputs.includes(input.blob)) {
    throw new FormatError(
      `${where}: input.blob: found "${input.blob}", but the inputs of ${manifest.param} are ${listNames(graph.inputs)}`,
    );
  }
  const shapes = shapesAt(manifest, graph, where);
  heads.forEach((head, i) => {
    const missing = blobsOf([head]).find((blob) => !shapes.has(blob));
    if (missing !== undefined) {
      const field = fieldOf(head, missing);
      throw new FormatError(
        `${where}: heads[${i}].${field}: found "${missing}", which is no blob of ${manifest.param}; its outputs are ${listNames(graph.outputs)}`,
      );
    }
    const facts = { ...input, classes: labels.length };
    const problem = headProblem(head, (blob) => shapes.get(blob)!, facts);
    if (!problem) return;
    const blobs = blobsOf([head]);
    throw new FormatError(
      `${where}: heads[${i}] (blob${blobs.length > 1 ? "s" : ""} ${listNames(blobs)}): ${problem}`,
    );
  });
  for (const layer of Object.keys(manifest.quantization?.layers ?? {})) {
    if (graph.node(layer)) continue;
    throw new FormatError(
      `${where}: quantization.layers: found "${layer}", which is no layer of ${manifest.param}; the record belongs to another model`,
    );
  }
}

/** The field of a record, or of one in it, that has this value: `points.blob`. */
function fieldOf(record: object, wanted: string): string | undefined {
  for (const [name, value] of Object.entries(record)) {
    if (value === wanted) return name;
    const inner = typeof value === "object" && value ? fieldOf(value, wanted) : undefined;
    if (inner !== undefined) return `${name}.${inner}`;
  }
  return undefined;
}

function shapesAt({ input, param }: Manifest, graph: Graph, where: string): Map<string, Shape> {
  try {
    return inferShapes(graph, ops, { [input.blob]: [input.channels, input.height, input.width] });
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const layer = graph.nodes.find((node) => node.type === "Input" && node.outputs[0] === input.blob);
    const own = layer ? paramsOf(layer, ops).c : 0;
    const why =
      typeof own === "number" && own > 0 && own !== input.channels
        ? `its Input layer has ${own} channels, but a manifest is for pictures, of 1 or 3; "ncnnkit ncnnoptimize" and load().run() take any`
        : error.message;
    throw new FormatError(
      `${where}: input: ${param} does not run on ${input.width}x${input.height}x${input.channels}: ${why}`,
      { cause: error },
    );
  }
}

function listNames(names: readonly string[]): string {
  return names.length ? names.map((name) => `"${name}"`).join(", ") : "none";
}
