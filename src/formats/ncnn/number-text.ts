/** Numbers as ncnn's `.param` text spells them. Source: ncnn src/paramdict.cpp (facts: a token has at most 15 characters). */
import { bitsToF32, f32ToBits } from "../../base/fp16.ts";

/** ncnn decides by spelling: a `.` or an exponent makes a float. */
export function isFloatSpelling(token: string): boolean {
  return /[.eE]/.test(token);
}

const numberPattern = /^[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** An integer token, or undefined. */
export function parseInteger(token: string): number | undefined {
  if (!/^[+-]?\d+$/.test(token)) return undefined;
  const value = Number(token);
  return value >= -2147483648 && value <= 4294967295 ? value : undefined;
}

/**
 * The float32 value of a token, or undefined. ncnn stores integers and floats in the same 32 bits and does not convert:
 * an integer spelling read as a float is the float with that bit pattern (Yolov3DetectionOutput masks rely on it).
 */
export function parseFloat32(token: string): number | undefined {
  if (!isFloatSpelling(token)) {
    const bits = parseInteger(token);
    return bits === undefined ? undefined : bitsToF32(bits >>> 0);
  }
  return numberPattern.test(token) ? Math.fround(Number(token)) : undefined;
}

/**
 * C's `%e` (seven significant digits, two exponent digits) where that gives the same float32 back, else as many digits
 * as it takes: nine always do, and `-1.66666667e-01` is just within ncnn's 15 characters. What is not finite has no
 * spelling that ncnn reads, and is printed as the integer of its bits.
 */
export function printFloat(value: number): string {
  const exact = Math.fround(value);
  if (!Number.isFinite(exact)) return String(f32ToBits(exact) | 0);
  for (let digits = 6; ; digits++) {
    const text = exact
      .toExponential(digits)
      .replace(/e([+-])(\d+)$/, (_, sign: string, e: string) => `e${sign}${e.padStart(2, "0")}`);
    if (digits === 8 || Math.fround(Number(text)) === exact) return text;
  }
}
