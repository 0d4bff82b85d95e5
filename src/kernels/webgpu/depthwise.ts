/** Depthwise convolutions: an invocation makes one group of channels of some neighbouring pixels of a row. */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { allLanes, eachItem, lines, range, Sizes, splat } from "./_text.ts";
import { cellText, insideText, reachesOut, type WindowSpec } from "./_window.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface DepthwiseSpec extends WindowSpec {
  readonly kind: "depthwise";
  readonly sum: "f32" | "i32";
  readonly fill: number;
  /** Pixels of an invocation. */
  readonly pixels: number;
  readonly epilogue: EpilogueSpec;
}

/** Most taps of a row that are written out. */
const mostColumns = 9;

/** Pixels of a row that one invocation makes: so that it reads each input once, where windows are narrow. */
export function depthwisePixels({ x }: WindowSpec): number {
  if (x.kernel > mostColumns) return 1;
  return Math.min(x.output, x.stride === 1 ? 4 : 2);
}

/** Products of all invocations, idle ones included. */
export function depthwiseMacs({ y, x, pixels, epilogue }: DepthwiseSpec): number {
  const items = y.output * Math.ceil(x.output / pixels) * epilogue.groups;
  return allLanes(items) * pixels * 4 * y.kernel * x.kernel;
}

const widen = (word: string): string =>
  `(vec4<i32>(vec4<u32>(${word}) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u))`;

/** Weights `[tap][group]`, for int8 a `vec4<f32>` of whole numbers each. Arguments: the input, then the epilogue's. */
export function depthwiseShader(spec: DepthwiseSpec, target: Target): Shader {
  const { y, x, epilogue, pixels, sum } = spec;
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  const width = sizes.of("width", x.output);
  const across = sizes.of("blocks", Math.ceil(x.output / pixels));
  const blocks = Math.ceil(x.output / pixels);
  const type = sum === "i32" ? "vec4<i32>" : "vec4<f32>";
  return eachItem(target, y.output * blocks * epilogue.groups, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    outside: epilogueText(epilogue, target, sizes),
    main: lines(
      `  let g = i % ${groups};`,
      `  let block = i / ${groups};`,
      `  let row = block / ${across};`,
      `  let column = (block % ${across}) * ${pixels}u;`,
      `  let inWidth = i32(${sizes.of("inCount", x.input)});`,
      `  let inHeight = i32(${sizes.of("inRows", y.input)});`,
      `  let y0 = ${cellText(y, "row")};`,
      `  let x0 = ${cellText(x, "column")};`,
      ...range(pixels).map((p) => `  var s${p} = ${type}();`),
      `  for (var ky = 0; ky < ${y.kernel}; ky++) {`,
      `    let cy = y0 + ky * ${y.dilation};`,
      x.kernel > mostColumns ? loopedRow(spec, type) : wholeRow(spec, type),
      "  }",
      ...range(pixels).map(
        (p) =>
          `  ${pixels > 1 && x.output % pixels ? `if (column + ${p}u < ${width}) ` : ""}{ finish(s${p}, row * ${width} + column + ${p}u, g); }`,
      ),
    ),
  });
}

function inputAt(spec: DepthwiseSpec, cell: string): string {
  const at = `input() + ${cell} * groups() + g`;
  return spec.sum === "i32" ? widen(`bytes[${at}]`) : `load(${at})`;
}

/** An input, or what windows see beyond the edge. */
function guardedInput(spec: DepthwiseSpec, cx: string): string {
  const { sum, fill } = spec;
  const cell = `u32(cy * inWidth + ${cx})`;
  if (!reachesOut(spec)) return inputAt(spec, cell);
  const seen = insideText("cy", cx);
  const none = sum === "i32" ? `vec4<i32>(${fill})` : splat(fill);
  return `select(${none}, ${inputAt(spec, `select(0u, ${cell}, ${seen})`)}, ${seen})`;
}

function weightAt({ sum, x }: DepthwiseSpec, kx: string): string {
  const at = `(u32(ky) * ${x.kernel}u + ${kx}) * groups() + g`;
  return sum === "i32" ? `vec4<i32>(weight(${at}))` : `weight(${at})`;
}

function loopedRow(spec: DepthwiseSpec, type: string): string {
  const { x } = spec;
  return lines(
    `    for (var kx = 0; kx < ${x.kernel}; kx++) {`,
    `      let cx = x0 + kx * ${x.dilation};`,
    `      let a: ${type} = ${guardedInput(spec, "cx")};`,
    `      s0 += a * ${weightAt(spec, "u32(kx)")};`,
    "    }",
  );
}

function wholeRow(spec: DepthwiseSpec, type: string): string {
  const { x, pixels } = spec;
  const columns = [
    ...new Set(range(pixels).flatMap((p) => range(x.kernel).map((kx) => p * x.stride + kx * x.dilation))),
  ].sort((a, b) => a - b);
  return lines(
    ...range(x.kernel).map((kx) => `    let w${kx} = ${weightAt(spec, `${kx}u`)};`),
    ...columns.map((c) => `    let a${c}: ${type} = ${guardedInput(spec, `(x0 + ${c})`)};`),
    ...range(pixels).flatMap((p) =>
      range(x.kernel).map((kx) => `    s${p} += a${p * x.stride + kx * x.dilation} * w${kx};`),
    ),
  );
}
