/** What is counted: lines and regions in the picture, from a small JSON file that is described in docs/video.md. */
import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { FormatError } from "../base/errors.ts";
import { describeIssue, parseJson } from "../base/issue.ts";

/** A place in the picture, `x y`. */
type Place = [x: number, y: number];

/** Names of points of a box, in parts of its width and height from its left top corner. */
export const boxPoints = {
  bottom: [0.5, 1],
  center: [0.5, 0.5],
  top: [0.5, 0],
  left: [0, 0.5],
  right: [1, 0.5],
} as const;

/** What applies to one line or region, or where it stands outside of them to all. */
export interface CountingRules {
  /** Which point of a box counts: a name, or parts of width and height from the left top corner, 0..1; default `bottom`, its middle. */
  point?: keyof typeof boxPoints | Place;
  /**
   * How far beyond the edge the point must be before it counts as crossed, in pixels (with fractions in parts of the picture's height);
   * default a tenth of the shorter side of the box. Jitter within it counts nothing.
   */
  margin?: number;
  /** Only these classes, by label or number; default all. */
  classes?: (string | number)[];
}

/** A line, counted in both directions. */
export interface CountingLine extends CountingRules {
  name: string;
  from: Place;
  to: Place;
  /** The side, seen when going `from` → `to`, onto which crossing is `in`; default `right`. */
  in?: "left" | "right";
}

/** A region, whose corners are joined in order and the last to the first. */
export interface CountingRegion extends CountingRules {
  name: string;
  polygon: Place[];
}

export interface Counting extends CountingRules {
  /** Of all places: `pixels` (default), or `fractions` of the picture's width and height. */
  units?: "pixels" | "fractions";
  lines?: CountingLine[];
  regions?: CountingRegion[];
}

const name = z.string().check(z.minLength(1), z.maxLength(200));
const place = z.tuple([z.number(), z.number()]);
const part = z.number().check(z.minimum(0), z.maximum(1));
const rules = {
  point: z.optional(z.union([z.enum(["bottom", "center", "top", "left", "right"]), z.tuple([part, part])])),
  margin: z.optional(z.number().check(z.minimum(0))),
  classes: z.optional(z.array(z.union([z.string(), z.int()])).check(z.minLength(1))),
};
const schema = z
  .strictObject({
    units: z.optional(z.enum(["pixels", "fractions"])),
    ...rules,
    lines: z.optional(
      z.array(
        z.strictObject({ name, from: place, to: place, in: z.optional(z.enum(["left", "right"])), ...rules }),
      ),
    ),
    regions: z.optional(
      z.array(z.strictObject({ name, polygon: z.array(place).check(z.minLength(3)), ...rules })),
    ),
  })
  .check((context) => {
    const { lines = [], regions = [] } = context.value;
    const problem = (path: (string | number)[], input: unknown, message: string) =>
      context.issues.push({ code: "custom", input, path, message });
    if (!lines.length && !regions.length) problem([], context.value, "lines or regions to count at");
    const names = new Set<string>();
    for (const [kind, list] of [
      ["lines", lines],
      ["regions", regions],
    ] as const) {
      for (const [i, { name: each }] of list.entries()) {
        if (names.has(each)) problem([kind, i, "name"], each, "a name of its own");
        names.add(each);
      }
    }
    for (const [i, { from, to }] of lines.entries()) {
      if (from[0] === to[0] && from[1] === to[1]) problem(["lines", i, "to"], to, "another place than from");
    }
    for (const [i, { polygon }] of regions.entries()) {
      const distinct = new Set(polygon.map(String)).size;
      if (distinct < 3) problem(["regions", i, "polygon"], polygon, "at least 3 different corners");
    }
  });

const own = (issue: z.core.$ZodIssue): string | undefined => {
  if (issue.code !== "invalid_union") return undefined;
  return issue.path.at(-1) === "point"
    ? `${Object.keys(boxPoints)
        .map((each) => JSON.stringify(each))
        .join(", ")}, or two parts from 0 to 1`
    : "labels or whole numbers";
};

/** Reads a file of lines and regions. `where` is its name in messages. Throws FormatError that names the field. */
export function parseCounting(text: string, where: string): Counting {
  expectKind("parseCounting: text", text, "a string");
  expectKind("parseCounting: where", where, "a string");
  return checkCounting(parseJson(text, where), where);
}

/** What is right of it. Throws FormatError. */
export function checkCounting(json: unknown, where: string): Counting {
  const result = z.safeParse(schema, json);
  if (result.success) return result.data;
  throw new FormatError(`${where}: ${describeIssue(result.error.issues[0], json, "the file", own)}`);
}

/** Corners of every line and region in pixels of a picture of this size, in the order of totals: lines first. */
export function placesOf(
  counting: Counting,
  size: { width: number; height: number },
): { name: string; closed: boolean; places: Place[] }[] {
  expectKind("placesOf: size", size, "a size ({ width, height })");
  const { units, lines = [], regions = [] } = checkCounting(counting, "counting");
  const { width, height } = size;
  const scaled = ([x, y]: Place): Place => (units === "fractions" ? [x * width, y * height] : [x, y]);
  return [
    ...lines.map(({ name, from, to }) => ({ name, closed: false, places: [scaled(from), scaled(to)] })),
    ...regions.map(({ name, polygon }) => ({ name, closed: true, places: polygon.map(scaled) })),
  ];
}
