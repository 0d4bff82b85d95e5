/** LRN across the channels of every pixel. */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { eachItem, float, lines, range, Sizes } from "./_text.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

/** x·(bias + factor·Σx²)^−¾, the sum over `size` channels around each, at most 9. */
export interface LrnSpec {
  readonly kind: "lrn";
  readonly pixels: number;
  readonly channels: number;
  readonly size: number;
  readonly factor: number;
  readonly bias: number;
  readonly epilogue: EpilogueSpec;
}

/** Arguments: the input, then the epilogue's. */
export function lrnShader(spec: LrnSpec, target: Target): Shader {
  const { pixels, channels, size, factor, bias, epilogue } = spec;
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  const before = Math.floor(size / 2);
  // Squares of the group before, its own and the one behind.
  const window = (c: number): string =>
    range(size)
      .map((k) => {
        const at = 4 + c - before + k;
        return `q${at >> 2}.${"xyzw"[at & 3]}`;
      })
      .join(" + ");
  return eachItem(target, pixels * epilogue.groups, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    outside: lines(
      `fn square(pixel: u32, g: i32) -> vec4<f32> {
  if (g < 0 || g >= i32(${groups})) { return vec4<f32>(0.0); }
  let v = load(input() + pixel * ${groups} + u32(g));
  let c = vec4<i32>(g * 4) + vec4<i32>(0, 1, 2, 3);
  return select(vec4<f32>(0.0), v * v, c < vec4<i32>(i32(${sizes.of("channels", channels)})));
}`,
      epilogueText(epilogue, target, sizes),
    ),
    main: lines(
      `  let g = i % ${groups};`,
      `  let pixel = i / ${groups};`,
      ...range(3).map((k) => `  let q${k} = square(pixel, i32(g) + ${k - 1});`),
      `  let sum = vec4<f32>(${range(4).map(window).join(", ")});`,
      `  let s = sum * ${float(factor)} + ${float(bias)};`,
      "  let root = sqrt(s);",
      "  finish(load(input() + i) / (root * sqrt(root)), pixel, g);",
    ),
  });
}
