/** Channels from several pictures brought together, enlarged by whole factors or set into a larger frame. */
import { eachItem, lines, range, Sizes } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

export interface GatherSpec {
  readonly kind: "gather";
  readonly rows: number;
  readonly width: number;
  readonly groups: number;
  /** Size of the sources. */
  readonly inputRows: number;
  readonly inputWidth: number;
  readonly scaleY: number;
  readonly scaleX: number;
  readonly frame?: Readonly<Record<"top" | "left" | "stepY" | "stepX", number>>;
  /** The representations that are written; `whole`: their groups are groups of a source as they are. */
  readonly stores: readonly { readonly dtype: "f32" | "i8"; readonly whole: boolean }[];
}

/** In `table`, instead of a place: nothing, that is 0. */
export const nowhere = 0xffffffff;

/**
 * `table`: for each representation `[group][channel]` place (of the channel, or, with `whole`, of the group and only once) at pixel 0 and
 * distance of pixels, both in channels (or groups). Arguments: where the representations lie.
 */
export function gatherShader(spec: GatherSpec, target: Target): Shader {
  const { rows, width, groups, stores } = spec;
  const sizes = new Sizes();
  const across = sizes.of("groups", groups);
  let entry = 0;
  const writes = stores.map(({ dtype, whole }, k) => {
    const first = entry;
    entry += groups * (whole ? 1 : 4);
    return writeOf(dtype, whole, sizes.of(`first${k}`, first), k);
  });
  return eachItem(target, rows * width * groups, {
    args: stores.map((_, k) => `out${k}`),
    sizes,
    outside: readers,
    main: lines(
      `  let g = i % ${across};`,
      `  let pixel = i / ${across};`,
      sourceText(spec, sizes),
      ...writes,
    ),
  });
}

/** One channel, by the table's entry. */
const readers = `fn floatAt(t: vec4<u32>, pixel: u32) -> f32 {
  if (t.x == ${nowhere}u) { return 0.0; }
  return loadOne(t.x + pixel * t.y);
}
fn byteAt(t: vec4<u32>, pixel: u32) -> u32 {
  if (t.x == ${nowhere}u) { return 0u; }
  let e = t.x + pixel * t.y;
  return (bytes[e >> 2u] >> ((e & 3u) * 8u)) & 255u;
}`;

/** `origin`: the source's pixel, `seen`: whether there is one. */
function sourceText(spec: GatherSpec, sizes: Sizes): string {
  const { scaleY, scaleX, frame } = spec;
  const width = sizes.of("width", spec.width);
  const inputWidth = sizes.of("inWidth", spec.inputWidth);
  const inputRows = sizes.of("inRows", spec.inputRows);
  const row = `(pixel / ${width})`;
  const column = `(pixel % ${width})`;
  if (!frame) {
    const isSame = scaleY === 1 && scaleX === 1;
    const from = isSame ? "pixel" : `(${row} / ${scaleY}u) * ${inputWidth} + ${column} / ${scaleX}u`;
    return `  let origin = ${from};\n  let seen = true;`;
  }
  const { top, left, stepY, stepX } = frame;
  return lines(
    `  let dy = i32${row} - ${top};`,
    `  let dx = i32${column} - ${left};`,
    `  let cy = dy / ${stepY};`,
    `  let cx = dx / ${stepX};`,
    `  let seen = (dy >= 0) & (dx >= 0) & (cy * ${stepY} == dy) & (cx * ${stepX} == dx) & (cy < i32(${inputRows})) & (cx < i32(${inputWidth}));`,
    `  let origin = select(0u, u32(cy) * ${inputWidth} + u32(cx), seen);`,
  );
}

function writeOf(dtype: "f32" | "i8", whole: boolean, first: string, k: number): string {
  const isFloat = dtype === "f32";
  const none = isFloat ? "vec4<f32>(0.0)" : "0u";
  const save = (value: string): string =>
    isFloat ? `save(out${k}() + i, ${value});` : `bytes[out${k}() + i] = ${value};`;
  if (whole) {
    const at = `t${k}.x + origin * t${k}.y`;
    const read = isFloat ? `load(${at})` : `bytes[${at}]`;
    return lines(
      `  let t${k} = table[${first} + g];`,
      `  if (seen & (t${k}.x != ${nowhere}u)) { ${save(read)} } else { ${save(none)} }`,
    );
  }
  const one = (c: number): string =>
    `${isFloat ? "floatAt" : "byteAt"}(table[${first} + g * 4u + ${c}u], origin)`;
  const value = isFloat
    ? `vec4<f32>(${range(4).map(one).join(", ")})`
    : range(4)
        .map((c) => `(${one(c)} << ${c * 8}u)`)
        .join(" | ");
  return `  if (seen) { ${save(value)} } else { ${save(none)} }`;
}
