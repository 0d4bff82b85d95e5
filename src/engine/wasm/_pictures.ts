/** The functions of a compiled file that take a picture: room for its bytes, and the network's input made of them. */
import { i32, set } from "../../wasm/expressions.ts";
import type { FuncRef, Local, Module } from "../../wasm/index.ts";
import { slack } from "./memory.ts";

export const pageBytes = 65536;
/** Of a picture. */
const mostPixels = 2 ** 27;

/** `picture(width, height, channels) → address` and `preprocess(width, height, channels, size) → 0`, 1 where that cannot be. */
export function emitPictures(m: Module, heap: number, select: FuncRef, fits: readonly FuncRef[]): void {
  const sides = { width: "i32", height: "i32", channels: "i32" } as const;
  const isSize = m.func("isPicture", { params: sides, results: ["i32"] }, (f) => {
    const { width, height, channels } = f.params;
    const within = (side: Local): ReturnType<typeof i32.and> => i32.lt_u(i32.sub(side, 1), 65535);
    const isPixel = i32.or(i32.eq(channels, 3), i32.eq(channels, 4));
    // Pixels as doubles: their number may be too large for 32 bits.
    i32.and(i32.and(within(width), within(height)), isPixel)(f);
    f.get(width);
    f.op("f64.convert_i32_u");
    f.get(height);
    f.op("f64.convert_i32_u");
    f.op("f64.mul");
    f.f64(mostPixels);
    f.op("f64.le");
    f.op("i32.and");
  });
  m.func("picture", { params: sides, results: ["i32"], export: true }, (f) => {
    const { width, height, channels } = f.params;
    const missing = f.local("i32", "missing");
    for (const side of [width, height, channels]) f.get(side);
    f.call(isSize);
    f.op("i32.eqz");
    f.if(() => {
      f.i32(0);
      f.return();
    });
    const bytes = i32.mul(i32.mul(width, height), channels);
    const pages = i32.shr_u(i32.add(bytes, heap + slack + pageBytes - 1), 16);
    set(
      f,
      missing,
      i32.sub(pages, (g) => g.op("memory.size")),
    );
    i32.gt_s(missing, 0)(f);
    f.if(() => {
      f.get(missing);
      f.op("memory.grow");
      f.i32(0);
      f.op("i32.lt_s");
      f.if(() => {
        f.i32(0);
        f.return();
      });
    });
    f.i32(heap);
  });
  const params = { ...sides, size: "i32" } as const;
  m.func("preprocess", { params, results: ["i32"], export: true }, (f) => {
    const { width, height, channels, size } = f.params;
    for (const side of [width, height, channels]) f.get(side);
    f.call(isSize);
    i32.lt_u(size, fits.length)(f);
    f.op("i32.and");
    // The bytes have to lie in memory.
    const bytes = i32.mul(i32.mul(width, height), channels);
    i32.lt_u(
      i32.add(bytes, heap + slack - 1),
      i32.shl((g) => g.op("memory.size"), 16),
    )(f);
    f.op("i32.and");
    f.op("i32.eqz");
    f.if(() => {
      f.i32(1);
      f.return();
    });
    f.get(size);
    f.call(select);
    fits.forEach((fit, i) => {
      i32.eq(size, i)(f);
      f.if(() => {
        f.i32(heap);
        for (const side of [width, height, channels]) f.get(side);
        f.call(fit);
      });
    });
    f.i32(0);
  });
}
