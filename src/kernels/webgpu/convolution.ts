/**
 * Dense convolutions as the product of a matrix of pixels with one of weights. The sum over taps and groups of input channels goes
 * group by group: a `vec4` of inputs times four `vec4` of weights for each group of outputs, or four bytes at once by dot products.
 *
 * An invocation keeps `tile.pixels × tile.groups` sums. Those of a workgroup either read inputs and weights themselves, or, where
 * `tile.depth` is not 0, share them through workgroup memory, `depth` groups of k at a time. Where pixels are few, `tile.split` lets a workgroup make one
 * tile together.
 *
 * Weights: float `[k][group of outputs][input channel of four]` of `vec4` over the outputs, int8 `[k][group of outputs]` of four words, one for
 * each output with four inputs. k counts `[tap][group of inputs]`.
 */
import { epilogueArgs, epilogueText } from "./_epilogue.ts";
import { overAll, reduceLanes, reduceText } from "./_reduce.ts";
import { byteWord, lines, range, Sizes, shaderOf, splat } from "./_text.ts";
import { cellText, insideText, isPointwise, reachesOut, type WindowSpec } from "./_window.ts";
import type { EpilogueSpec, Shader, Target } from "./spec.ts";

export interface Tile {
  /** Pixels and groups of outputs of an invocation. */
  readonly pixels: number;
  readonly groups: number;
  /** Groups of k that are brought into workgroup memory at a time; 0: none. */
  readonly depth: number;
  /** Invocations of a workgroup along pixels and along groups. */
  readonly across: number;
  readonly down: number;
  /** The invocations of a workgroup share the groups of k of one tile, and add up at the end. */
  readonly split?: true;
}

export interface ConvolutionSpec extends WindowSpec {
  readonly kind: "convolution";
  readonly dot: "f32" | "i8";
  /** Groups of input channels of a tap. */
  readonly inputs: number;
  /** Groups between the input's pixels, where all lie in one value; else `table` holds place and distance for each group of inputs. */
  readonly pixelGroups: number | undefined;
  /** Some lanes are not read. What they hold may be infinite or NaN, so that a weight of 0 is not enough: `table` has a bit for each lane that is read. */
  readonly isPartial: boolean;
  /** What windows see beyond the edge: a number, or a byte. */
  readonly fill: number;
  readonly tile: Tile;
  readonly epilogue: EpilogueSpec;
}

/** Groups of outputs of the weights, rounded up to what a workgroup makes. */
export function paddedGroups({ tile, epilogue }: Pick<ConvolutionSpec, "tile" | "epilogue">): number {
  const block = tile.groups * tile.down;
  return Math.ceil(epilogue.groups / block) * block;
}

/** Groups of k, rounded up to what is brought in at a time. */
export function paddedDepth({
  y,
  x,
  inputs,
  tile,
}: Pick<ConvolutionSpec, "y" | "x" | "inputs" | "tile">): number {
  const depth = Math.max(tile.depth, 1);
  return Math.ceil((y.kernel * x.kernel * inputs) / depth) * depth;
}

/** Arguments: the input (where it is one value), then the epilogue's. */
export function convolutionShader(spec: ConvolutionSpec, target: Target): Shader {
  const { tile, epilogue, dot, y, x } = spec;
  const pixels = y.output * x.output;
  const sizes = new Sizes();
  const last = sizes.of("pixels", pixels);
  const groups = sizes.of("groups", epilogue.groups);
  const isShared = tile.depth > 0;
  const type = dot === "i8" ? "vec4<i32>" : "vec4<f32>";
  const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
  const columns = Math.ceil(epilogue.groups / down);
  const blocks = sizes.of("columns", columns);
  return shaderOf(target, {
    args: ["input", ...epilogueArgs(epilogue)],
    sizes,
    ...(dot === "i8" && { weights: "i8" as const }),
    size: tile.split ? reduceLanes : tile.across * tile.down,
    ...(tile.split && { reduces: true }),
    workgroups: Math.ceil(pixels / across) * columns,
    outside: lines(
      dot === "i8" && dotText(target),
      placeText(spec, sizes),
      isShared && sharedText(spec),
      tile.split && reduceText(target, type, ["sum"]),
      epilogueText(epilogue, target, sizes),
    ),
    main: lines(
      `  let m0 = (group / ${blocks}) * ${across}u${tile.split ? "" : ` + (lane / ${tile.down}u) * ${tile.pixels}u`};`,
      `  let g0 = (group % ${blocks}) * ${down}u${tile.split ? "" : ` + (lane % ${tile.down}u) * ${tile.groups}u`};`,
      !isShared && !tile.split && `  if ((m0 >= ${last}) | (g0 >= ${groups})) { return; }`,
      ...range(tile.pixels).flatMap((p) => range(tile.groups).map((g) => `  var s${p}_${g} = ${type}();`)),
      tile.split ? splitSum(spec, target, sizes) : isShared ? sharedSum(spec, sizes) : directSum(spec, sizes),
      ...range(tile.pixels).flatMap((p) =>
        range(tile.groups).map(
          (g) =>
            `  if (${tile.split ? "(lane == 0u) & " : ""}(m0 + ${p}u < ${last}) & (g0 + ${g}u < ${groups})) { finish(s${p}_${g}, m0 + ${p}u, g0 + ${g}u); }`,
        ),
      ),
    ),
  });
}

