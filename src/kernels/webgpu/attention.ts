/** softmax(query·keyᵀ)·value of every head, 64 keys at a time: what came before is scaled down where a larger score turns up. */
import { lines, range, Sizes, shaderOf } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

export interface AttentionSpec {
  readonly kind: "attention";
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** Groups of channels of a head. */
  readonly width: number;
}

/** Products of all invocations, idle ones included. */
export function attentionMacs({ heads, queries, keys, width }: AttentionSpec): number {
  const scores = Math.ceil(keys / 64) * 64 * width;
  return heads * queries * 4 * (scores + keys * Math.ceil(width / 64) * 64);
}

/** Arguments: query, key, value and output, each `[row][head][group]`. */
export function attentionShader(spec: AttentionSpec, target: Target): Shader {
  const { heads, queries, keys, width } = spec;
  const sizes = new Sizes();
  const row = heads * width;
  const sums = range(Math.ceil(width / 64));
  return shaderOf(target, {
    args: ["query", "key", "value", "out"],
    sizes,
    size: 64,
    workgroups: heads * queries,
    outside: `var<workgroup> q: array<vec4<f32>, ${width}>;
var<workgroup> scores: array<f32, 64>;`,
    main: lines(
      `  let head = group / ${sizes.of("queries", queries)};`,
      `  let at = (group % ${sizes.of("queries", queries)}) * ${sizes.of("row", row)} + head * ${width}u;`,
      `  for (var d = lane; d < ${width}u; d += 64u) { q[d] = load(query() + at + d); }`,
      ...sums.map((n) => `  var s${n} = vec4<f32>(0.0);`),
      "  var most = -3.4028234e38f;",
      "  var total = 0.0;",
      "  workgroupBarrier();",
      `  for (var first = 0u; first < ${sizes.of("keys", keys)}; first += 64u) {`,
      "    var score = -3.4028234e38f;",
      `    if (first + lane < ${sizes.of("keys", keys)}) {`,
      "      var dots = vec4<f32>(0.0);",
      `      let origin = key() + (first + lane) * ${sizes.of("row", row)} + head * ${width}u;`,
      `      for (var d = 0u; d < ${width}u; d++) { dots += q[d] * load(origin + d); }`,
      "      score = dots.x + dots.y + dots.z + dots.w;",
      "    }",
      "    scores[lane] = score;",
      "    workgroupBarrier();",
      `    let count = min(64u, ${sizes.of("keys", keys)} - first);`,
      "    var larger = most;",
      "    for (var k = 0u; k < count; k++) { larger = max(larger, scores[k]); }",
      "    let shrink = exp(max(most - larger, -100.0));",
      "    most = larger;",
      "    total *= shrink;",
      ...sums.map((n) => `    s${n} *= shrink;`),
      "    for (var k = 0u; k < count; k++) {",
      "      let p = exp(max(scores[k] - most, -100.0));",
      "      total += p;",
      `      let origin = value() + (first + k) * ${sizes.of("row", row)} + head * ${width}u;`,
      ...sums.map(
        (n) => `      if (lane + ${n * 64}u < ${width}u) { s${n} += p * load(origin + lane + ${n * 64}u); }`,
      ),
      "    }",
      "    workgroupBarrier();",
      "  }",
      ...sums.map(
        (n) =>
          `  if (lane + ${n * 64}u < ${width}u) { save(out() + at + lane + ${n * 64}u, s${n} / total); }`,
      ),
    ),
  });
}
