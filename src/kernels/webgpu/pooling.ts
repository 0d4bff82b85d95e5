/** Maxima and averages over windows. */
import type { PoolingOperator } from "../operators.ts";
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { overAll, reduceLanes, reduceText } from "./_reduce.ts";
import { eachItem, lines, Sizes, shaderOf } from "./_text.ts";
import { cellText, insideText, type WindowSpec } from "./_window.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface PoolingSpec extends WindowSpec {
  readonly kind: "pooling";
  readonly operator: PoolingOperator;
  /** Bytes are compared as they are, and stored as they are in each representation. */
  readonly input: "f32" | "i8";
  /** What an average divides by: the window's cells, or those inside the picture. */
  readonly divisor: "kernel" | "inside";
  readonly epilogue: EpilogueSpec;
}

const starts = {
  max: "-3.4028234e38f",
  greatest: "-3.4028234e38f",
  least: "3.4028234e38f",
  average: "0.0",
} as const;
const greater = (value: string): string => `s = max(s, ${value})`;
const nexts = {
  max: greater,
  greatest: greater,
  least: (value: string) => `s = min(s, ${value})`,
  average: (value: string) => `s += ${value}`,
} as const;
const reductions = { max: "most", greatest: "most", least: "least", average: "sum" } as const;

/** Large windows of few outputs: a workgroup looks at each together. */
function isTogether({ y, x, input, epilogue }: PoolingSpec): boolean {
  return input === "f32" && y.kernel * x.kernel >= 32 && y.output * x.output * epilogue.groups <= 2048;
}

function togetherShader(spec: PoolingSpec, target: Target): Shader {
  const { y, x, epilogue, operator, divisor } = spec;
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  const width = sizes.of("width", x.output);
  const [tall, wide] = [sizes.of("tall", y.kernel), sizes.of("wide", x.kernel)];
  const none = `vec4<f32>(${starts[operator]})`;
  const reduction = reductions[operator];
  const span = (kernel: string, first: string, size: string): string =>
    `f32(min(i32(${kernel}), ${size} - ${first}) - max(0, -${first}))`;
  const cells =
    divisor === "kernel"
      ? `f32(${sizes.of("cells", y.kernel * x.kernel)})`
      : `(${span(tall, "y0", "inHeight")} * ${span(wide, "x0", "inWidth")})`;
  return shaderOf(target, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    size: reduceLanes,
    workgroups: y.output * x.output * epilogue.groups,
    reduces: true,
    outside: lines(reduceText(target, "vec4<f32>", [reduction]), epilogueText(epilogue, target, sizes)),
    main: lines(
      `  let g = group % ${groups};`,
      `  let pixel = group / ${groups};`,
      `  let inWidth = i32(${sizes.of("inWidth", x.input)});`,
      `  let inHeight = i32(${sizes.of("inHeight", y.input)});`,
      `  let y0 = ${cellText(y, `(pixel / ${width})`)};`,
      `  let x0 = ${cellText(x, `(pixel % ${width})`)};`,
      `  var s = ${none};`,
      `  for (var c = lane; c < ${tall} * ${wide}; c += ${reduceLanes}u) {`,
      `    let cy = y0 + i32(c / ${wide});`,
      `    let cx = x0 + i32(c % ${wide});`,
      `    let seen = ${insideText("cy", "cx")};`,
      `    let v = select(${none}, load(input() + select(0u, u32(cy * inWidth + cx), seen) * ${groups} + g), seen);`,
      `    ${nexts[operator]("v")};`,
      "  }",
      `  s = ${overAll(target, reduction, "s")};`,
      `  if ((lane == 0u) & (pixel < ${sizes.of("pixels", y.output * x.output)})) { finish(${operator === "average" ? `s / ${cells}` : "s"}, pixel, g); }`,
    ),
  });
}

/** Arguments: the input, then the epilogue's. */
export function poolingShader(spec: PoolingSpec, target: Target): Shader {
  if (!target.dearBarriers && isTogether(spec)) return togetherShader(spec, target);
  const { y, x, epilogue, operator, divisor, input } = spec;
  const sizes = new Sizes();
  const groups = sizes.of("groups", epilogue.groups);
  const inWidth = `i32(${sizes.of("inWidth", x.input)})`;
  const inHeight = `i32(${sizes.of("inHeight", y.input)})`;
  const width = sizes.of("width", x.output);
  const isBytes = input === "i8";
  const read = `input() + u32(cy * ${inWidth} + cx) * ${groups} + g`;
  const value = isBytes
    ? `vec4<i32>(vec4<u32>(bytes[${read}]) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u)`
    : `load(${read})`;
  const start = isBytes ? "vec4<i32>(-127)" : `vec4<f32>(${starts[operator]})`;
  const cells = divisor === "kernel" ? `f32(${sizes.of("cells", y.kernel * x.kernel)})` : "f32(inside)";
  return eachItem(target, y.output * x.output * epilogue.groups, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    outside: isBytes ? "" : epilogueText(epilogue, target, sizes),
    main: lines(
      `  let g = i % ${groups};`,
      `  let pixel = i / ${groups};`,
      `  let y0 = ${cellText(y, `(pixel / ${width})`)};`,
      `  let x0 = ${cellText(x, `(pixel % ${width})`)};`,
      `  var s = ${start};`,
      divisor === "inside" && operator === "average" && "  var inside = 0;",
      `  for (var ky = max(0, -y0); ky < min(i32(${sizes.of("tall", y.kernel)}), ${inHeight} - y0); ky++) {`,
      `    for (var kx = max(0, -x0); kx < min(i32(${sizes.of("wide", x.kernel)}), ${inWidth} - x0); kx++) {`,
      "      let cy = y0 + ky;",
      "      let cx = x0 + kx;",
      `      ${nexts[operator](value)};`,
      divisor === "inside" && operator === "average" && "      inside++;",
      "    }",
      "  }",
      isBytes
        ? byteStores(epilogue)
        : `  finish(${operator === "average" ? `s / ${cells}` : "s"}, pixel, g);`,
    ),
  });
}

function byteStores({ stores }: EpilogueSpec): string {
  return lines(
    "  let q = vec4<u32>(s) & vec4<u32>(255u);",
    "  let word = q.x | (q.y << 8u) | (q.z << 16u) | (q.w << 24u);",
    ...stores.map((_, k) => `  bytes[out${k}() + i] = word;`),
  );
}
