/** The end of a kernel: dequantization, activation, residual, and the stores in one or more representations. */
import { epilogueVectors } from "../epilogue.ts";
import { activationOf, arithmetic, functionsFor, maddText } from "./_math.ts";
import { lines, type Sizes, splat } from "./_text.ts";
import type { EpilogueSpec, Target } from "./spec.ts";

/** Names of the arguments of an epilogue: behind those of the kernel. */
export function epilogueArgs({ steps, stores }: EpilogueSpec): string[] {
  const residuals = steps.flatMap(({ kind }, i) => (kind === "residual" ? [`residual${i}`] : []));
  return [...residuals, ...stores.map((_, i) => `out${i}`)];
}

/** Rounding half away from zero, as `ops/int8.ts`: each operation is rounded by itself. */
const quantizeText = `fn quantize(v: vec4<f32>, s: vec4<f32>) -> u32 {
  let x = clamp(exact(v * s), vec4<f32>(-1000.0), vec4<f32>(1000.0));
  let half = select(vec4<f32>(0.5), vec4<f32>(-0.5), x < vec4<f32>(0.0));
  let q = vec4<u32>(clamp(vec4<i32>(exact(x + half)), vec4<i32>(-127), vec4<i32>(127))) & vec4<u32>(255u);
  return q.x | (q.y << 8u) | (q.z << 16u) | (q.w << 24u);
}`;

/** Declares `finish(v, pixel, g)`: group g of the output's pixel, from sums `v`. */
export function epilogueText(spec: EpilogueSpec, { fusedMadd }: Target, sizes: Sizes): string {
  const vectors = epilogueVectors(spec);
  const constant = (name: string): string => `constants[c + ${vectors.indexOf(name as never)}u]`;
  const isExact = spec.accumulator === "i32" || spec.stores.some(({ dtype }) => dtype === "i8");
  const start = {
    f32: () => `v + ${constant("bias")}`,
    i32: () =>
      spec.roundOnce
        ? `madd(vec4<f32>(v), ${constant("scale")}, ${constant("bias")})`
        : `exact(vec4<f32>(v) * ${constant("scale")}) + ${constant("bias")}`,
    none: () => "v",
  }[spec.accumulator]();
  const steps = spec.steps.map((step, i) => {
    switch (step.kind) {
      case "activation":
        return activationOf(step.activation, "r", isExact);
      case "scalar":
        return arithmetic(step.operator, "r", splat(step.value));
      case "scale": {
        const [factor, shift] = [constant(`factor${i}`), constant(`shift${i}`)];
        return isExact ? `madd(r, ${factor}, ${shift})` : `r * ${factor} + ${shift}`;
      }
      case "residual":
        return `r + load(residual${i}() + o)`;
    }
  });
  const stores = spec.stores.map(({ dtype }, i) =>
    dtype === "f32"
      ? `  save(out${i}() + o, r);`
      : `  bytes[out${i}() + o] = quantize(r, ${constant(`requantize${i}`)});`,
  );
  const body = lines(
    `fn finish(v: vec4<${spec.accumulator === "i32" ? "i32" : "f32"}>, pixel: u32, g: u32) {`,
    vectors.length > 0 && `  let c = g * ${vectors.length}u;`,
    `  let o = pixel * ${sizes.of("groups", spec.groups)} + g;`,
    `  var r = ${start};`,
    ...steps.map((text) => `  r = ${isExact ? `exact(${text})` : text};`),
    ...stores,
    "}",
  );
  return lines(
    functionsFor(body),
    body.includes("madd(") && maddText(fusedMadd),
    body.includes("quantize(") && quantizeText,
    body,
  );
}