/** Products of all invocations, idle ones included. */
export function convolutionMacs({ tile, y, x, inputs, epilogue }: ConvolutionSpec): number {
  const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
  const blocks = Math.ceil((y.output * x.output) / across) * Math.ceil(epilogue.groups / down);
  const depth = paddedDepth({ y, x, inputs, tile });
  return blocks * across * down * 16 * (tile.split ? Math.ceil(depth / reduceLanes) * reduceLanes : depth);
}

/** Four products of bytes, summed. */
function dotText({ dot }: Target): string {
  if (dot) return "fn dot4(a: u32, b: u32) -> i32 { return dot4I8Packed(a, b); }";
  return `fn dot4(a: u32, b: u32) -> i32 {
  let shifts = vec4<u32>(24u, 16u, 8u, 0u);
  let p = (vec4<i32>(vec4<u32>(a) << shifts) >> vec4<u32>(24u)) * (vec4<i32>(vec4<u32>(b) << shifts) >> vec4<u32>(24u));
  return p.x + p.y + p.z + p.w;
}`;
}

/** `place(k, pixel)`: where group k of the input's pixel lies. */
function placeText({ pixelGroups }: ConvolutionSpec, sizes: Sizes): string {
  const where =
    pixelGroups === undefined
      ? "table[k].x + pixel * table[k].y"
      : `input() + pixel * ${sizes.of("distance", pixelGroups)} + k`;
  return `fn place(k: u32, pixel: u32) -> u32 { return ${where}; }`;
}

const fillOf = ({ dot, fill }: ConvolutionSpec): string => (dot === "i8" ? byteWord(fill) : splat(fill));
/** Group k of the inputs, which lies at `at`. */
function readOf({ dot, isPartial }: ConvolutionSpec, k: string, at: string): string {
  if (dot === "i8") return `bytes[${at}]`;
  if (!isPartial) return `load(${at})`;
  return `select(vec4<f32>(), load(${at}), vec4<bool>(vec4<u32>(table[${k}].z) & vec4<u32>(1u, 2u, 4u, 8u)))`;
}

/** sum += inputs of one group of k times weights. */
function products(dot: "f32" | "i8", sum: string, a: string, weight: (i: number) => string): string {
  if (dot === "i8") {
    const w = weight(0);
    return `${sum} += vec4<i32>(dot4(${a}, ${w}.x), dot4(${a}, ${w}.y), dot4(${a}, ${w}.z), dot4(${a}, ${w}.w));`;
  }
  return `${sum} += ${a}.x * ${weight(0)} + ${a}.y * ${weight(1)} + ${a}.z * ${weight(2)} + ${a}.w * ${weight(3)};`;
}

const parts = (dot: "f32" | "i8"): number => (dot === "i8" ? 1 : 4);

// ---- every invocation reads for itself

