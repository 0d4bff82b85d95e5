import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { glyphRows } from "../../src/detect/_font.ts";
import { classColor, distinctColors } from "../../src/detect/colors.ts";
import type {
  DetectedObject,
  Detection,
  OrientedObject,
  PosedObject,
  SegmentedObject,
} from "../../src/detect/detection.ts";
import { drawDetections } from "../../src/detect/draw.ts";
import { maskFromBitmap } from "../../src/detect/mask.ts";
import type { Picture } from "../../src/detect/picture.ts";

const at = (x: number, y: number, width: number, height: number, classId = 0): DetectedObject => ({
  task: "detect",
  label: "cat",
  classId,
  score: 0.5,
  box: { x, y, width, height },
});
const blank = (width: number, height: number, channels: 3 | 4 = 3): Picture => ({
  width,
  height,
  channels,
  data: new Uint8Array(width * height * channels).fill(9),
});

/** The picture as one character a pixel: `#` the class colour, `o` anything else that was drawn. */
function show(picture: Picture, [r, g, b]: readonly number[]): string {
  let out = "\n";
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      const i = (y * picture.width + x) * 4;
      const [red, green, blue] = picture.data.subarray(i, i + 3);
      out += red === r && green === g && blue === b ? "#" : red === 9 ? "." : "o";
    }
    out += "\n";
  }
  return out;
}

