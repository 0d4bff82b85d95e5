/** What was found over the picture, sharp at any size of the stage. */
import { type DrawnShape, isObject } from "../src/index.ts";
import { type Drawing, draw, masksOf, type Spot } from "./drawing.ts";
import type { Labels, ShownBox } from "./protocol.ts";

export interface Shown {
  boxes: readonly ShownBox[];
  /** Pixels that the boxes are in. */
  width: number;
  height: number;
  mirrored: boolean;
}

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
  private drawing: Drawing | undefined;
  private labels: Labels = "free";
  /** Lines and regions of a picture of any size. */
  private shapes: ((size: { width: number; height: number }) => readonly DrawnShape[]) | undefined;
  /** Of another model, over the right part of the picture, from 0 to 1 of its width on. */
  private other: { drawing: Drawing; from: number } | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  show(shown: Shown | undefined): void {
    this.drawing = shown && this.drawingOf(shown);
    this.other = undefined;
    this.redraw();
  }

  /** What another model found in the same picture, right of `from`, 0..1 of its width. */
  showBeside(shown: Shown, from: number): void {
    this.other = { drawing: this.drawingOf(shown), from };
    this.redraw();
  }

  /** What is drawn now; for a frame that is recorded. */
  get shown(): Drawing | undefined {
    return this.drawing;
  }

  setLabels(labels: Labels): void {
    this.labels = labels;
    if (this.drawing) this.drawing.labels = labels;
    if (this.other) this.other.drawing.labels = labels;
    this.redraw();
  }

  setShapes(shapes: typeof this.shapes): void {
    this.shapes = shapes;
    if (this.drawing) this.drawing.shapes = shapes?.(this.drawing);
    this.redraw();
  }

  /** Lets a box stand out, or none. */
  mark(box: ShownBox | undefined): void {
    if (!this.drawing || this.drawing.marked === box) return;
    this.drawing.marked = box;
    this.redraw();
  }

  /** Where on the picture a point of the screen is, in its pixels; nothing beside it. */
  placeAt(x: number, y: number): [x: number, y: number] | undefined {
    const { drawing, canvas } = this;
    if (!drawing) return undefined;
    const { left, top } = canvas.getBoundingClientRect();
    const spot = spotOf(drawing, { width: canvas.clientWidth, height: canvas.clientHeight });
    const across = (x - left - spot.left) / spot.scale;
    const place: [number, number] = [
      drawing.mirrored ? drawing.width - across : across,
      (y - top - spot.top) / spot.scale,
    ];
    const isIn = place[0] >= 0 && place[1] >= 0 && place[0] <= drawing.width && place[1] <= drawing.height;
    return isIn ? place : undefined;
  }

  /** The smallest box there. */
  boxAt(clientX: number, clientY: number): ShownBox | undefined {
    const place = this.placeAt(clientX, clientY);
    if (!place) return undefined;
    const [x, y] = place;
    const hit = (this.drawing?.boxes ?? []).filter(isObject).filter(({ box }) => {
      return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
    });
    return hit.sort((a, b) => a.box.width * a.box.height - b.box.width * b.box.height)[0];
  }

  private drawingOf(shown: Shown): Drawing {
    const { boxes, width, height, mirrored } = shown;
    return {
      ...{ boxes, width, height, mirrored, labels: this.labels },
      shapes: this.shapes?.(shown),
      masks: masksOf(boxes, shown),
    };
  }

  private redraw(): void {
    const { canvas, drawing, other } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context || !width || !height) return;
    context.clearRect(0, 0, width, height);
    if (!drawing) return;
    const spot = { ...spotOf(drawing, { width, height }), unit: ratio };
    if (!other) {
      draw(context, drawing, spot);
      return;
    }
    // Lines at the border of the picture stand out of it.
    const within = spot.left + other.from * drawing.width * spot.scale;
    const edge = other.from >= 1 ? width : other.from <= 0 ? 0 : within;
    drawPart(context, drawing, spot, [0, edge]);
    drawPart(context, other.drawing, spot, [edge, width]);
    context.fillStyle = "#f2b138";
    if (edge > 0 && edge < width)
      context.fillRect(edge - ratio, spot.top, 2 * ratio, drawing.height * spot.scale);
  }
}

/** The picture is shown whole, in the middle. */
function spotOf(
  picture: { width: number; height: number },
  { width, height }: { width: number; height: number },
): Spot {
  const scale = Math.min(width / picture.width, height / picture.height);
  return {
    ...{ left: (width - picture.width * scale) / 2, top: (height - picture.height * scale) / 2 },
    ...{ scale, unit: 1 },
  };
}

function drawPart(
  context: CanvasRenderingContext2D,
  drawing: Drawing,
  spot: Spot,
  [left, right]: readonly [number, number],
): void {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, context.canvas.height);
  context.clip();
  draw(context, drawing, spot);
  context.restore();
}
