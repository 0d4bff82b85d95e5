/** Picture files to RGB: the levels are those that OpenCV 4.11 and 5.0 gave for the same files. */
import { readFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { type FilePicture, InputError, readPicture } from "../../src/node.ts";
import { put, someOffsets, temporaryFolder } from "../cli/_run.ts";
import { dataFiles, dataPath, testData } from "../data.ts";
import { type BmpParts, bmp, type TiffParts, tiff } from "./_pictures.ts";

const folder = temporaryFolder();
const read = (name: string, bytes: Uint8Array | string) => readPicture(put(folder, { [name]: bytes }));
const rows = ({ data, width, height }: FilePicture): number[][] =>
  Array.from({ length: height }, (_, y) => [...data.subarray(3 * width * y, 3 * width * (y + 1))]);

const palette = [
  [0, 0, 0],
  [0, 0, 255],
  [0, 255, 0],
  [255, 0, 0],
];
const [black, red, green, blue] = [
  [0, 0, 0],
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
];
/** 3x2: black red green / blue red black; the second row comes first in the file. */
const upright = [
  [...black, ...red, ...green],
  [...blue, ...red, ...black],
];
const size = { width: 3, height: 2 };
const indexed: [string, BmpParts][] = [
  ["8 bits", { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2, 0], palette }],
  ["8 bits, OS/2", { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2, 0], palette, headerSize: 12 }],
  ["8 bits, OS/2 2", { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2, 0], palette, headerSize: 16 }],
  ["8 bits, version 5", { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2, 0], palette, headerSize: 124 }],
  ["8 bits, 4 used", { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2], palette, used: 4 }],
  ["4 bits", { ...size, bits: 4, data: [0x31, 0, 0, 0, 0x01, 0x20, 0, 0], palette }],
  ["4 bits, top down", { ...size, height: -2, bits: 4, data: [0x01, 0x20, 0, 0, 0x31, 0, 0, 0], palette }],
  [
    "runs of 8 bits",
    { ...size, bits: 8, compression: 1, data: [0, 3, 3, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 2, 0, 1], palette },
  ],
  [
    "runs that step",
    {
      ...size,
      bits: 8,
      compression: 1,
      data: [1, 3, 1, 1, 0, 2, 255, 0, 0, 0, 0, 2, 1, 0, 1, 1, 1, 2, 0, 1],
      palette,
    },
  ],
  [
    "runs without end",
    { ...size, bits: 8, compression: 1, data: [0, 3, 3, 1, 0, 0, 0, 0, 1, 0, 1, 1, 9, 2], palette },
  ],
  [
    "runs of 4 bits",
    { ...size, bits: 4, compression: 2, data: [2, 0x31, 0, 0, 0, 3, 0x01, 0x20, 0, 1], palette },
  ],
];
test.each(indexed)("bmp of %s", async (name, parts) => {
  expect(rows(await read(`${name.replace("/", "")}.bmp`, bmp(parts)))).toEqual(upright);
});

const masks565 = [0xf800, 0x7e0, 0x1f];
test.each<[string, BmpParts, number[]]>([
  [
    "1 bit",
    {
      width: 2,
      height: 1,
      bits: 1,
      data: [0x40, 0, 0, 0],
      palette: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    },
    [3, 2, 1, 6, 5, 4],
  ],
  ["16 bits", { width: 2, height: 1, bits: 16, data: [0xff, 0x7f, 0x00, 0x04] }, [248, 248, 248, 8, 0, 0]],
  [
    "565",
    { width: 2, height: 1, bits: 16, compression: 3, masks: masks565, data: [0xff, 0xff, 0x20, 0] },
    [248, 252, 248, 0, 4, 0],
  ],
  [
    "444",
    { width: 2, height: 1, bits: 16, compression: 3, masks: [0xf00, 0xf0, 0xf], data: [0xff, 0x0f, 0, 1] },
    [255, 255, 255, 17, 0, 0],
  ],
  ["24 bits", { width: 1, height: 1, bits: 24, data: [1, 2, 3] }, [3, 2, 1]],
  ["32 bits", { width: 1, height: 1, bits: 32, data: [1, 2, 3, 0] }, [3, 2, 1]],
  [
    "xRGB",
    {
      width: 1,
      height: 1,
      bits: 32,
      compression: 3,
      masks: [0xff00, 0xff0000, 0xff000000],
      data: [9, 1, 2, 3],
    },
    [1, 2, 3],
  ],
  [
    "RGB of 10 bits",
    {
      width: 1,
      height: 1,
      bits: 32,
      compression: 3,
      masks: [0x3ff00000, 0xffc00, 0x3ff],
      headerSize: 108,
      data: [0xff, 3, 0, 0x20],
    },
    [128, 0, 255],
  ],
  ["no palette", { width: 1, height: 1, bits: 8, data: [7, 0, 0, 0], used: 0 }, [0, 0, 0]],
])("bmp of %s", async (name, parts, levels) => {
  expect(rows(await read(`${name}.bmp`, bmp(parts)))).toEqual([levels]);
});

