/** Boxes and labels over the picture, sharp at any size of the stage. */
import type { ShownBox } from "./protocol.ts";

export interface Shown {
  boxes: readonly ShownBox[];
  /** Pixels that the boxes are in. */
  width: number;
  height: number;
  mirrored: boolean;
}

/** Points that are seen less surely are not drawn. */
const leastShown = 0.5;

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

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(shown: Shown | undefined): void {
    this.shown = shown;
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
    const placed = shown.boxes.map((found) => {
      const { box } = found;
      const x = left + (shown.mirrored ? shown.width - box.x - box.width : box.x) * scale;
      const place = { x, y: top + box.y * scale, width: box.width * scale, height: box.height * scale };
      context.strokeStyle = found.color;
      context.strokeRect(place.x, place.y, place.width, place.height);
      context.fillStyle = found.color;
      const radius = Math.min(2.5 * ratio, Math.max(place.width / 16, 1));
      for (const { x: across, y: down, score = 1 } of found.points ?? []) {
        if (score < leastShown) continue;
        const from = shown.mirrored ? shown.width - across : across;
        context.beginPath();
        context.arc(left + from * scale, top + down * scale, radius, 0, 2 * Math.PI);
        context.fill();
      }
      return { found, place };
    });
    // Best first; a label that would cover a better one is left out.
    const plates: Place[] = [];
    for (const { found, place } of placed) drawLabel(context, found, place, ratio, plates);
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
