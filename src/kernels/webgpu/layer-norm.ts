/** Layer normalization over the channels of every pixel. */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { eachGroup, maskOf, overRow, rowShader } from "./_row.ts";
import { float, lines, Sizes } from "./_text.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface LayerNormSpec {
  readonly kind: "layerNorm";
  readonly pixels: number;
  readonly channels: number;
  readonly eps: number;
  readonly epilogue: EpilogueSpec;
}

/** `table`: gamma of all groups, then beta, as bits. Arguments: the input, then the epilogue's. */
export function layerNormShader(spec: LayerNormSpec, target: Target): Shader {
  const { pixels, channels, eps, epilogue } = spec;
  const { groups } = epilogue;
  const sizes = new Sizes();
  const count = sizes.of("groups", groups);
  const x = `load(input() + pixel * ${count} + g)`;
  const sum4 = "(s4.x + s4.y + s4.z + s4.w)";
  return rowShader(target, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    pixels,
    groups,
    channels,
    reductions: ["sum"],
    outside: epilogueText(epilogue, target, sizes),
    main: (lanes) =>
      lines(
        "  var s4 = vec4<f32>(0.0);",
        eachGroup(lanes, count, `    s4 += ${maskOf(channels, x, "0.0")};`),
        `  let mean = ${overRow(target, lanes, "sum", sum4)} / f32(${sizes.of("channels", channels)});`,
        "  s4 = vec4<f32>(0.0);",
        eachGroup(lanes, count, `    let d = ${maskOf(channels, `${x} - mean`, "0.0")};\n    s4 += d * d;`),
        `  let factor = 1.0 / sqrt(${overRow(target, lanes, "sum", sum4)} / f32(${sizes.of("channels", channels)}) + ${float(eps)});`,
        eachGroup(
          lanes,
          count,
          `    let r = (${x} - mean) * factor * bitcast<vec4<f32>>(table[g]) + bitcast<vec4<f32>>(table[${count} + g]);
    finish(r, pixel, g);`,
        ),
      ),
  });
}