test("a bmp that lies is an error, and costs nothing", async () => {
  const whole = { ...size, bits: 8, data: [3, 1, 0, 0, 0, 1, 2, 0], palette };
  const broken: [Partial<BmpParts>, RegExp][] = [
    [{ width: 2 ** 31 - 1, height: 2 ** 31 - 1 }, /pixels are too many for a bmp file/],
    [{ width: 9999, height: 9999 }, /truncated/],
    [{ width: 9999, height: 9999, compression: 1 }, /8 bytes of runs are too few/],
    [{ width: 0 }, /found 0x2 pixels/],
    [{ height: -(2 ** 31) }, /too many/],
    [{ bits: 7 }, /found 7 bits/],
    [{ compression: 4 }, /compression 4/],
    [{ compression: 2 }, /compression 2/],
    [{ compression: 1, data: [3, 1, 0, 2, 0, 200, 3, 1, 0, 1] }, /row 200/],
    [{ data: [3, 1, 0, 0, 0] }, /truncated/],
  ];
  for (const [change, message] of broken) {
    await expect(read("lies.bmp", bmp({ ...whole, ...change }))).rejects.toThrow(message);
    await expect(read("lies.bmp", bmp({ ...whole, ...change }))).rejects.toBeInstanceOf(InputError);
  }
});

test("the content tells the format, not the name", async () => {
  expect(rows(await read("bitmap.jpg", bmp(indexed[0][1])))).toEqual(upright);
});

test.each([
  ["P1", "P1\n# drawn\n3 2\n010\n1 1 0\n", [255, 0, 255, 0, 0, 255]],
  ["P2", "P2 3 2 100\n0 50 99 100 1 2\n", [0, 127, 252, 255, 2, 5]],
  ["P2 of 1000", "P2 2 1 1000\n500 1000\n", [1, 3]],
  ["P4", Uint8Array.from([...Buffer.from("P4 3 2\n"), 0b01000000, 0b11000000]), [255, 0, 255, 0, 0, 255]],
  ["P5", Uint8Array.from([...Buffer.from("P5 3 1 100\n"), 0, 50, 100]), [0, 50, 100]],
  ["P5 of 16 bits", Uint8Array.from([...Buffer.from("P5 2 1 4095\n"), 15, 255, 1, 0]), [15, 1]],
])("%s", async (name, bytes, levels) => {
  const { data } = await read(`${name}.pnm`, bytes);
  expect([...data]).toEqual(levels.flatMap((level) => [level, level, level]));
});

test("P3 and P6 have colours, and broken ones are errors", async () => {
  expect([...(await read("p3.ppm", "P3 1 1 100 0 50 99\n")).data]).toEqual([0, 127, 252]);
  expect([...(await read("p6.ppm", "P6 1 1 255\nabc")).data]).toEqual([97, 98, 99]);
  for (const text of [
    "P6 1 1 255\nab",
    "P6 99999 99999 255\n",
    "P6 0 1 255\n",
    "P3 1 1 0 1",
    "P2 2 1 9 1",
    "P5 x",
    "P4 9 9 ",
  ]) {
    await expect(read("bad.ppm", text)).rejects.toBeInstanceOf(InputError);
  }
});

