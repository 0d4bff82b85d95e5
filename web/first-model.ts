/** The page's first model is compiled when the page is built: files of their own, and what `first.ts` has to know of them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { open } from "../src/node.ts";
import { compileModel } from "../src/steps.ts";
import type { FirstModel } from "./first.ts";
import { factsOf } from "./model-facts.ts";

export interface MadeModel {
  readonly known: FirstModel;
  /** By address. */
  readonly files: ReadonlyMap<string, Uint8Array | string>;
}

/** Of the model whose manifest lies at `address` of the page and at `file` here. */
export async function makeFirstModel(address: string, file: string): Promise<MadeModel> {
  const opened = await open(file);
  const { files, modules, facts } = await compileModel(opened, { target: "both" });
  const manifest = readFileSync(file);
  const weights = readFileSync(path.join(path.dirname(file), opened.manifest.bin));
  const own = new Map<string, Uint8Array | string>();
  const put = (content: Uint8Array | string, name: string): string => {
    const mark = createHash("sha256").update(content).digest("hex").slice(0, 8);
    const where = `first/${name.replace(/(\.\w+)$/, `-${mark}$1`)}`;
    own.set(where, content);
    return where;
  };
  const rests = modules.map(({ file: name }) => {
    const rest = restOf(files[name] as Uint8Array, weights);
    return [name, put(rest, name.replace(/\.wasm$/, ".rest"))];
  });
  const known: FirstModel = {
    manifest: address,
    digest: createHash("sha256").update(manifest).digest("hex"),
    weights: path.posix.join(path.posix.dirname(address), opened.manifest.bin),
    module: put(files[`${facts.name}.js`], `${facts.name}.js`),
    rests: Object.fromEntries(rests),
    facts: factsOf(opened),
  };
  return { known, files: own };
}

/** Bytes that are compared at first, and those that a piece has at least. */
const window = 32;
const leastPiece = 64;

/** What of a file is not among the weights, as `first.ts` joins it. */
function restOf(bytes: Uint8Array, weights: Uint8Array): Uint8Array {
  const [text, source] = [bytes, weights].map((each) => Buffer.from(each).toString("latin1"));
  const places = new Map<string, number>();
  for (let from = 0; from + window <= source.length; from += 4) {
    const key = source.slice(from, from + window);
    if (!places.has(key)) places.set(key, from);
  }
  const words: number[] = [];
  const between: Uint8Array[] = [];
  let done = 0;
  for (let at = 0; at + window <= text.length; ) {
    const from = places.get(text.slice(at, at + window));
    let length = from === undefined ? 0 : window;
    while (length && bytes[at + length] === weights[from! + length] && at + length < bytes.length) length++;
    if (length < leastPiece) {
      at++;
      continue;
    }
    words.push(at, from!, length);
    between.push(bytes.subarray(done, at));
    at += length;
    done = at;
  }
  between.push(bytes.subarray(done));
  const head = new Uint8Array(Uint32Array.from([words.length / 3, bytes.length, ...words]).buffer);
  return Buffer.concat([head, ...between]);
}
