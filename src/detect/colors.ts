/** Colours of boxes and of what is written on them. */
import { expectKind } from "../base/arguments.ts";
import type { Color } from "./_canvas.ts";
import { type Detection, isObject } from "./detection.ts";
import { sharedArea } from "./plates.ts";

/** What is mixed into the colour of a class for boxes of it that overlap: nothing, white, black. */
const shades = [
  { level: 255, share: 0 },
  { level: 255, share: 0.45 },
  { level: 0, share: 0.4 },
] as const;

/** A strong colour for each class; neighbours in number are far apart in hue (steps of the golden angle). */
export function classColor(classId: number): Color {
  expectKind("classColor: classId", classId, "a number");
  const hue = (classId * 137.508 + 10) % 360;
  const value = 0.95 - 0.2 * (Math.floor(classId / 12) % 3);
  const channel = (offset: number) => {
    const k = (offset + hue / 60) % 6;
    return Math.round(255 * value * (1 - 0.85 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

/** A colour for each detection: that of its class, lighter or darker where boxes of the class overlap. */
export function distinctColors(detections: readonly Detection[]): Color[] {
  expectKind("distinctColors: detections", detections, "a list of detections");
  const chosen: number[] = [];
  detections.forEach((found, i) => {
    const taken = shades.map(() => 0);
    detections.slice(0, i).forEach((other, k) => {
      if (!isObject(found) || !isObject(other) || other.classId !== found.classId) return;
      if (sharedArea(found.box, other.box) > 0) taken[chosen[k]]++;
    });
    chosen.push(taken.indexOf(Math.min(...taken)));
  });
  return detections.map(({ classId }, i) => {
    const { level, share } = shades[chosen[i]];
    const [r, g, b] = classColor(classId).map((own) => Math.round(own + (level - own) * share));
    return [r, g, b];
  });
}

/** Black or white, whichever has the greater contrast (WCAG relative luminance) with the colour. */
export function readableOn(color: Color): Color {
  expectKind("readableOn: color", color, "a list");
  const [r, g, b] = color.map((level) => (level / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? [0, 0, 0] : [255, 255, 255];
}