const four = [10, 200, 90, 255, 0, 0, 0, 128, 255, 128, 3, 77, 40, 41, 42, 0];
const deep = [256, 300, 65535, 0, 1, 127, 128, 129, 255, 40000, 30000, 20000];
const of4 = { width: 4, height: 1, bits: 8, samples: four, samplesPerPixel: 4 };
test.each<[string, TiffParts, number[]]>([
  ["inks", { ...of4, photometric: 5 }, [0, 0, 0, 127, 127, 127, 0, 88, 175, 215, 214, 213]],
  ["unassociated alpha", { ...of4, photometric: 2, extra: 2 }, [10, 200, 90, 0, 0, 0, 77, 39, 1, 0, 0, 0]],
  ["associated alpha", { ...of4, photometric: 2, extra: 1 }, [10, 200, 90, 0, 0, 0, 255, 128, 3, 40, 41, 42]],
  [
    "YCbCr",
    {
      ...of4,
      photometric: 6,
      samplesPerPixel: 3,
      samples: [10, 200, 90, 0, 0, 0, 255, 128, 3, 40, 141, 242],
      more: [[530, [1, 1]]],
    },
    [0, 12, 138, 0, 135, 0, 80, 255, 255, 200, 0, 63],
  ],
  [
    "Lab",
    {
      ...of4,
      photometric: 8,
      samplesPerPixel: 3,
      samples: [100, 20, 200, 255, 0, 0, 128, 128, 5, 3, 10, 250],
    },
    [87, 89, 166, 255, 252, 222, 0, 158, 96, 0, 0, 0],
  ],
  [
    "RGB of 16 bits",
    { ...of4, bits: 16, photometric: 2, samplesPerPixel: 3, samples: deep },
    [1, 1, 255, 0, 0, 0, 0, 1, 1, 156, 117, 78],
  ],
  [
    "grey of 16 bits",
    { ...of4, bits: 16, photometric: 1, samplesPerPixel: 1, samples: [256, 300, 65535, 40000] },
    [1, 1, 1, 1, 1, 1, 255, 255, 255, 156, 156, 156],
  ],
])("tiff with %s", async (name, parts, levels) => {
  expect([...(await read(`${name}.tif`, tiff(parts))).data]).toEqual(levels);
});

test.each<[string, Partial<TiffParts>, RegExp]>([
  ["float", { bits: 32, format: 3 }, /32-bit floating-point samples: which of them is white is not defined/],
  ["signed", { format: 2 }, /8-bit signed samples/],
  ["ICC Lab", { photometric: 9 }, /colour kind 9/],
  ["coarse YCbCr", { photometric: 6, more: [[530, [2, 2]]] }, /YCbCr with fewer colour samples/],
])("a tiff of %s is refused", async (name, change, message) => {
  const parts = {
    width: 2,
    height: 2,
    bits: 8,
    photometric: 2,
    samplesPerPixel: 3,
    samples: Array(12).fill(1),
    ...change,
  };
  await expect(read(`${name}.tif`, tiff(parts))).rejects.toThrow(message);
});

test("a tiff that does not say its colour kind is refused in words", async () => {
  const bytes = tiff({ ...of4, photometric: 2, samplesPerPixel: 3 });
  bytes[Buffer.from(bytes).indexOf(Buffer.from([6, 1, 3, 0]))] = 5; // tag 262 becomes 261
  await expect(read("kind.tif", bytes)).rejects.toThrow(/no stated colour kind/);
});

test("a tiff cut anywhere is an error or a picture", async () => {
  const whole = tiff({ ...of4, photometric: 5 });
  for (const at of someOffsets(whole.length, 40)) {
    const result = await read("cut.tif", whole.subarray(0, at)).catch((error: unknown) => error);
    if (result instanceof Error) expect(result).toBeInstanceOf(InputError);
  }
});

const fixture = (name: string): Uint8Array => readFileSync(path.join(import.meta.dirname, "data", name));
const sums = ({ data }: FilePicture): number[] =>
  [0, 1, 2].map((c) => Array.from(data).reduce((sum, level, i) => (i % 3 === c ? sum + level : sum), 0));