function directSum(spec: ConvolutionSpec, sizes: Sizes): string {
  const { tile, y, x, inputs, dot, pixelGroups } = spec;
  const pointwise = isPointwise(spec);
  const guarded = !pointwise && reachesOut(spec);
  const count = parts(dot);
  const perPixel = range(tile.pixels);
  const width = sizes.of("width", x.output);
  const corners = perPixel.map((p) => {
    const m = p > 0 && `  let m${p} = min(m0 + ${p}u, ${sizes.of("pixels", 0)} - 1u);`;
    if (pointwise) return m;
    const [row, column] = [`(m${p} / ${width})`, `(m${p} % ${width})`];
    return lines(m, `  let y${p} = ${cellText(y, row)};`, `  let x${p} = ${cellText(x, column)};`);
  });
  /** The pixel under a tap, and where its first group lies. */
  const cell = (p: number): string => {
    const origin = pixelGroups === undefined ? "" : `\n    let b${p} = input() + at${p} * distance();`;
    if (pointwise) return `    let at${p} = m${p};${origin}`;
    const [cy, cx] = [`(y${p} + ky * ${y.dilation})`, `(x${p} + kx * ${x.dilation})`];
    const index = `u32(${cy} * inWidth + ${cx})`;
    if (!guarded) return `    let at${p} = ${index};${origin}`;
    return `    let in${p} = ${insideText(cy, cx)};
    let at${p} = select(0u, ${index}, in${p});${origin}`;
  };
  const inner = lines(
    ...range(tile.groups).flatMap((g) =>
      range(count).map(
        (i) => `      let w${g}_${i} = ${dot === "i8" ? `weights[w + ${g}u]` : `weight(w + ${g * 4 + i}u)`};`,
      ),
    ),
    ...perPixel.map((p) => {
      const read = readOf(spec, "k", pixelGroups === undefined ? `place(k, at${p})` : `b${p} + k`);
      return `      let a${p} = ${guarded ? `select(${fillOf(spec)}, ${read}, in${p})` : read};`;
    }),
    ...perPixel.flatMap((p) =>
      range(tile.groups).map((g) => `      ${products(dot, `s${p}_${g}`, `a${p}`, (i) => `w${g}_${i}`)}`),
    ),
    "      w += stride;",
  );
  return lines(
    ...corners,
    `  let depth = ${sizes.of("depth", inputs)};`,
    `  let stride = ${sizes.of("stride", paddedGroups(spec) * count)};`,
    !pointwise && `  let inWidth = i32(${sizes.of("inCount", x.input)});`,
    guarded && `  let inHeight = i32(${sizes.of("inRows", y.input)});`,
    `  var w = g0 * ${count}u;`,
    !pointwise && `  for (var ky = 0; ky < ${y.kernel}; ky++) { for (var kx = 0; kx < ${x.kernel}; kx++) {`,
    ...perPixel.map(cell),
    `    for (var k = 0u; k < depth; k++) {\n${inner}\n    }`,
    !pointwise && "  } }",
  );
}

// ---- k shared out in the workgroup

function splitSum(spec: ConvolutionSpec, target: Target, sizes: Sizes): string {
  const { tile, dot, x, y, inputs } = spec;
  const count = parts(dot);
  const all = range(tile.pixels).flatMap((p) => range(tile.groups).map((g) => `s${p}_${g}`));
  return lines(
    `  for (var k = lane; k < ${sizes.of("total", y.kernel * x.kernel * inputs)}; k += ${reduceLanes}u) {`,
    `    let w = (k * ${sizes.of("stride", paddedGroups(spec))} + g0) * ${count}u;`,
    ...range(tile.groups).flatMap((g) =>
      range(count).map(
        (i) => `    let w${g}_${i} = ${dot === "i8" ? `weights[w + ${g}u]` : `weight(w + ${g * 4 + i}u)`};`,
      ),
    ),
    ...range(tile.pixels).flatMap((p) => [
      "    {",
      `      let m = min(m0 + ${p}u, pixels() - 1u);`,
      inputAt(spec, sizes, "a", undefined),
      ...range(tile.groups).map((g) => `      ${products(dot, `s${p}_${g}`, "a", (i) => `w${g}_${i}`)}`),
      "    }",
    ]),
    "  }",
    ...all.map((sum) => `  ${sum} = ${overAll(target, "sum", sum)};`),
  );
}

// ---- shared through workgroup memory

function sharedText({ tile, dot }: ConvolutionSpec): string {
  const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
  const [a, b] = dot === "i8" ? ["u32", "vec4<u32>"] : ["vec4<f32>", "vec4<f32>"];
  return `var<workgroup> tileA: array<${a}, ${across * tile.depth}>;
var<workgroup> tileB: array<${b}, ${tile.depth * down * parts(dot)}>;`;
}

/** `count` items shared out among `size` invocations; `e` is the item. */
function each(count: number, size: number, body: string): string {
  return `    for (var e = lane; e < ${count}u; e += ${size}u) {\n${body}\n    }`;
}

