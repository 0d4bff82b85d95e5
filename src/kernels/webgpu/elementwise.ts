/** Arithmetic of two pictures, of one with a number, or of one alone. */
import type { BinaryOperator } from "../operators.ts";
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { arithmetic } from "./_math.ts";
import { eachItem, lines, Sizes, splat } from "./_text.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface ElementwiseSpec {
  readonly kind: "elementwise";
  readonly pixels: number;
  readonly operator: BinaryOperator;
  readonly b:
    | { readonly kind: "none" }
    | { readonly kind: "constant"; readonly value: number }
    /** `groups`: of a pixel of the second picture. */
    | { readonly kind: "value"; readonly broadcast: "none" | "channel" | "pixel"; readonly groups: number };
  readonly epilogue: EpilogueSpec;
}

/** Arguments: both inputs (the second 0 where there is none), then the epilogue's. */
export function elementwiseShader(spec: ElementwiseSpec, target: Target): Shader {
  const { epilogue, b, operator, pixels } = spec;
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  return eachItem(target, pixels * epilogue.groups, {
    args: ["a", "b", ...epilogueArgs(epilogue)],
    sizes,
    outside: epilogueText(epilogue, target, sizes),
    main: lines(
      `  let g = i % ${groups};`,
      `  let pixel = i / ${groups};`,
      `  finish(${b.kind === "none" ? "load(a() + i)" : arithmetic(operator, "load(a() + i)", second(b, sizes))}, pixel, g);`,
    ),
  });
}

function second(b: Exclude<ElementwiseSpec["b"], { kind: "none" }>, sizes: Sizes): string {
  if (b.kind === "constant") return splat(b.value);
  switch (b.broadcast) {
    case "none":
      return "load(b() + i)";
    case "channel":
      return "load(b() + g)";
    case "pixel":
      return `splat((b() + pixel * ${sizes.of("others", b.groups)}) * 4u)`;
  }
}
