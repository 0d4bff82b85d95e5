/** The few things that hand-made charts need: scales, round ticks, number texts, axes. Colours are CSS variables. */
import { html, type Markup } from "./html.ts";

/** From values to pixels, linear. */
export interface Scale {
  (value: number): number;
  readonly domain: readonly [number, number];
  readonly range: readonly [number, number];
}

export function linear(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const factor = (range[1] - range[0]) / (domain[1] - domain[0] || 1);
  return Object.assign((value: number) => round(range[0] + (value - domain[0]) * factor), { domain, range });
}

/** Hundredths of a pixel are enough. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** About `count` round values (1, 2 or 5 times a power of ten) within the domain of the scale. */
export function ticks({ domain: [low, high] }: Scale, count: number): number[] {
  const rough = (high - low) / count;
  if (!(rough > 0 && Number.isFinite(rough))) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999) ?? rough;
  const out: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    out.push(Number((i * step).toPrecision(12)));
  }
  return out;
}

/** A number for an axis or a label: three digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = Number(value.toPrecision(3));
  if (digits !== 0 && (Math.abs(digits) >= 1e6 || Math.abs(digits) < 1e-3)) return digits.toExponential();
  return String(digits);
}

/** Horizontal axis at `y`: a line, ticks and their numbers, and a title below. */
export function xAxis(scale: Scale, y: number, values: readonly number[], title = ""): Markup {
  const [x0, x1] = scale.range;
  return html`<g class="axis"><path d="M${x0} ${y}H${x1}"/>${values.map(
    (value) =>
      html`<path d="M${scale(value)} ${y}v4"/><text x="${scale(value)}" y="${y + 17}" text-anchor="middle">${short(value)}</text>`,
  )}${title !== "" && html`<text class="title" x="${(x0 + x1) / 2}" y="${y + 36}" text-anchor="middle">${title}</text>`}</g>`;
}

/** Grid lines from `x0` to `x1` with their numbers on the left, and a title above the numbers. */
export function yAxis(scale: Scale, x0: number, x1: number, values: readonly number[], title = ""): Markup {
  const top = Math.min(...scale.range);
  return html`<g class="axis">${values.map(
    (value) =>
      html`<path class="grid" d="M${x0} ${scale(value)}H${x1}"/><text x="${x0 - 8}" y="${scale(value) + 4}" text-anchor="end">${short(value)}</text>`,
  )}${title !== "" && html`<text class="title" x="${x0}" y="${top - 12}" text-anchor="start">${title}</text>`}</g>`;
}

/** A chart that is as wide as its place, at most `width` pixels; `label` is what a screen reader says. */
export function svg(
  width: number,
  height: number,
  label: string,
  content: readonly Markup[],
  className = "",
): Markup {
  return html`<svg class="${className}" viewBox="0 0 ${width} ${height}" style="max-width:${width}px" role="img" aria-label="${label}">${[...content]}</svg>`;
}

/** At most `length` characters, the middle left out. */
export function abbreviate(text: string, length: number): string {
  const characters = Array.from(text);
  if (characters.length <= length) return text;
  const head = Math.ceil((length - 1) / 2);
  return `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (length - 1 - head)).join("")}`;
}
