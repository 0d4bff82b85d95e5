/** The text that all shaders share: what is bound, and how numbers are read and written. */
import { numbersTold, type Shader, type Storage, type Target, workgroupsAcross } from "./spec.ts";

/** Sizes that a shader is told: it calls them by name. */
export class Sizes {
  readonly names: string[] = [];
  readonly numbers: number[] = [];

  /** The call that gives this number. */
  of(name: string, number: number): string {
    if (!this.names.includes(name)) {
      this.names.push(name);
      this.numbers.push(number);
    }
    return `${name}()`;
  }
}

export interface Body {
  /** Names of the arguments, in the order in which the step gives them. */
  readonly args: readonly string[];
  readonly sizes: Sizes;
  /** Invocations of a workgroup. */
  readonly size: number;
  readonly workgroups: number;
  /** Element of `weights`, where that is not how floats are stored. */
  readonly weights?: "i8";
  /** Sums or maxima over a workgroup are among what is declared (`_reduce.ts`). */
  readonly reduces?: boolean;
  /** Declarations. */
  readonly outside?: string;
  /** Of `main`: `group` is the workgroup's number, `lane` the invocation's in it. */
  readonly main: string;
}

const elements: Readonly<Record<Storage, string>> = {
  f32: "vec4<f32>",
  f16: "vec4<f16>",
  packed: "vec2<u32>",
};

/** Reading and writing of floats. */
const accesses: Readonly<Record<Storage, string>> = {
  f32: `
fn load(i: u32) -> vec4<f32> { return values[i]; }
fn loadOne(e: u32) -> f32 { return values[e >> 2u][e & 3u]; }
fn save(i: u32, v: vec4<f32>) { values[i] = v; }`,
  f16: `
fn load(i: u32) -> vec4<f32> { return vec4<f32>(values[i]); }
fn loadOne(e: u32) -> f32 { return f32(values[e >> 2u][e & 3u]); }
fn save(i: u32, v: vec4<f32>) { values[i] = vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0))); }`,
  packed: `
fn unpack(w: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y)); }
fn load(i: u32) -> vec4<f32> { return unpack(values[i]); }
fn loadOne(e: u32) -> f32 { return unpack2x16float(values[e >> 2u][(e >> 1u) & 1u])[e & 1u]; }
fn save(i: u32, v: vec4<f32>) {
  let c = clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));
  values[i] = vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw));
}`,
};
const weightLoads: Readonly<Record<Storage, string>> = {
  f32: "fn weight(i: u32) -> vec4<f32> { return weights[i]; }",
  f16: "fn weight(i: u32) -> vec4<f32> { return vec4<f32>(weights[i]); }",
  packed: "fn weight(i: u32) -> vec4<f32> { return unpack(weights[i]); }",
};

/** `exact` keeps a compiler from joining what is done before and behind: its argument has to be there as a number. */
const exact = `
fn exact(x: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4<u32>(at[0].x)); }`;

const subgroupArgs = ", @builtin(subgroup_invocation_id) mate: u32, @builtin(subgroup_size) mates: u32";

/** The whole shader. */
export function shaderOf({ storage, subgroups }: Target, body: Body): Shader {
  const { args, sizes, size, workgroups, outside = "", main } = body;
  const element = elements[storage];
  const names = [...args, ...sizes.names].map(
    (name, i) => `fn ${name}() -> u32 { return at[${(i + 1) >> 2}].${"xyzw"[(i + 1) & 3]}; }`,
  );
  const grouped = subgroups && body.reduces;
  const enabled = lines(storage === "f16" && "enable f16;", grouped && "enable subgroups;", " ");
  const code = `${enabled}
@group(0) @binding(0) var<storage, read_write> values: array<${element}>;
@group(0) @binding(1) var<storage, read_write> bytes: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<${body.weights === "i8" ? "vec4<u32>" : element}>;
@group(0) @binding(3) var<storage, read> constants: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(5) var<uniform> at: array<vec4<u32>, ${numbersTold / 4}>;
${names.join("\n")}${accesses[storage]}
${body.weights === "i8" ? "" : weightLoads[storage]}${exact}
fn splat(e: u32) -> vec4<f32> { return vec4<f32>(loadOne(e)); }
${outside}
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32${grouped ? subgroupArgs : ""}) {
  let group = id.y * ${workgroupsAcross}u + id.x;
${main}
}
`;
  return { code, workgroups, sizes: sizes.numbers };
}

/** Invocations of a workgroup where they have nothing in common. */
const lanes = 64;

/** Invocations for so many items. */
export const allLanes = (items: number): number => Math.ceil(items / lanes) * lanes;

/** A shader that does each of `count` items by itself: in `main`, `i` is the item. */
export function eachItem(
  target: Target,
  count: number,
  { args, sizes, outside, main, weights }: Omit<Body, "size" | "workgroups">,
): Shader {
  return shaderOf(target, {
    args,
    sizes,
    ...(outside !== undefined && { outside }),
    ...(weights && { weights }),
    size: lanes,
    workgroups: Math.ceil(count / lanes),
    main: `  let i = group * ${lanes}u + lane;
  if (i >= ${sizes.of("items", count)}) { return; }
${main}`,
  });
}

/** Indented lines, the absent ones left out. */
export function lines(...parts: readonly (string | false | undefined)[]): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== "").join("\n");
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A number as WGSL writes it. */
export function float(x: number): string {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  if (!Number.isFinite(Math.fround(x))) return `bitcast<f32>(${bits}u)`;
  const text = String(Math.fround(x));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/** The same number four times. */
export const splat = (x: number): string => `vec4<f32>(${float(x)})`;

/** Four equal bytes of a word. */
export function byteWord(x: number): string {
  return `${(Math.imul(x & 255, 0x01010101) >>> 0).toString()}u`;
}
