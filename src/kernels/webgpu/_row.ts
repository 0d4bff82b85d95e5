/** Kernels that go over all channels of a pixel: a workgroup for each pixel, of one invocation where pixels are many. */
import { overAll, type Reduction, reduceLanes, reduceText } from "./_reduce.ts";
import { lines, type Sizes, shaderOf } from "./_text.ts";
import type { Shader, Target } from "./spec.ts";

/** Invocations for each pixel. */
function rowLanes(pixels: number, groups: number, { dearBarriers }: Target): number {
  return dearBarriers || pixels >= 1024 || groups < 16 ? 1 : reduceLanes;
}

export interface RowBody {
  readonly args: readonly string[];
  readonly sizes: Sizes;
  readonly pixels: number;
  readonly groups: number;
  readonly channels: number;
  readonly outside?: string;
  readonly reductions: readonly Reduction[];
  /** Given the number of invocations of a pixel: `pixel` is the pixel, `part` the invocation's number, `isIn` whether there is such a pixel. */
  readonly main: (lanes: number) => string;
}

export function rowShader(
  target: Target,
  { args, sizes, pixels, groups, channels, outside, reductions, main }: RowBody,
): Shader {
  const lanes = rowLanes(pixels, groups, target);
  const together = lanes === 1 ? 64 : 1;
  return shaderOf(target, {
    args,
    sizes,
    size: reduceLanes,
    reduces: lanes > 1,
    workgroups: Math.ceil(pixels / together),
    outside: lines(
      lanes > 1 && reduceText(target, "f32", reductions),
      channels % 4 > 0 && maskText(sizes.of("channels", channels)),
      outside,
    ),
    main: lines(
      lanes === 1 ? `  let pixel = group * 64u + lane;` : "  let pixel = group;",
      lanes === 1 ? `  if (pixel >= ${sizes.of("pixels", pixels)}) { return; }` : undefined,
      main(lanes),
    ),
  });
}

const maskText = (channels: string): string => `fn masked(v: vec4<f32>, g: u32, other: f32) -> vec4<f32> {
  let c = vec4<u32>(g * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  return select(vec4<f32>(other), v, c < vec4<u32>(${channels}));
}`;

/** The channels of group `g` that there are; for the others `other`. */
export const maskOf = (channels: number, value: string, other: string): string =>
  channels % 4 > 0 ? `masked(${value}, g, ${other})` : value;

/** The loop over an invocation's groups `g` of a pixel. */
export function eachGroup(lanes: number, groups: string, body: string): string {
  const [first, step] = lanes === 1 ? ["0u", "1u"] : ["lane", `${lanes}u`];
  return `  for (var g = ${first}; g < ${groups}; g += ${step}) {\n${body}\n  }`;
}

/** A row's sum or maximum of what its invocations found. */
export const overRow = (target: Target, lanes: number, kind: Reduction, x: string): string =>
  lanes === 1 ? x : overAll(target, kind, x);
