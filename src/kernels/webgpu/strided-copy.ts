/** Strided tensors to parts of a dense one. */
import { eachItem, lines, range, Sizes } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

export interface StridedPart {
  /** Of four axes. */
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** In elements, from the argument's place. */
  readonly offset: number;
  /** First element of the output. */
  readonly at: number;
}

export interface StridedCopySpec {
  readonly kind: "stridedCopy";
  /** Elements of the output. */
  readonly count: number;
  /** In the order of their places; together they are all of the output. */
  readonly parts: readonly StridedPart[];
}

/** `table`: where each part's value lies. Arguments: the output. */
export function stridedCopyShader({ count, parts }: StridedCopySpec, target: Target): Shader {
  const sizes = new Sizes();
  const isWhole = parts.every(takesGroups);
  const branches = parts.map((part, p) => {
    const end = part.at + part.shape.reduce((a, b) => a * b, 1);
    const body = `{ return ${isWhole ? "load" : "loadOne"}(${placeOf(part, p, isWhole, sizes)}); }`;
    return p === parts.length - 1 ? `  ${body}` : `  if (e < ${sizes.of(`end${p}`, end)}) ${body}`;
  });
  const four = range(4).map((c) => `element(min(i * 4u + ${c}u, ${sizes.of("last", count - 1)}))`);
  return eachItem(target, Math.ceil(count / 4), {
    args: ["out"],
    sizes,
    outside: lines(`fn element(e: u32) -> ${isWhole ? "vec4<f32>" : "f32"} {`, ...branches, "}"),
    main: isWhole
      ? "  save(out() + i, element(i * 4u));"
      : `  save(out() + i, vec4<f32>(${four.join(", ")}));`,
  });
}

/** Whether four elements that lie side by side in the output do so in the input. */
function takesGroups({ shape, strides, offset, at }: StridedPart): boolean {
  const rest = shape.slice(0, -1).every((extent, i) => extent === 1 || strides[i] % 4 === 0);
  return shape.at(-1)! % 4 === 0 && strides.at(-1) === 1 && rest && offset % 4 === 0 && at % 4 === 0;
}

/** Where element e of the output lies in the input. */
function placeOf(
  { shape, strides, offset, at }: StridedPart,
  number: number,
  isWhole: boolean,
  sizes: Sizes,
): string {
  let inner = 1;
  const terms: string[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis];
    const from = at === 0 ? "e" : `(e - ${sizes.of(`at${number}`, at)})`;
    const quotient = inner === 1 ? from : `${from} / ${sizes.of(`inner${number}_${axis}`, inner)}`;
    const isFirst = shape.slice(0, axis).every((other) => other === 1);
    if (extent > 1)
      terms.push(
        `(${quotient}${isFirst ? "" : ` % ${sizes.of(`extent${number}_${axis}`, extent)}`}) * ${sizes.of(`stride${number}_${axis}`, strides[axis])}`,
      );
    inner *= extent;
  }
  const element = `table[${number}u].x * 4u + ${[sizes.of(`offset${number}`, offset), ...terms].join(" + ")}`;
  return isWhole ? `(${element}) >> 2u` : element;
}
