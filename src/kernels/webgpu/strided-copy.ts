/** Strided tensors to parts of a dense one. */
import { eachItem, lines, range, Sizes } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

export interface StridedCopySpec {
  readonly kind: "stridedCopy";
  /** Elements of the output. */
  readonly count: number;
  readonly parts: number;
  /** Four elements that lie side by side in the output do so in the inputs, and begin a group. */
  readonly whole: boolean;
}

/**
 * `table`: for each part, in the order of their places, `[first element of the input, first of the output, extents of axes 1 to 3, strides of
 * axes 0 to 3]`, in elements; together the parts are all of the output. Arguments: the output.
 */
export function stridedCopyShader({ count, parts, whole }: StridedCopySpec, target: Target): Shader {
  const sizes = new Sizes();
  const four = range(4).map((c) => `loadOne(place(min(i * 4u + ${c}u, ${sizes.of("last", count - 1)})))`);
  return eachItem(target, Math.ceil(count / 4), {
    args: ["out"],
    sizes,
    outside: lines(
      "fn place(e: u32) -> u32 {",
      "  var p = 0u;",
      parts > 1 &&
        `  while (p < ${sizes.of("rest", parts - 1)}) {\n    if (e < table[p * 3u + 3u].y) { break; }\n    p++;\n  }`,
      "  let a = table[p * 3u];",
      "  let b = table[p * 3u + 1u];",
      "  let i = e - a.y;",
      "  let j = i / b.x;",
      "  let k = j / a.w;",
      "  return a.x + (k / a.z) * b.y + (k % a.z) * b.z + (j % a.w) * b.w + (i % b.x) * table[p * 3u + 2u].x;",
      "}",
    ),
    main: whole
      ? "  save(out() + i, load(place(i * 4u) >> 2u));"
      : `  save(out() + i, vec4<f32>(${four.join(", ")}));`,
  });
}
