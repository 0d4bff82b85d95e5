/** Bilinear resizing. */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { eachItem, lines, Sizes } from "./_text.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface ResizeSpec {
  readonly kind: "resize";
  readonly rows: number;
  readonly width: number;
  readonly inputWidth: number;
  readonly epilogue: EpilogueSpec;
}

/** `table`: for every row, then every column, the two sources and the weight of the second. Arguments: the input, then the epilogue's. */
export function resizeShader({ rows, width, inputWidth, epilogue }: ResizeSpec, target: Target): Shader {
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  const across = sizes.of("width", width);
  const at = (row: string, column: string): string =>
    `load(input() + (${row} * ${sizes.of("inWidth", inputWidth)} + ${column}) * ${groups} + g)`;
  return eachItem(target, rows * width * epilogue.groups, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    outside: epilogueText(epilogue, target, sizes),
    main: lines(
      `  let g = i % ${groups};`,
      `  let pixel = i / ${groups};`,
      `  let y = table[pixel / ${across}];`,
      `  let x = table[${sizes.of("rows", rows)} + pixel % ${across}];`,
      "  let wx = vec4<f32>(bitcast<f32>(x.z));",
      `  let upper = mix(${at("y.x", "x.x")}, ${at("y.x", "x.y")}, wx);`,
      `  let lower = mix(${at("y.y", "x.x")}, ${at("y.y", "x.y")}, wx);`,
      "  finish(mix(upper, lower, vec4<f32>(bitcast<f32>(y.z))), pixel, g);",
    ),
  });
}
