/** 8-bit pixels to the dense input of a network, in the integers of `detect/resize.ts`. */
import { workgroupsAcross } from "./spec.ts";

export interface PixelsSpec {
  /** How floats are stored: of 16 bits, or whole. */
  readonly isHalf: boolean;
  /** Of red, green and blue in each channel of the input, in 256ths. */
  readonly mix: readonly (readonly [red: number, green: number, blue: number])[];
}

/** Numbers of `pixelsShader`'s uniform buffer. */
export interface PixelsNumbers {
  /** Of the input. */
  readonly width: number;
  readonly height: number;
  /** Of the picture in it. */
  readonly left: number;
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
  /** Bytes of a pixel and of a row of the source. */
  readonly channels: number;
  readonly pitch: number;
  /** Of the input, in groups of four. */
  readonly address: number;
  readonly border: number;
  readonly elements: number;
}

export const packNumbers = (n: PixelsNumbers): Uint32Array<ArrayBuffer> =>
  Uint32Array.of(
    ...[n.width, n.height, n.left, n.top, n.columns, n.rows, n.channels, n.pitch],
    ...[n.address, n.border, n.elements, 0],
  );

const lanes = 64;

export const pixelsWorkgroups = (elements: number): number => Math.ceil(elements / 4 / lanes);

/**
 * Bound: values, bytes of pixels, taps (`from, next, first, second` of columns, then of rows), levels (256 for each channel), numbers. An invocation makes
 * four elements, so that halves of a word have one writer.
 */
export function pixelsShader({ isHalf, mix }: PixelsSpec): string {
  const all = mix.map((parts) => `vec3<i32>(${parts.join(", ")})`).join(", ");
  return `
@group(0) @binding(0) var<storage, read_write> values: array<${isHalf ? "vec2<u32>" : "vec4<f32>"}>;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> taps: array<vec4<i32>>;
@group(0) @binding(3) var<storage, read> levels: array<f32>;
@group(0) @binding(4) var<uniform> at: array<vec4<u32>, 3>;
fn levelAt(i: u32) -> i32 { return i32((pixels[i >> 2u] >> ((i & 3u) * 8u)) & 255u); }
fn across(row: i32, column: vec4<i32>, k: u32) -> i32 {
  let first = u32(row) * at[1].w + k;
  let a = levelAt(first + u32(column.x) * at[1].z) * column.z;
  let b = levelAt(first + u32(column.y) * at[1].z) * column.w;
  return (a + b) >> 4u;
}
fn color(x: u32, y: u32, k: u32) -> i32 {
  let column = taps[x];
  let row = taps[at[1].x + y];
  let upper = (across(row.x, column, k) * row.z) >> 16u;
  let lower = (across(row.y, column, k) * row.w) >> 16u;
  return min((upper + lower + 2) >> 2u, 255);
}
fn levelOf(c: u32, x: u32, y: u32) -> i32 {
  if (x < at[0].z || y < at[0].w || x - at[0].z >= at[1].x || y - at[0].w >= at[1].y) { return i32(at[2].y); }
  var parts = array<vec3<i32>, ${mix.length}>(${all});
  var sum = 0;
  for (var k = 0u; k < 3u; k++) {
    let share = parts[c][k];
    if (share != 0) { sum += share * color(x - at[0].z, y - at[0].w, k); }
  }
  return sum >> 8u;
}
fn valueOf(e: u32) -> f32 {
  if (e >= at[2].z) { return 0.0; }
  let area = at[0].x * at[0].y;
  let c = e / area;
  let place = e - c * area;
  return levels[c * 256u + u32(levelOf(c, place % at[0].x, place / at[0].x))];
}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (id.y * ${workgroupsAcross}u + id.x) * ${lanes}u + lane;
  let e = i * 4u;
  if (e >= at[2].z) { return; }
  let v = vec4<f32>(valueOf(e), valueOf(e + 1u), valueOf(e + 2u), valueOf(e + 3u));
  values[at[2].x + i] = ${isHalf ? "vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw))" : "v"};
}
`;
}