function sharedSum(spec: ConvolutionSpec, sizes: Sizes): string {
  const { tile, dot } = spec;
  const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
  const size = tile.across * tile.down;
  const count = parts(dot);
  const groups = sizes.of("stride", paddedGroups(spec));
  const perStep = down * count;
  const bringWeights = `      tileB[e] = ${dot === "i8" ? "weights" : "weight"}${dot === "i8" ? "[" : "("}((k0 + e / ${perStep}u) * ${groups} + gw) * ${count}u + e % ${perStep}u${dot === "i8" ? "]" : ")"};`;
  return lines(
    `  let mw = (group / columns()) * ${across}u;`,
    `  let gw = (group % columns()) * ${down}u;`,
    `  let ml = (lane / ${tile.down}u) * ${tile.pixels}u;`,
    `  let gl = (lane % ${tile.down}u) * ${tile.groups * count}u;`,
    `  for (var k0 = 0u; k0 < ${sizes.of("allDepth", paddedDepth(spec))}; k0 += ${tile.depth}u) {`,
    each(across * tile.depth, size, bringInputs(spec, sizes)),
    each(tile.depth * perStep, size, bringWeights),
    "    workgroupBarrier();",
    `    for (var kk = 0u; kk < ${tile.depth}u; kk++) {`,
    ...range(tile.pixels).map((p) => `      let a${p} = tileA[kk * ${across}u + ml + ${p}u];`),
    ...range(tile.groups).flatMap((g) => [
      ...range(count).map((i) => `      let w${g}_${i} = tileB[kk * ${perStep}u + gl + ${g * count + i}u];`),
      ...range(tile.pixels).map((p) => `      ${products(dot, `s${p}_${g}`, `a${p}`, (i) => `w${g}_${i}`)}`),
    ]),
    "    }",
    "    workgroupBarrier();",
    "  }",
  );
}

/** Of a workgroup's tile of inputs, `[k][pixel]`, item e. */
function bringInputs(spec: ConvolutionSpec, sizes: Sizes): string {
  const { tile, inputs, y, x } = spec;
  const across = tile.pixels * tile.across;
  const count = y.kernel * x.kernel * inputs;
  return lines(
    // Neighbouring invocations read neighbouring groups of a pixel.
    `      let kk = e % ${tile.depth}u;
      let ml_ = e / ${tile.depth}u;
      let k = k0 + kk;
      let m = min(mw + ml_, pixels() - 1u);`,
    inputAt(spec, sizes, "a", count % tile.depth > 0 ? sizes.of("total", count) : undefined),
    `      tileA[kk * ${across}u + ml_] = a;`,
  );
}

/** Declares `name`: group k of the sum over taps and inputs, at pixel m of the output. From `total` on, where that is given, there is none: 0. */
function inputAt(spec: ConvolutionSpec, sizes: Sizes, name: string, total: string | undefined): string {
  const { inputs, y, x, dot } = spec;
  const none = dot === "i8" ? "0u" : "vec4<f32>(0.0)";
  const inside = total && `k < ${total}`;
  if (isPointwise(spec)) {
    const group = inside ? `min(k, ${total} - 1u)` : "k";
    const read = readOf(spec, group, `place(${group}, m)`);
    return `      let ${name} = ${inside ? `select(${none}, ${read}, ${inside})` : read};`;
  }
  const depth = sizes.of("depth", inputs);
  const width = sizes.of("width", x.output);
  const [row, column] = [`(m / ${width})`, `(m % ${width})`];
  const fill = inside ? `select(${none}, ${fillOf(spec)}, ${inside})` : fillOf(spec);
  return lines(
    `      let inHeight = i32(${sizes.of("inRows", y.input)});`,
    `      let inWidth = i32(${sizes.of("inCount", x.input)});`,
    `      let tap = k / ${depth};`,
    `      let cy = ${cellText(y, row)} + i32(tap / ${x.kernel}u) * ${y.dilation};`,
    `      let cx = ${cellText(x, column)} + i32(tap % ${x.kernel}u) * ${x.dilation};`,
    `      let seen = ${insideText("cy", "cx")}${inside ? ` & (${inside})` : ""};`,
    `      let cell = select(0u, u32(cy * inWidth + cx), seen);`,
    `      let ${name} = select(${fill}, ${readOf(spec, `k % ${depth}`, `place(k % ${depth}, cell)`)}, seen);`,
  );
}
