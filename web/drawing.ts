/** What was found, drawn on a canvas: over the picture on the page, into frames that are recorded and pictures that are saved. */
import { type DrawnShape, isObject, type Mask, type Point } from "../src/index.ts";
import { cornersOf, leastShown, limbsOf, placePlates, readableOn } from "../src/steps.ts";
import type { Labels, ShownBox } from "./protocol.ts";

export interface Drawing {
  /** Best first, in pixels of the picture. */
  boxes: readonly ShownBox[];
  /** Of the picture, in pixels. */
  width: number;
  height: number;
  mirrored: boolean;
  labels: Labels;
  /** Stands out from the others. */
  marked?: ShownBox;
  /** Lines and regions, in pixels of the picture. */
  shapes?: readonly DrawnShape[];
  /** All masks, as `masksOf` makes them. */
  masks?: CanvasImageSource;
}

/** Where the picture lies on the canvas. */
export interface Spot {
  left: number;
  top: number;
  /** Pixels of the canvas for one of the picture. */
  scale: number;
  /** Pixels of the canvas that a line of one pixel takes, to be seen well. */
  unit: number;
}

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** A picture that is drawn into itself: lines and letters grow with it. */
export function ownSpot({ width, height }: { width: number; height: number }): Spot {
  return { left: 0, top: 0, scale: 1, unit: Math.max((width + height) / 1100, 0.7) };
}

/** How much of the colour of a mask is seen, 0..255. */
const maskOpacity = 115;
const shapeColor = "rgb(255 220 0)";

export function draw(context: Context, drawing: Drawing, spot: Spot): void {
  new Pen(context, drawing, spot).draw();
}

export const textOf = ({ label, score, id }: ShownBox): string =>
  `${id === undefined ? "" : `#${id} `}${label} ${Math.round(score * 100)}`;

class Pen {
  private readonly context: Context;
  private readonly drawing: Drawing;
  private readonly spot: Spot;

  constructor(context: Context, drawing: Drawing, spot: Spot) {
    [this.context, this.drawing, this.spot] = [context, drawing, spot];
  }

  draw(): void {
    const { context, drawing, spot } = this;
    const { boxes, masks, mirrored, marked, shapes = [] } = drawing;
    context.save();
    context.lineWidth = Math.max(2 * spot.unit, 1.5);
    context.lineJoin = "round";
    context.font = `600 ${12 * spot.unit}px system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif`;
    context.textBaseline = "middle";
    if (masks) {
      context.save();
      context.translate(this.across(0), spot.top);
      context.scale(mirrored ? -spot.scale : spot.scale, spot.scale);
      context.drawImage(masks, 0, 0);
      context.restore();
    }
    for (const shape of shapes) this.shape(shape);
    const objects = boxes.filter(isObject);
    // The best on top.
    for (const found of [...objects].reverse()) {
      context.globalAlpha = marked && marked !== found ? 0.45 : 1;
      this.outline(found);
    }
    context.globalAlpha = 1;
    this.labels();
    context.restore();
  }

  private across(x: number): number {
    const { drawing, spot } = this;
    return spot.left + (drawing.mirrored ? drawing.width - x : x) * spot.scale;
  }
  private down(y: number): number {
    return this.spot.top + y * this.spot.scale;
  }

  private placeOf({ box }: ShownBox & { box: Place }): Place {
    const { scale } = this.spot;
    const x = this.across(this.drawing.mirrored ? box.x + box.width : box.x);
    return { x, y: this.down(box.y), width: box.width * scale, height: box.height * scale };
  }

  private outline(found: ShownBox & { box: Place }): void {
    const { context, spot, drawing } = this;
    const place = this.placeOf(found);
    context.strokeStyle = found.color;
    context.fillStyle = found.color;
    const stroke = (): void => {
      if (found.task === "obb") this.path(pairs(cornersOf(found.rotated)), true);
      else context.strokeRect(place.x, place.y, place.width, place.height);
    };
    if (drawing.marked === found) {
      context.save();
      context.lineWidth *= 3;
      context.strokeStyle = "#fff";
      stroke();
      context.restore();
    }
    stroke();
    const radius = Math.min(2.5 * spot.unit, Math.max(place.width / 16, 1));
    if (found.task === "pose") this.pose(found.points, radius);
  }

  private path(places: readonly (readonly [number, number])[], closed: boolean): void {
    const { context } = this;
    context.beginPath();
    for (const [x, y] of places) context.lineTo(this.across(x), this.down(y));
    if (closed) context.closePath();
    context.stroke();
  }

