/** Times of recent frames: one column a frame, pre-processing, inference and post-processing stacked. */
import type { Milliseconds } from "./protocol.ts";
import { t } from "./words.ts";

const kept = 120;

export class Chart {
  private readonly canvas: HTMLCanvasElement;
  private readonly frames: Milliseconds[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(ms: Milliseconds): void {
    this.frames.push(ms);
    if (this.frames.length > kept) this.frames.shift();
    this.draw();
  }

  clear(): void {
    this.frames.length = 0;
    this.draw();
  }

  private draw(): void {
    const { canvas, frames } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const totals = frames.map(({ pre, inference, post }) => pre + inference + post);
    // One frame that was held up does not press down all others.
    const sorted = [...totals].sort((a, b) => a - b);
    const usual = sorted[Math.floor(0.9 * (totals.length - 1))] ?? 1;
    const top = roundUp(Math.max(Math.min(Math.max(...totals), 2.5 * usual), 1));
    const scale = (height - 14 * ratio) / top;
    const step = width / kept;
    frames.forEach(({ pre, inference, post }, i) => {
      const x = width - (frames.length - i) * step;
      let y = height;
      for (const [value, name] of [
        [inference, "--chart-inference"],
        [pre, "--chart-pre"],
        [post, "--chart-post"],
      ] as const) {
        const tall = Math.min(value * scale, y);
        context.fillStyle = color(name);
        context.fillRect(x, y - tall, Math.max(step - ratio * 0.5, 1), tall);
        y -= tall;
      }
    });
    context.fillStyle = color("--soft");
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.fillText(frames.length ? `${top} ms` : "", 0, 10 * ratio);
    const median = sorted[totals.length >> 1];
    canvas.setAttribute(
      "aria-label",
      frames.length
        ? t("Times of the last {n} frames, median {median} milliseconds", {
            n: frames.length,
            median: median.toFixed(1),
          })
        : t("Times of recent frames: none yet"),
    );
  }
}

/** The next of 1, 2, 5, 10, 20, 50, … */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((digit) => digit * power >= value) ?? 10) * power;
}
