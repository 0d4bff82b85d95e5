/** What was found over the picture, sharp at any size of the stage. */
import { isObject, type Mask, type Point } from "../src/index.ts";
import { cornersOf, leastShown, limbsOf } from "../src/steps.ts";
import type { ShownBox } from "./protocol.ts";

export interface Shown {
  boxes: readonly ShownBox[];
  /** Pixels that the boxes are in. */
  width: number;
  height: number;
  mirrored: boolean;
}

/** How much of the colour of a mask is seen, 0..255. */
const maskOpacity = 115;

/** A frame shown as it is; taking it costs nothing, since it is handed on and not copied. */
export class Still {
  private readonly canvas: HTMLCanvasElement;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
  }

  show(frame: ImageBitmap | undefined): void {
    this.canvas.hidden = frame === undefined;
    if (!frame) return;
    this.canvas.width = frame.width;
    this.canvas.height = frame.height;
    this.canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(frame);
  }
}

export class Overlay {
  private readonly canvas: HTMLCanvasElement;
  private shown: Shown | undefined;
  /** All masks of what is shown, in pixels of the picture. */
  private masks: HTMLCanvasElement | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(shown: Shown | undefined): void {
    this.shown = shown;
    this.masks = shown && masksOf(shown);
    this.draw();
  }

  private draw(): void {
    const { canvas, shown } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context || !width || !height) return;
    context.clearRect(0, 0, width, height);
    if (!shown) return;
    // The picture is shown whole, in the middle.
    const scale = Math.min(width / shown.width, height / shown.height);
    const [left, top] = [(width - shown.width * scale) / 2, (height - shown.height * scale) / 2];
    context.lineWidth = Math.max(2 * ratio, 1.5);
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const across = (x: number): number => left + (shown.mirrored ? shown.width - x : x) * scale;
    const down = (y: number): number => top + y * scale;
    if (this.masks) {
      context.save();
      context.translate(across(0), top);
      context.scale(shown.mirrored ? -scale : scale, scale);
      context.drawImage(this.masks, 0, 0);
      context.restore();
    }
    const plates: Place[] = [];
    const placed = shown.boxes.filter(isObject).map((found) => {
      const { box } = found;
      const x = across(shown.mirrored ? box.x + box.width : box.x);
      const place = { x, y: down(box.y), width: box.width * scale, height: box.height * scale };
      context.strokeStyle = found.color;
      context.fillStyle = found.color;
      if (found.task === "obb") strokeCorners(context, cornersOf(found.rotated), across, down);
      else context.strokeRect(place.x, place.y, place.width, place.height);
      const radius = Math.min(2.5 * ratio, Math.max(place.width / 16, 1));
      if (found.task === "pose") drawPose(context, found.points, radius, across, down);
      return { found, place };
    });
    // Best first; a label that would cover a better one is left out.
    for (const { found, place } of placed) drawLabel(context, found, place, ratio, plates);
    // Classes of the whole picture, one below the other.
    const corner = { x: left + 8 * ratio, width: 0, height: 0 };
    shown.boxes
      .filter((found) => !isObject(found))
      .forEach((found, i) => {
        drawLabel(context, found, { ...corner, y: top + (26 + 22 * i) * ratio }, ratio, plates);
      });
  }
}

/** A place of the picture on the canvas. */
type Along = (value: number) => number;

function strokeCorners(
  context: CanvasRenderingContext2D,
  corners: readonly number[],
  across: Along,
  down: Along,
): void {
  context.beginPath();
  for (let i = 0; i < corners.length; i += 2) context.lineTo(across(corners[i]), down(corners[i + 1]));
  context.closePath();
  context.stroke();
}

/** Points as dots, and the lines between them where it is known which belong together. */
function drawPose(
  context: CanvasRenderingContext2D,
  points: readonly Point[],
  radius: number,
  across: Along,
  down: Along,
): void {
  const isSeen = ({ score = 1 }: Point): boolean => score >= leastShown;
  for (const [from, to] of limbsOf(points.length)) {
    const [a, b] = [points[from], points[to]];
    if (!isSeen(a) || !isSeen(b)) continue;
    context.beginPath();
    context.moveTo(across(a.x), down(a.y));
    context.lineTo(across(b.x), down(b.y));
    context.stroke();
  }
  for (const { x, y } of points.filter(isSeen)) {
    context.beginPath();
    context.arc(across(x), down(y), radius, 0, 2 * Math.PI);
    context.fill();
  }
}

/** A picture of all masks, the best on top; nothing where there are none. */
function masksOf({ boxes, width, height }: Shown): HTMLCanvasElement | undefined {
  const segments = boxes.flatMap((found) => (found.task === "segment" ? [found] : []));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = segments.length ? canvas.getContext("2d") : null;
  if (!context) return undefined;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (const { mask, color } of segments.reverse()) {
    const [red, green, blue] = (color.match(/\d+/g) ?? []).map(Number);
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

/** Pixels of the canvas. */
interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

const touch = (a: Place, b: Place): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** On top of the box, or inside where there is no room above. */
function drawLabel(
  context: CanvasRenderingContext2D,
  { label, score, color }: ShownBox,
  box: Place,
  ratio: number,
  plates: Place[],
): void {
  const text = `${label} ${Math.round(score * 100)}`;
  const [height, pad] = [18 * ratio, 5 * ratio];
  const width = context.measureText(text).width + 2 * pad;
  const edge = context.lineWidth / 2;
  const x = Math.max(Math.min(box.x - edge, context.canvas.width - width), 0);
  const y = box.y - edge >= height ? box.y - edge - height : Math.max(box.y - edge, 0);
  const plate = { x, y, width, height };
  if (plates.some((other) => touch(plate, other))) return;
  plates.push(plate);
  context.fillStyle = color;
  context.fillRect(x, y, width, height);
  context.fillStyle = isLight(color) ? "#000" : "#fff";
  context.fillText(text, x + pad, y + height / 2 + ratio * 0.5);
}

/** Whether black is easier to read on it than white (WCAG relative luminance). */
function isLight(color: string): boolean {
  const [r, g, b] = (color.match(/\d+/g) ?? ["0", "0", "0"]).map((level) => (Number(level) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}