  /** Points as dots, and the lines between them where it is known which belong together. */
  private pose(points: readonly Point[], radius: number): void {
    const { context } = this;
    const isSeen = ({ score = 1 }: Point): boolean => score >= leastShown;
    for (const [from, to] of limbsOf(points.length)) {
      const [a, b] = [points[from], points[to]];
      if (isSeen(a) && isSeen(b)) this.path([[a.x, a.y], [b.x, b.y]], false); // biome-ignore format: a line
    }
    for (const { x, y } of points.filter(isSeen)) {
      context.beginPath();
      context.arc(this.across(x), this.down(y), radius, 0, 2 * Math.PI);
      context.fill();
    }
  }

  private shape({ places, closed, text }: DrawnShape): void {
    const { context, spot } = this;
    context.strokeStyle = shapeColor;
    this.path(places, closed);
    if (!places.length) return;
    // At its top, which controls of a video do not cover.
    const top = places.reduce((best, place) => (place[1] < best[1] ? place : best));
    const [x, y] = [this.across(top[0]), this.down(top[1])];
    const { width, height } = this.plateOf(text);
    const free = {
      x: Math.max(Math.min(x, this.right - width), spot.left),
      y: Math.max(y - height, spot.top),
    };
    this.plate(text, shapeColor, { ...free, width, height });
  }

  private get right(): number {
    return this.spot.left + this.drawing.width * this.spot.scale;
  }

  /** The marked one first, then the best; classes of the whole picture one below the other. */
  private labels(): void {
    const { spot, drawing } = this;
    const { boxes, labels, marked } = drawing;
    const wanted = boxes.filter(isObject).filter((found) => labels !== "none" || found === marked);
    if (marked) wanted.sort((a, b) => Number(b === marked) - Number(a === marked));
    const { lineWidth } = this.context;
    const plates = wanted.map((found) => {
      const { x, y, width, height } = this.placeOf(found);
      const edge = lineWidth / 2;
      // In pixels of the part of the canvas that the picture takes.
      const box = {
        x: x - edge - spot.left,
        y: y - edge - spot.top,
        width: width + lineWidth,
        height: height + lineWidth,
      };
      return { box, ...this.plateOf(textOf(found)) };
    });
    const room = { width: drawing.width * spot.scale, height: drawing.height * spot.scale };
    placePlates(plates, room, { all: labels === "all" }).forEach((place, i) => {
      if (!place) return;
      this.plate(textOf(wanted[i]), wanted[i].color, {
        ...place,
        ...{ x: place.x + spot.left, y: place.y + spot.top },
      });
    });
    const classes = boxes.filter((found) => !isObject(found));
    classes.forEach((found, i) => {
      const { width, height } = this.plateOf(textOf(found));
      const [x, y] = [spot.left + 8 * spot.unit, spot.top + (8 + 22 * i) * spot.unit];
      this.plate(textOf(found), found.color, { x, y, width, height });
    });
  }

  private plateOf(text: string): { width: number; height: number } {
    const { unit } = this.spot;
    return { width: widthOf(this.context, text) + 10 * unit, height: 18 * unit };
  }

  private plate(text: string, color: string, { x, y, width, height }: Place): void {
    const { context, spot } = this;
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
    context.fillStyle = `rgb(${readableOn(levelsOf(color)).join(" ")})`;
    context.fillText(text, x + 5 * spot.unit, y + height / 2 + spot.unit * 0.5);
  }
}

/** Pixels of the canvas. */
interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

const pairs = (corners: readonly number[]): [number, number][] =>
  Array.from({ length: corners.length / 2 }, (_, i) => [corners[2 * i], corners[2 * i + 1]]);

/** Widths of texts that were measured: those of a stream come again and again. */
const widths = new Map<string, number>();

function widthOf(context: Context, text: string): number {
  const key = `${context.font}\n${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    width = context.measureText(text).width;
    if (widths.size > 2000) widths.clear();
    widths.set(key, width);
  }
  return width;
}

/** Of a colour as CSS. */
function levelsOf(color: string): [red: number, green: number, blue: number] {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number);
  return [red, green, blue];
}

/** A picture of all masks, the best on top; nothing where there are none. */
export function masksOf(
  boxes: readonly ShownBox[],
  { width, height }: { width: number; height: number },
): OffscreenCanvas | undefined {
  const segments = boxes.flatMap((found) => (found.task === "segment" ? [found] : []));
  if (!segments.length) return undefined;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) return undefined;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (const { mask, color } of segments.reverse()) {
    const [red, green, blue] = levelsOf(color);
    fillMask(pixels, mask, new Uint32Array(Uint8Array.of(red, green, blue, maskOpacity).buffer)[0]);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function fillMask(pixels: Uint32Array, { size: [height, width], counts }: Mask, value: number): void {
  for (let i = 1, at = counts[0]; i < counts.length; i += 2) {
    for (const end = at + counts[i]; at < end; at++) {
      pixels[(at % height) * width + Math.floor(at / height)] = value;
    }
    at += counts[i + 1] ?? 0;
  }
}
