import { expect, it } from "vitest";
import { ByteWriter } from "../../src/base/bytes.ts";
import { writeSigned, writeSigned64, writeUnsigned } from "../../src/wasm/leb128.ts";

const bytes = (write: (out: ByteWriter) => void): number[] => {
  const out = new ByteWriter();
  write(out);
  return [...out.finish()];
};

it("writes unsigned numbers in as few bytes as they need", () => {
  const unsigned = (value: number): number[] => bytes((out) => writeUnsigned(out, value));
  expect(unsigned(0)).toEqual([0]);
  expect(unsigned(127)).toEqual([0x7f]);
  expect(unsigned(128)).toEqual([0x80, 1]);
  expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]);
  expect(unsigned(2 ** 31)).toEqual([0x80, 0x80, 0x80, 0x80, 8]);
  expect(unsigned(2 ** 32 - 1)).toEqual([0xff, 0xff, 0xff, 0xff, 15]);
  for (const value of [-1, 2 ** 32, 0.5, Number.NaN])
    expect(() => unsigned(value)).toThrow(/unsigned 32-bit/);
});

it("keeps the sign of signed numbers", () => {
  const signed = (value: number): number[] => bytes((out) => writeSigned(out, value));
  expect(signed(63)).toEqual([63]);
  expect(signed(64)).toEqual([0xc0, 0]);
  expect(signed(-1)).toEqual([0x7f]);
  expect(signed(-64)).toEqual([0x40]);
  expect(signed(-65)).toEqual([0xbf, 0x7f]);
  expect(signed(-123456)).toEqual([0xc0, 0xbb, 0x78]);
  expect(signed(-(2 ** 31))).toEqual([0x80, 0x80, 0x80, 0x80, 0x78]);
  expect(signed(2 ** 31 - 1)).toEqual([0xff, 0xff, 0xff, 0xff, 7]);
  for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5]) expect(() => signed(value)).toThrow(/signed 32-bit/);
});

it("writes 64-bit numbers", () => {
  const signed = (value: bigint): number[] => bytes((out) => writeSigned64(out, value));
  expect(signed(-1n)).toEqual([0x7f]);
  expect(signed(2n ** 63n - 1n)).toEqual([...Array(9).fill(0xff), 0]);
  expect(signed(-(2n ** 63n))).toEqual([...Array(9).fill(0x80), 0x7f]);
  expect(() => signed(2n ** 63n)).toThrow(/signed 64-bit/);
});