describe("drawDetections", () => {
  test("points are dots; one that is hardly seen is left out", () => {
    const face: PosedObject = {
      ...at(1, 1, 14, 12),
      task: "pose",
      points: [
        { x: 5, y: 5 },
        { x: 10, y: 5, score: 0.9 },
        { x: 8, y: 10, score: 0.4 },
        { x: 20, y: -3 },
      ],
    };
    const drawn = drawDetections(blank(16, 14), [face], { lineWidth: 1, textHeight: 0 });
    expect(show(drawn, classColor(0))).toBe(`
................
.##############.
.#............#.
.#............#.
.#..##...##...#.
.#..##...##...#.
.#............#.
.#............#.
.#............#.
.#............#.
.#............#.
.#............#.
.##############.
................
`);
  });

  test("box and label, pixel by pixel", () => {
    const drawn = drawDetections(blank(16, 16), [at(2, 10, 12, 5)], {
      lineWidth: 1,
      textHeight: 9,
      text: () => "A1",
    });
    expect(show(drawn, classColor(0))).toBe(`
................
..#############.
..##ooo####o###.
..#o###o##oo###.
..#o###o###o###.
..#ooooo###o###.
..#o###o###o###.
..#o###o###o###.
..#o###o##ooo##.
..#############.
..############..
..#..........#..
..#..........#..
..#..........#..
..############..
................
`);
  });

  test("a mask is mixed in, the box around it", () => {
    const bits = new Uint8Array(64);
    for (const i of [27, 28, 35, 36]) bits[i] = 1;
    const mask = maskFromBitmap(bits, { width: 8, height: 8 });
    const found: SegmentedObject = { ...at(2, 2, 4, 4), task: "segment", mask };
    const { data } = drawDetections(blank(8, 8), [found], { lineWidth: 0, textHeight: 0 });
    const changed = Array.from({ length: 64 }, (_, i) => i).filter((i) => data[4 * i] !== 9);
    expect(changed).toEqual([27, 28, 35, 36]);
    const [red] = classColor(0);
    expect(data[4 * 27]).toBe(Math.round(9 * 0.55 + red * 0.45));
    // A mask of another size belongs to another picture.
    const other = drawDetections(blank(9, 8), [found], { lineWidth: 0, textHeight: 0 });
    expect(new Set(other.data)).toEqual(new Set([9, 255]));
  });

  test("a turned box, and the limbs of a person", () => {
    const rotated = { x: 8, y: 7, width: 10, height: 4, angle: Math.PI / 4 };
    const turned: OrientedObject = { ...at(0, 0, 16, 14), task: "obb", rotated };
    expect(
      show(drawDetections(blank(16, 14), [turned], { lineWidth: 1, textHeight: 0 }), classColor(0)),
    ).toMatchInlineSnapshot(`
      "
      ................
      ................
      .....##.........
      ....#..#........
      ...#....#.......
      ...#.....#......
      ....#.....#.....
      .....#.....#....
      ......#.....#...
      .......#....#...
      ........#..#....
      .........##.....
      ................
      ................
      "
    `);
    const points = Array.from({ length: 17 }, (_, i) => ({ x: 0, y: 0, score: i === 5 || i === 7 ? 1 : 0 }));
    Object.assign(points[5], { x: 3.5, y: 2.5 });
    Object.assign(points[7], { x: 12.5, y: 10.5 });
    const person: PosedObject = { ...at(0, 0, 16, 14), task: "pose", points };
    expect(
      show(drawDetections(blank(16, 14), [person], { lineWidth: 1, textHeight: 0 }), classColor(0)),
    ).toMatchInlineSnapshot(`
      "
      ################
      #.###..........#
      #.###..........#
      #.###..........#
      #....##........#
      #.....##.......#
      #......##......#
      #.......##.....#
      #........##....#
      #..........###.#
      #..........###.#
      #..........###.#
      #..............#
      ################
      "
    `);
  });

  test("classes of the picture are lines at its left top, the best above", () => {
    const sorted = (label: string, classId: number, score: number): Detection => ({
      ...{ task: "classify", label, classId, score },
    });
    const drawn = drawDetections(blank(20, 24), [sorted("b", 1, 0.2), sorted("a", 0, 0.7)], {
      text: ({ label }) => label,
      textHeight: 9,
    });
    expect(show(drawn, classColor(0))).toMatchInlineSnapshot(`
      "
      ....................
      .#######............
      .#######............
      .#######............
      .##ooo##............
      .#####o#............
      .##oooo#............
      .#o###o#............
      .##oooo#............
      .#######............
      ....................
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      .ooooooo............
      ....................
      ....................
      ....................
      ....................
      "
    `);
  });

  test("the source is left alone, alpha is opaque, RGB and RGBA sources give the same", () => {
    const source = blank(20, 20);
    const drawn = drawDetections(source, [at(2, 2, 9, 9)]);
    expect(new Set(source.data)).toEqual(new Set([9]));
    const rgba = blank(20, 20, 4);
    for (let i = 3; i < rgba.data.length; i += 4) rgba.data[i] = 255;
    expect(drawDetections(rgba, [at(2, 2, 9, 9)])).toEqual(drawn);
  });

  test("boxes at and beyond every edge, and labels wider than the picture, stay inside", () => {
    for (const [w, h] of [
      [1, 1],
      [5, 40],
      [40, 5],
      [64, 64],
    ]) {
      const boxes = [at(-10, -10, 500, 500), at(w - 1, h - 1, 1, 1), at(0, 0, 0, 0), at(w + 5, h + 5, 3, 3)];
      const drawn = drawDetections(blank(w, h), boxes, { textHeight: 27, text: () => "a long label ünï" });
      expect(drawn.data.length).toBe(w * h * 4);
    }
  });

  test("every printable character has its own shape, others are a question mark", () => {
    const shapes = new Set(
      Array.from({ length: 95 }, (_, i) => glyphRows(String.fromCharCode(32 + i)).join()),
    );
    expect(shapes.size).toBe(95);
    for (const odd of ["é", "日", "\n", "🐈", ""]) expect(glyphRows(odd)).toEqual(glyphRows("?"));
  });

  test("neighbouring classes have different colours", () => {
    const colors = new Set(Array.from({ length: 80 }, (_, k) => classColor(k).join()));
    expect(colors.size).toBe(80);
  });

  test("boxes of a class that overlap have different shades, others that of the class", () => {
    const colors = distinctColors([
      at(0, 0, 9, 9),
      at(5, 5, 9, 9),
      at(6, 6, 9, 9),
      at(40, 0, 9, 9),
      at(5, 5, 9, 9, 1),
    ]);
    expect(new Set(colors.slice(0, 3).join(";").split(";")).size).toBe(3);
    expect([colors[0], colors[3], colors[4]]).toEqual([classColor(0), classColor(0), classColor(1)]);
  });

  test("the same pixels everywhere", () => {
    const { data } = drawDetections(blank(200, 100), [at(20, 30, 50, 50, 3), at(60, 5, 120, 80, 17)]);
    expect(createHash("sha256").update(data).digest("hex").slice(0, 16)).toMatchInlineSnapshot(
      `"e1746f38210e9241"`,
    );
  });
});
