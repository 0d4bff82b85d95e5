/** Where labels of boxes go, so that none covers another: the same for pixels in Node and for a canvas in the page. */
import { expectKind } from "../base/arguments.ts";
import type { Box } from "./detection.ts";

/** A label that wants a place at its box, in pixels. */
export interface WantedPlate {
  readonly box: Box;
  readonly width: number;
  readonly height: number;
}

/** Boxes of less area than so many plates would be hidden by one, and are kept free where there is other room. */
const mostHidden = 3;

/**
 * Places for the labels, the most important first, inside a picture of this size: on top of the box, else below it, inside of it or at
 * another of its sides. Nothing for a label that would cover one before it wherever it went; with `all`, it goes where it covers least.
 */
export function placePlates(
  wanted: readonly WantedPlate[],
  room: { readonly width: number; readonly height: number },
  rules: { readonly all?: boolean } = {},
): (Box | undefined)[] {
  expectKind("placePlates: wanted", wanted, "a list");
  expectKind("placePlates: room", room, "a size ({ width, height })");
  expectKind("placePlates: rules", rules, "an object of options");
  const placed: Box[] = [];
  const boxes = wanted.map(({ box }) => box);
  const most = room.width * room.height;
  return wanted.map((plate) => {
    let best: Box | undefined;
    let least = Number.POSITIVE_INFINITY;
    const small = boxes.filter(
      ({ width, height }) => width * height < mostHidden * plate.width * plate.height,
    );
    const covered = (place: Box, by: readonly Box[]): number =>
      by.reduce((sum, other) => sum + sharedArea(place, other), 0);
    for (const place of placesOf(plate, room)) {
      const cost = covered(place, placed) * most + covered(place, small);
      if (cost < least) [best, least] = [place, cost];
      if (cost === 0) break;
    }
    if (!best || (covered(best, placed) > 0 && !rules.all)) return undefined;
    placed.push(best);
    return best;
  });
}

/** Where a plate may go, the most readable first; one place at least. */
function placesOf(
  { box, width, height }: WantedPlate,
  room: { readonly width: number; readonly height: number },
): Box[] {
  const [right, bottom] = [box.x + box.width - width, box.y + box.height];
  const columns = [box.x, right, box.x + (box.width - width) / 2];
  const rows = [box.y - height, bottom, box.y, bottom - height, box.y + (box.height - height) / 2];
  const corners = rows.flatMap((y) => columns.map((x) => ({ x, y })));
  const beside = [box.x + box.width, box.x - width].map((x) => ({ x, y: box.y }));
  const within = (value: number, most: number): number => Math.max(Math.min(value, most), 0);
  const free = [
    ...corners.map(({ x, y }) => ({ x: within(x, room.width - width), y })),
    ...beside
      .filter(({ x }) => x >= 0 && x + width <= room.width)
      .map(({ x, y }) => ({ x, y: within(y, room.height - height) })),
  ].filter(({ y }) => y >= 0 && y + height <= room.height);
  const last = { x: within(box.x, room.width - width), y: within(box.y, room.height - height) };
  return (free.length ? free : [last]).map((place) => ({ ...place, width, height }));
}

/** Of the part that lies in both. */
export function sharedArea(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return width > 0 && height > 0 ? width * height : 0;
}
