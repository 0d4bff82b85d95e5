/**
 * Extents with names: products of a whole number and symbols, so that `[n, 3, h, w]` reshaped to `[n, 3, -1]` is known
 * to end in `h*w`. A symbol is any string without `*`.
 */
import type { Dim } from "./model.ts";

interface Product {
  factor: number;
  symbols: string[];
}

function parse(dim: Dim): Product {
  if (typeof dim === "number") return { factor: dim, symbols: [] };
  const parts = dim.split("*");
  const numbers = parts.filter((part) => /^\d+$/.test(part));
  return {
    factor: numbers.reduce((a, b) => a * Number(b), 1),
    symbols: parts.filter((part) => !/^\d+$/.test(part)),
  };
}

function print({ factor, symbols }: Product): Dim {
  if (symbols.length === 0 || factor === 0) return factor;
  return [...(factor === 1 ? [] : [String(factor)]), ...symbols.sort()].join("*");
}

export function multiplyDims(dims: readonly Dim[]): Dim {
  const product: Product = { factor: 1, symbols: [] };
  for (const dim of dims) {
    const { factor, symbols } = parse(dim);
    product.factor *= factor;
    product.symbols.push(...symbols);
  }
  return print(product);
}

/** `a / b` when it is exact, else undefined. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  const top = parse(a);
  const bottom = parse(b);
  for (const symbol of bottom.symbols) {
    const at = top.symbols.indexOf(symbol);
    if (at < 0) return undefined;
    top.symbols.splice(at, 1);
  }
  if (bottom.factor === 0 || top.factor % bottom.factor) return undefined;
  return print({ factor: top.factor / bottom.factor, symbols: top.symbols });
}

/** A new symbol that stands for `text`; equal texts give equal symbols. */
export function symbolFor(text: string): string {
  const clean = text.replaceAll("*", "·");
  // Deeply nested expressions are cut short by a hash, so that names cannot grow without bound.
  return clean.length <= 60 ? clean : `s${hash(clean)}`;
}

function hash(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b) + i;
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return symbolFor(`(${a}+${b})`);
}

export function allKnown(dims: readonly Dim[]): dims is readonly number[] {
  return dims.every((dim) => typeof dim === "number");
}

/** Numpy broadcasting of two shapes; undefined when they do not fit. */
export function broadcastDims(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) out.push(x);
    else if (x === 1) out.push(y);
    else if (typeof x === "number" && typeof y === "number") return undefined;
    // One is known and not 1: the other must be 1 or equal to it.
    else out.push(typeof x === "number" ? x : typeof y === "number" ? y : symbolFor(`max(${x},${y})`));
  }
  return out;
}