/** Without the marker in which Adobe says that the inks are inverted. */
function withoutAdobe(bytes: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf(Buffer.from([0xff, 0xee]));
  return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 2 + bytes[at + 3])]);
}
test.each([
  ["cmyk.jpg", fixture("cmyk.jpg"), [44262, 44375, 49621], [40, 155, 104]],
  ["plain-cmyk.jpg", withoutAdobe(fixture("cmyk.jpg")), [44262, 44375, 49621], [40, 155, 104]],
  ["ycck.jpg", fixture("ycck.jpg"), [12295, 11373, 9993], [55, 13, 32]],
  ["inks-jpeg.tif", fixture("inks-jpeg.tif"), [32592, 31003, 33383], [162, 189, 179]],
])("%s: inks as OpenCV mixes them", async (name, bytes, expected, at) => {
  const picture = await read(name, bytes);
  expect(sums(picture)).toEqual(expected);
  const x = name.endsWith("jpg") ? 20 : 5;
  expect(rows(picture)[3].slice(3 * x, 3 * x + 3)).toEqual(at);
});

/** A JPEG of 64x64 whose left half is unlike its right one. */
const photo = sharp({ create: { width: 64, height: 64, channels: 3, background: "#c04020" } }).composite([
  { input: { create: { width: 32, height: 64, channels: 3, background: "#2040c0" } }, left: 0, top: 0 },
]);
const jpeg = new Uint8Array(await photo.jpeg({ quality: 90 }).toBuffer());
const scan = Buffer.from(jpeg).lastIndexOf(Buffer.from([0xff, 0xda])) + 14;

test("a damaged jpeg is read as far as it goes, with a warning", async () => {
  const good = await read("good.jpg", jpeg);
  expect(good.warning).toBeUndefined();
  const cutEnd = await read("no-end.jpg", jpeg.subarray(0, -2));
  expect(cutEnd.warning).toMatch(/no-end\.jpg: damaged, read as far as it goes: it ends too early/);
  expect(cutEnd.data).toEqual(good.data);
  const at = Buffer.from(jpeg).indexOf(Buffer.from([0xff, 0xdb]));
  const stray = await read(
    "stray.jpg",
    Uint8Array.from([...jpeg.subarray(0, at), 0, 0, ...jpeg.subarray(at)]),
  );
  expect(stray.warning).toMatch(/its data have errors/);
  expect(stray.data).toEqual(good.data);
  const half = await read("half.jpg", jpeg.subarray(0, scan + Math.floor((jpeg.length - scan) / 2)));
  expect(half.warning).toMatch(/damaged/);
  expect(half.data.subarray(0, 8 * 64 * 3)).toEqual(good.data.subarray(0, 8 * 64 * 3));
  const behind = await read("behind.jpg", Uint8Array.from([...jpeg, ...Array(500).fill(7)]));
  expect(behind.warning).toBeUndefined();
  expect(behind.data).toEqual(good.data);
});

test("a jpeg without any pixels is an error", async () => {
  for (const end of [scan, scan - 14, 100, 2]) {
    await expect(read("none.jpg", jpeg.subarray(0, end))).rejects.toBeInstanceOf(InputError);
  }
});

testData("every picture of the trials is read", async () => {
  const files = ["picture-levels", "picture-formats", "damaged-jpeg"].flatMap((each) =>
    dataFiles(`trials/${each}`),
  );
  const pictures = files.filter((file) => !/README|float01/.test(file));
  expect(pictures.length).toBeGreaterThan(38);
  for (const file of pictures) await readPicture(dataPath(file));
  await expect(readPicture(dataPath("trials/picture-formats/float01.tif"))).rejects.toThrow("floating-point");
});

const means = async (file: string): Promise<number[]> => {
  const picture = await readPicture(dataPath(`trials/${file}`));
  return sums(picture).map((sum) => (3 * sum) / picture.data.length);
};
testData.each([
  ["picture-levels/cmyk.jpg", [128.5, 128.5, 91]],
  ["picture-levels/lab.tif", [152.11, 126.04, 77.77]],
  ["picture-levels/ycc.tif", [126.38, 127.5, 88.71]],
  ["picture-levels/gray16low.png", [7.5, 7.5, 7.5]],
  ["picture-formats/camera.bmp", [1, 1, 1]],
  ["picture-formats/photo.ppm", [1, 1, 1]],
  ["damaged-jpeg/no-eoi.jpg", [20.41, 20.45, 20.55]],
  ["damaged-jpeg/truncated-90.jpg", [30.57, 30.65, 30.73]],
])("%s has the mean levels that OpenCV reads", async (file, expected) => {
  const found = await means(file);
  for (const [c, mean] of expected.entries()) expect(Math.abs(found[c] - mean)).toBeLessThan(0.06);
});
