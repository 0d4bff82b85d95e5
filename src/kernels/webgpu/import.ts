/** Dense `[c, h, w]` to a picture. */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { eachItem, lines, range, Sizes } from "./_text.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface ImportSpec {
  readonly kind: "import";
  readonly channels: number;
  readonly pixels: number;
  readonly epilogue: EpilogueSpec;
}

/** Arguments: the input, then the epilogue's. */
export function importShader({ channels, pixels, epilogue }: ImportSpec, target: Target): Shader {
  const sizes = new Sizes();
  const count = sizes.of("pixels", pixels);
  const present = sizes.of("channels", channels);
  const one = (c: number): string =>
    `select(0.0, loadOne(input() * 4u + min(g * 4u + ${c}u, ${present} - 1u) * ${count} + pixel), g * 4u + ${c}u < ${present})`;
  return eachItem(target, pixels * epilogue.groups, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    outside: epilogueText(epilogue, target, sizes),
    main: lines(
      // Neighbouring invocations read neighbouring pixels.
      `  let g = i / ${count};`,
      `  let pixel = i % ${count};`,
      `  finish(vec4<f32>(${range(4).map(one).join(", ")}), pixel, g);`,
    ),
  });
}
