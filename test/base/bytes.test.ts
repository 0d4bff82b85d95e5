import { expect, test } from "vitest";
import { ByteReader } from "../../src/base/bytes.ts";
import { FormatError } from "../../src/base/errors.ts";

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

test("a range inside the bytes is read and nothing behind it", () => {
  const reader = new ByteReader(bytes, "x.bin", 2, 5);
  expect([reader.remaining, reader.u8("first"), reader.u16("second")]).toEqual([3, 3, 0x0504]);
  expect(() => reader.u8("third")).toThrow("x.bin: truncated: third needs 1 bytes, 0 are left (byte 5)");
  expect(new ByteReader(bytes, "x.bin", 8).remaining).toBe(0);
});

test.each([
  [0, 9],
  [5, 4],
  [-1, 4],
  [9, undefined],
  [Number.NaN, 4],
  [0, Number.NaN],
])("from %s to %s is no such range", (start, end) => {
  const read = () => new ByteReader(bytes, "x.bin", start, end);
  expect(read).toThrow(FormatError);
  expect(read).toThrow(/^x\.bin: bytes \[.*\) are wanted of 8/);
});

test("a view of a larger buffer does not reach beyond itself", () => {
  const view = bytes.subarray(2, 6);
  expect(new ByteReader(view, "x.bin").u32("all")).toBe(0x06050403);
  expect(() => new ByteReader(view, "x.bin", 0, 8)).toThrow(FormatError);
});
