/** Softmax over the channels of every pixel. */
import { power4, powerOf } from "./_math.ts";
import { eachGroup, maskOf, overRow, rowShader } from "./_row.ts";
import { lines, Sizes } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

export interface SoftmaxSpec {
  readonly kind: "softmax";
  readonly pixels: number;
  readonly channels: number;
  /** Bytes are made of the result: in the operations of the wasm backend, as far as one invocation makes a pixel. */
  readonly exact: boolean;
}

/** Arguments: the input and the output. */
export function softmaxShader({ pixels, channels, exact }: SoftmaxSpec, target: Target): Shader {
  const groups = Math.ceil(channels / 4);
  const sizes = new Sizes();
  const count = sizes.of("groups", groups);
  const at = `pixel * ${count} + g`;
  const x = maskOf(channels, `load(input() + ${at})`, "-3.4028234e38f");
  const power = exact ? powerOf(`exact(${x} - most)`, 1) : `exp(max(${x} - most, vec4<f32>(-100.0)))`;
  const weight = maskOf(channels, power, "0.0");
  return rowShader(target, {
    args: ["input", "out"],
    sizes,
    pixels,
    groups,
    channels,
    reductions: ["most", "sum"],
    ...(exact && { outside: power4 }),
    main: (lanes) =>
      lines(
        "  var m4 = vec4<f32>(-3.4028234e38f);",
        eachGroup(lanes, count, `    m4 = max(m4, ${x});`),
        `  let most = ${overRow(target, lanes, "most", "max(max(m4.x, m4.y), max(m4.z, m4.w))")};`,
        "  var s4 = vec4<f32>(0.0);",
        eachGroup(lanes, count, `    s4 += ${weight};`),
        `  let sum = ${overRow(target, lanes, "sum", "((s4.x + s4.z) + (s4.y + s4.w))")};`,
        eachGroup(lanes, count, `    save(out() + ${at}, ${weight} / sum);`),
      ),
  });
}
