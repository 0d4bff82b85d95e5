/** Sums, minima and maxima over the 64 invocations of a workgroup, which all of them get; all have to call. */
import { lines } from "./_text.ts";
import type { Target } from "./spec.ts";

export const reduceLanes = 64;

type Reduced = "f32" | "vec4<f32>" | "vec4<i32>";
const operators = {
  sum: { of: (a: string, b: string) => `${a} + ${b}`, subgroup: "subgroupAdd" },
  least: { of: (a: string, b: string) => `min(${a}, ${b})`, subgroup: "subgroupMin" },
  most: { of: (a: string, b: string) => `max(${a}, ${b})`, subgroup: "subgroupMax" },
} as const;
export type Reduction = keyof typeof operators;

/** The call; shaders that make it say `reduces`. */
export const overAll = ({ subgroups }: Target, kind: Reduction, x: string): string =>
  `${kind}OfAll(${x}, lane${subgroups ? ", mate, mates" : ""})`;

/** Declares `sumOfAll`, `leastOfAll` and `mostOfAll`, as asked for, of one type. */
export function reduceText({ subgroups }: Target, type: Reduced, kinds: readonly Reduction[]): string {
  return lines(
    `var<workgroup> shares: array<${type}, ${reduceLanes}>;`,
    ...kinds.map((kind) => (subgroups ? withSubgroups(type, kind) : throughMemory(type, kind))),
  );
}

/** Eight invocations reduce eight shares each, then all what these eight found. */
function throughMemory(type: Reduced, kind: Reduction): string {
  const { of } = operators[kind];
  return `fn ${kind}OfAll(x: ${type}, lane: u32) -> ${type} {
  shares[lane] = x;
  workgroupBarrier();
  if (lane < 8u) {
    var part = shares[lane];
    for (var k = lane + 8u; k < ${reduceLanes}u; k += 8u) { part = ${of("part", "shares[k]")}; }
    shares[lane] = part;
  }
  workgroupBarrier();
  var all = shares[0];
  for (var k = 1u; k < 8u; k++) { all = ${of("all", "shares[k]")}; }
  workgroupBarrier();
  return all;
}`;
}

/**
 * Subgroups reduce by themselves, then each reduces what all of them found. Which invocations make a subgroup is not said: each leaves its
 * share where its first invocation has its place, and of the other places nobody knows more than that they change nothing.
 */
function withSubgroups(type: Reduced, kind: Reduction): string {
  const { of, subgroup } = operators[kind];
  const nothing = kind === "sum" ? `${type}()` : "part";
  return `fn ${kind}OfAll(x: ${type}, lane: u32, mate: u32, mates: u32) -> ${type} {
  let part = ${subgroup}(x);
  shares[lane] = select(${nothing}, part, mate == 0u);
  workgroupBarrier();
  var all = shares[mate % ${reduceLanes}u];
  for (var k = mate + mates; k < ${reduceLanes}u; k += mates) { all = ${of("all", "shares[k]")}; }
  let result = ${subgroup}(all);
  workgroupBarrier();
  return result;
}`;
}
