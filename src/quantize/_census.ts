/**
 * Range and bins of many numbers. A pass over pictures spends more time on these than on anything but the network, so that a small
 * WebAssembly module looks at four numbers at a time; where there is no SIMD, JavaScript does the same.
 */
import { f32x4, i8x16, i32, i32x4, set, store, v128 } from "../wasm/expressions.ts";
import { features, forRange, type Local, Module } from "../wasm/index.ts";

/** Numbers looked at together at most: they, and where they fall, stay in the first cache. */
export const chunk = 4096;

/** Of some numbers. */
export interface Range {
  /** The first number that is not finite, both, where there is one. */
  readonly min: number;
  readonly max: number;
  readonly zeros: number;
  /** Numbers whose bin is not the first: of these there are `places`. */
  readonly placed: number;
}

/**
 * Looks at one to `chunk` numbers. `places` says afterwards, in their order, which bins they belong in, |x|·perWidth without its fraction, the
 * largest int32 where that is larger; those of bin 0 are left out.
 */
export interface Census {
  readonly places: Int32Array;
  look(data: Float32Array, perWidth: number): Range;
}

/**
 * Addresses of the numbers; of where they fall; of lanes of the least, of the greatest, of how many are not 0, and of what is NaN if a number is not
 * finite; and of shuffles that bring some of four lanes together, 16 bytes for each choice.
 */
const at = { numbers: 0, places: 4 * chunk, results: 8 * chunk, choices: 8 * chunk + 64 } as const;
const pageBytes = 65536;

function emitCensus(m: Module): void {
  const params = { end: "i32", perWidth: "f32" } as const;
  m.func("look", { params, results: ["i32"], export: true }, (f) => {
    const vector = (name: string): Local => f.local("v128", name);
    const [from, to, chosen] = ["from", "to", "chosen"].map((name) => f.local("i32", name));
    const [x, size, place, scale] = ["x", "size", "place", "scale"].map(vector);
    const results = ["min", "max", "others", "sum"].map(vector);
    const [min, max, others, sum] = results;
    f.get(f.params.perWidth);
    f.op("f32x4.splat");
    f.set(scale);
    set(f, min, v128.load(i32.of(at.numbers)));
    set(f, max, min);
    set(f, to, at.places);
    forRange(f, from, at.numbers, f.params.end, 16, () => {
      set(f, x, v128.load(from));
      set(f, size, f32x4.abs(x));
      set(f, min, f32x4.pmin(min, x));
      set(f, max, f32x4.pmax(max, x));
      set(f, sum, f32x4.add(sum, f32x4.mul(x, 0)));
      // True is −1.
      set(f, others, i32x4.sub(others, f32x4.gt(size, 0)));
      set(f, place, i32x4.trunc_sat_f32x4_s(f32x4.mul(size, scale)));
      set(f, chosen, i32x4.bitmask(i32x4.sub(0, place)));
      // Half of the numbers may be 0: adding all those to one bin, one after the other, would take most of the time.
      store(f, to, i8x16.swizzle(place, v128.load(i32.shl(chosen, 4), at.choices)));
      set(f, to, i32.add(to, i32.shl(i32.popcnt(chosen), 2)));
    });
    for (const [i, result] of results.entries()) store(f, at.results, result, 16 * i);
    i32.sub(to, at.places)(f);
  });
}

/** For each choice of four lanes, the bytes of the chosen ones. */
const choices = (): number[] =>
  Array.from({ length: 16 }, (_, chosen) => {
    const lanes = [0, 1, 2, 3].filter((lane) => chosen & (1 << lane));
    return Array.from({ length: 16 }, (_, i) => 4 * (lanes[i >> 2] ?? 0) + (i & 3));
  }).flat();

function broken(data: Float32Array): Range {
  const value = data.find((x) => !Number.isFinite(x))!;
  return { min: value, max: value, zeros: 0, placed: 0 };
}

export function wasmCensus(): Census {
  const m = new Module();
  m.memory({ min: Math.ceil((at.choices + 256) / pageBytes) }, "memory");
  emitCensus(m);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
  const { memory, look } = exports as {
    memory: WebAssembly.Memory;
    look: (end: number, perWidth: number) => number;
  };
  const { buffer } = memory;
  new Uint8Array(buffer).set(choices(), at.choices);
  const numbers = new Float32Array(buffer, at.numbers, chunk);
  const [least, greatest, sum] = [0, 16, 48].map((o) => new Float32Array(buffer, at.results + o, 4));
  const others = new Int32Array(buffer, at.results + 32, 4);
  return {
    places: new Int32Array(buffer, at.places, chunk),
    look: (data, perWidth) => {
      const { length } = data;
      numbers.set(data);
      // The last four are filled up with a number that is there.
      const [filler] = data;
      const whole = Math.ceil(length / 4) * 4;
      for (let i = length; i < whole; i++) numbers[i] = filler;
      const placed = look(4 * whole, perWidth) / 4;
      const filled = whole - length;
      if (Number.isNaN(sum[0] + sum[1] + sum[2] + sum[3])) return broken(data);
      return {
        min: Math.min(least[0], least[1], least[2], least[3]),
        max: Math.max(greatest[0], greatest[1], greatest[2], greatest[3]),
        zeros: whole - others[0] - others[1] - others[2] - others[3] - (filler === 0 ? filled : 0),
        placed: placed - (Math.abs(filler) * perWidth >= 1 ? filled : 0),
      };
    },
  };
}

/** The same in JavaScript, for runtimes without SIMD. */
export function plainCensus(): Census {
  const places = new Int32Array(chunk);
  const look = (data: Float32Array, perWidth: number): Range => {
    let [min, max] = [data[0], data[0]];
    let [zeros, placed] = [0, 0];
    for (let i = 0; i < data.length; i++) {
      const x = data[i];
      if (x === 0) zeros++;
      if (!Number.isFinite(x)) return broken(data);
      if (x < min) min = x;
      if (x > max) max = x;
      const place = Math.abs(x) * perWidth;
      if (place >= 1) places[placed++] = Math.min(place, 0x7fffffff);
    }
    return { min, max, zeros, placed };
  };
  return { places, look };
}

let known: Census | undefined;
export const census = (): Census => {
  known ??= features().simd ? wasmCensus() : plainCensus();
  return known;
};
