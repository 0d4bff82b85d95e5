/** Boxes and labels over the picture, sharp at any size of the stage. */
import type { ShownBox } from "./protocol.ts";

export interface Shown {
  boxes: readonly ShownBox[];
  /** Pixels that the boxes are in. */
  width: number;
  height: number;
  mirrored: boolean;
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
    for (const found of shown.boxes.toReversed()) {
      const { box } = found;
      const x = left + (shown.mirrored ? shown.width - box.x - box.width : box.x) * scale;
      drawBox(context, found, x, top + box.y * scale, box.width * scale, box.height * scale, ratio);
    }
  }
}

function drawBox(
  context: CanvasRenderingContext2D,
  { label, score, color }: ShownBox,
  x: number,
  y: number,
  width: number,
  height: number,
  ratio: number,
): void {
  context.strokeStyle = color;
  context.strokeRect(x, y, width, height);
  const text = `${label} ${Math.round(score * 100)}`;
  const [tall, pad] = [18 * ratio, 5 * ratio];
  const wide = context.measureText(text).width + 2 * pad;
  const edge = context.lineWidth / 2;
  const left = Math.max(Math.min(x - edge, context.canvas.width - wide), 0);
  const top = y - edge >= tall ? y - edge - tall : Math.max(y - edge, 0);
  context.fillStyle = color;
  context.fillRect(left, top, wide, tall);
  context.fillStyle = isLight(color) ? "#000" : "#fff";
  context.fillText(text, left + pad, top + tall / 2 + ratio * 0.5);
}

/** Whether black is easier to read on it than white (WCAG relative luminance). */
function isLight(color: string): boolean {
  const [r, g, b] = (color.match(/\d+/g) ?? ["0", "0", "0"]).map((level) => (Number(level) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}
