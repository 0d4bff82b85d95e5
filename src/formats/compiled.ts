/** What a compiled file tells of itself. */
import * as z from "zod/mini";
import { ByteReader } from "../base/bytes.ts";
import { FormatError } from "../base/errors.ts";
import { describeIssue, parseJson } from "../base/issue.ts";
import type { Manifest, Task } from "../heads/manifest.ts";
import type { Shape } from "../ir/tensor.ts";
import { parseManifest } from "./manifest.ts";

/** How int8 products are done, and so on which machines the file may be used: `portable` on all. */
export type CompiledMode = "portable" | "scalar" | "signed" | "unsigned" | "i7";

/** Where a tensor of float32 numbers lies in the file's memory. */
export interface CompiledTensor {
  blob: string;
  /** In bytes. */
  address: number;
  /** `[c, h, w]` */
  shape: Shape;
}

/** An input size that the file was made for. */
export interface CompiledSize {
  width: number;
  height: number;
  /** Where inputs are to be written; none where pictures are taken. */
  inputs: readonly CompiledTensor[];
  outputs: readonly CompiledTensor[];
}

/** What a detection has behind x, y, width, height, score and class (docs/compile.md). */
export interface CompiledDetection {
  /** From one detection to the next. */
  bytes: number;
  /** `values` numbers each: x, y, and how surely it is seen where there are three. The first is NaN where a detection has none. */
  points?: { count: number; values: number };
  /** x, y, width, height of the pixels in which the mask lies, as integers, and a coefficient for each plane of the output `prototypes`. */
  mask?: { count: number; prototypes: string; probabilities: boolean };
  /** x, y of the middle, width, height, angle of the turned box. */
  turned?: boolean;
}

/** The custom section `ncnnkit` of a compiled file, as JSON. */
export interface CompiledFacts {
  format: typeof compiledFormat;
  /** Of the interface (docs/compile.md). */
  version: 1;
  /** The kit that made it. */
  kit: string;
  name: string;
  mode: CompiledMode;
  /** Most threads that may share the work. */
  threads: number;
  task: Task;
  /** Takes pictures (`picture`, `preprocess`); else tensors. */
  pictures: boolean;
  /** Decodes (`detect`); else why not. */
  decode: boolean;
  whyNoDecode?: string;
  detection?: CompiledDetection;
  sizes: readonly CompiledSize[];
  /** SHA-256 of the model that it was made from, as ncnn files. */
  source: { param: string; bin: string };
  /** Pre-processing, heads, labels, provenance. */
  manifest: Manifest;
}

export const compiledFormat = "ncnnkit-compiled";
/** Name of the custom section. */
export const compiledSection = "ncnnkit";

/** A compiled file among others, as the list `NAME.json` and the module `NAME.js` have it. */
export interface CompiledFile {
  file: string;
  mode: CompiledMode;
  bytes: number;
  sha256: string;
}
/** Name of the custom section with the pages of memory that a file with threads imports, at first and at most. */
export const pagesSection = "ncnnkit-pages";
/** Name of the custom section with the SHA-256 of all that stands before it. */
export const digestSection = "ncnnkit-digest";

const tensorSchema = z.strictObject({
  blob: z.string(),
  address: z.int().check(z.minimum(0)),
  shape: z.array(z.int().check(z.minimum(1))).check(z.minLength(1), z.maxLength(4)),
});
const tensors = z.array(tensorSchema);
const side = z.int().check(z.minimum(1), z.maximum(16384));
const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const factsSchema = z.object({
  format: z.literal(compiledFormat),
  version: z.literal(1),
  kit: z.string(),
  name: z.string().check(z.minLength(1)),
  mode: z.enum(["portable", "scalar", "signed", "unsigned", "i7"]),
  threads: z.int().check(z.minimum(1), z.maximum(64)),
  task: z.string(),
  pictures: z.boolean(),
  decode: z.boolean(),
  whyNoDecode: z.optional(z.string()),
  detection: z.optional(z.looseObject({ bytes: z.int() })),
  sizes: z
    .array(z.strictObject({ width: side, height: side, inputs: tensors, outputs: tensors }))
    .check(z.minLength(1)),
  source: z.strictObject({ param: digest, bin: digest }),
});

const magic = [0, 0x61, 0x73, 0x6d];
export const isWebAssembly = (bytes: Uint8Array): boolean => magic.every((byte, i) => bytes[i] === byte);

/** What stands in a compiled file. */
export interface CompiledContent {
  readonly facts: CompiledFacts;
  /** SHA-256 that the file has of the bytes before its last section, in hexadecimal; and where they end. */
  readonly digest: string;
  readonly digested: number;
  /** Pages of memory that it imports: at first, and at most. Nothing where it has its own. */
  readonly pages?: readonly [number, number];
}

/** Throws FormatError, which begins with `where`, for what is no compiled file. */
export function readCompiled(bytes: Uint8Array, where: string): CompiledContent {
  const refuse = (why: string): never => {
    throw new FormatError(`${where}: ${why}; expected a file that ncnnkit compile has written`);
  };
  if (!isWebAssembly(bytes)) refuse("this is not WebAssembly");
  const sections = customSections(bytes, where);
  const [facts, pages, last] = [compiledSection, pagesSection, digestSection].map((name) =>
    sections.get(name),
  );
  if (!facts) refuse("a WebAssembly module that tells nothing of itself");
  if (last?.bytes.length !== 32 || last.end !== bytes.length)
    refuse("its digest is missing or not at its end");
  const text = new TextDecoder().decode(facts!.bytes);
  const json = parseJson(text, where) as Record<string, unknown>;
  const known = factsSchema.safeParse(json);
  if (!known.success)
    refuse(`section ${compiledSection}: ${describeIssue(known.error.issues[0], json, "the JSON")}`);
  const manifest = parseManifest(JSON.stringify(json.manifest), `${where}: section ${compiledSection}`);
  const limits = pages?.bytes.length === 8 ? new Uint32Array(pages.bytes.slice().buffer) : undefined;
  return {
    facts: { ...(known.data as Omit<CompiledFacts, "manifest">), manifest },
    digest: Array.from(last!.bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    digested: last!.start,
    ...(limits && { pages: [limits[0], limits[1]] }),
  };
}

interface CustomSection {
  readonly bytes: Uint8Array;
  /** Of the whole section in the file. */
  readonly start: number;
  readonly end: number;
}

function customSections(bytes: Uint8Array, where: string): Map<string, CustomSection> {
  const found = new Map<string, CustomSection>();
  const reader = new ByteReader(bytes, where);
  reader.raw(8, "header");
  while (reader.remaining > 0) {
    const start = bytes.length - reader.remaining;
    const id = reader.u8("section");
    const body = reader.raw(readLength(reader), "section");
    if (id !== 0) continue;
    const own = new ByteReader(body, where);
    const name = new TextDecoder().decode(own.raw(readLength(own), "section name"));
    found.set(name, {
      bytes: own.raw(own.remaining, "section"),
      start,
      end: bytes.length - reader.remaining,
    });
  }
  return found;
}

/** LEB128, up to 32 bits. */
function readLength(reader: ByteReader): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = reader.u8("length");
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  return value;
}
