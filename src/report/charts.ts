/** The charts of the report. */
import type { ObjectSize, ReportData, ReportLayer } from "./data.ts";
import { html, type Markup } from "./html.ts";
import { abbreviate, linear, round, short, svg, ticks, xAxis, yAxis } from "./svg.ts";

export const sizes: readonly ObjectSize[] = ["small", "medium", "large"];

/** The mark of a size class: a circle, a diamond or a square around a point, so that colour is not needed to tell them. */
export function mark(size: ObjectSize, x: number, y: number, r: number): Markup {
  const d = {
    small: `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
    medium: `M${x} ${round(y - r * 1.3)}L${round(x + r * 1.3)} ${y}L${x} ${round(y + r * 1.3)}L${round(x - r * 1.3)} ${y}z`,
    large: `M${round(x - r * 0.9)} ${round(y - r * 0.9)}h${round(r * 1.8)}v${round(r * 1.8)}h${round(-r * 1.8)}z`,
  }[size];
  return html`<path class="${size}" d="${d}"/>`;
}

/** Most points drawn: more only cover each other. */
const mostPoints = 1500;

/** Score of each object in the float model (to the right) and in the int8 model (upwards). */
export function scoreScatter(pairs: ReportData["pairs"], from: string, to: string): Markup {
  const [width, height, left, top] = [440, 430, 46, 30];
  const x = linear([0.2, 1], [left, width - 12]);
  const y = linear([0, 1], [height - 48, top]);
  const every = Math.max(1, Math.ceil(pairs.length / mostPoints));
  const points = pairs.filter((_, i) => i % every === 0);
  const drawn = sizes.map((size) =>
    points
      .filter((pair) => pair.size === size)
      .map((pair) => mark(size, x(pair.reference), y(clamp(pair.candidate)), 3.5)),
  );
  const band = [0.9, 1.1].map(
    (factor) => `${x(0.2)} ${y(0.2 * factor)}L${x(Math.min(1, 1 / factor))} ${y(Math.min(1, factor))}`,
  );
  const [low, high] = band;
  return svg(width, height, `Scores of ${pairs.length} objects in the ${from} and the ${to} model`, [
    html`<path class="band" d="M${high}L${x(1)} ${y(1)}L${low.split("L").reverse().join("L")}z"/>`,
    yAxis(y, left, width - 12, ticks(y, 5), `score, ${to}`),
    xAxis(x, height - 48, [0.2, 0.4, 0.6, 0.8, 1], `score, ${from}`),
    html`<path class="diagonal" d="M${x(0.2)} ${y(0.2)}L${x(1)} ${y(1)}"/>`,
    html`<g class="points">${drawn}</g>`,
  ]);
}

const clamp = (value: number): number => Math.min(Math.max(value, 0), 1);

/** Which layers are worst: those with a measured ratio, lowest first. */
export function worstLayers(layers: readonly ReportLayer[], count: number): ReportLayer[] {
  return layers
    .filter((layer) => layer.sqnr !== undefined && !layer.keptFloat)
    .sort((a, b) => ratioOf(a) - ratioOf(b))
    .slice(0, count);
}

/** A layer that gives NaN is the worst of all. */
const ratioOf = ({ sqnr = 0 }: ReportLayer): number => (Number.isNaN(sqnr) ? -1000 : sqnr);

export const decibels = (value: number): string =>
  value === Number.POSITIVE_INFINITY
    ? "equal"
    : Number.isNaN(value)
      ? "not a number"
      : `${value.toFixed(1)} dB`;

/** Below this, the difference is more than about a third of the signal. */
export const badDecibel = 10;
/** Where the bars end: Infinity and anything better than this is as good as equal. */
const bestDecibel = 60;
const barOf = (layer: ReportLayer): number => Math.min(Math.max(ratioOf(layer), 0), bestDecibel);
const barClass = (layer: ReportLayer): string =>
  layer.keptFloat ? "float" : ratioOf(layer) < badDecibel ? "bad" : "bar";

const layerTitle = (layer: ReportLayer): Markup =>
  html`<title>${layer.name} (${layer.type}): ${layer.sqnr === undefined ? "not measured" : decibels(layer.sqnr)}${layer.keptFloat && `, stays float: ${layer.keptFloat}`}</title>`;

/** One column a layer in the order of the graph; the worst are numbered. For wide pages. */
export function layerColumns(layers: readonly ReportLayer[], worst: readonly ReportLayer[]): Markup {
  const [width, height, left, top] = [1000, 270, 40, 34];
  const measured = layers.filter((layer) => layer.sqnr !== undefined);
  const most = Math.max(20, ...measured.map(barOf));
  const y = linear([0, most], [height - 30, top]);
  const step = (width - left) / Math.max(measured.length, 1);
  const gap = step > 5 ? 2 : step > 2 ? 0.5 : 0;
  const columns = measured.map((layer, i) => {
    const number = worst.indexOf(layer) + 1;
    const x = round(left + i * step);
    const label = html`<text class="number" x="${round(x + step / 2)}" y="${y(barOf(layer)) - 5}" text-anchor="middle">${number}</text>`;
    return html`<g>${layerTitle(layer)}<rect class="${barClass(layer)}" x="${x}" y="${y(barOf(layer))}" width="${round(Math.min(step - gap, 40))}" height="${round(y(0) - y(barOf(layer)))}"/>${number > 0 && label}</g>`;
  });
  return svg(
    width,
    height,
    `Signal to difference of ${measured.length} layers`,
    [
      yAxis(y, left, width, ticks(y, 5), "dB at the layer's output"),
      ...columns,
      html`<text class="title" x="${left}" y="${height - 10}">input of the network</text>`,
      html`<text class="title" x="${width}" y="${height - 10}" text-anchor="end">outputs</text>`,
    ],
    "wide",
  );
}

/** One row for each of the worst layers. For phones. */
export function layerRows(worst: readonly ReportLayer[]): Markup {
  const [width, rowHeight, left, top] = [360, 24, 150, 26];
  const height = top + worst.length * rowHeight + 6;
  const most = Math.max(20, ...worst.map(barOf));
  const x = linear([0, most], [left, width - 52]);
  const rows = worst.map((layer, i) => {
    const y = top + i * rowHeight;
    return html`<g>${layerTitle(layer)}<text x="${left - 8}" y="${y + 15}" text-anchor="end">${abbreviate(layer.name, 20)}</text><rect class="${barClass(layer)}" x="${left}" y="${y + 3}" width="${round(Math.max(x(barOf(layer)) - left, 1))}" height="${rowHeight - 7}"/><text x="${x(barOf(layer)) + 5}" y="${y + 15}">${decibels(layer.sqnr ?? 0).replace(" dB", "")}</text></g>`;
  });
  return svg(
    width,
    height,
    `Signal to difference of the ${worst.length} worst layers`,
    [html`<text class="title" x="${left}" y="14">dB, the worst layers first</text>`, ...rows],
    "narrow",
  );
}

/** Magnitudes of a layer's input (logarithmic counts) with the value that becomes 127. */
export function activationHistogram(layer: ReportLayer): Markup {
  const [width, height, left, top] = [320, 170, 40, 26];
  const bins = mergeBins(layer.histogram, 64);
  const most = Math.max(1, ...bins);
  const reach = Math.max(layer.absmax, layer.threshold) * 1.02 || 1;
  const x = linear([0, reach], [left, width - 10]);
  const y = linear([0, Math.log10(most + 1)], [height - 28, top]);
  const step = layer.absmax / Math.max(bins.length, 1);
  const bars = bins.map((count, i) => {
    if (count === 0) return undefined;
    const x0 = x(i * step);
    const kind = i * step >= layer.threshold ? "clipped" : "bar";
    return html`<rect class="${kind}" x="${x0}" y="${y(Math.log10(count + 1))}" width="${round(Math.max(x((i + 1) * step) - x0 - 0.6, 0.4))}" height="${round(y(0) - y(Math.log10(count + 1)))}"/>`;
  });
  const powers = [0, 2, 4, 6, 8, 10].filter((power) => power <= Math.log10(most + 1));
  const at = x(Math.min(layer.threshold, reach));
  const onRight = at > width * 0.55;
  return svg(width, height, `Histogram of the input of ${layer.name}`, [
    html`<g class="axis">${powers.map(
      (power) =>
        html`<path class="grid" d="M${left} ${y(power)}H${width - 10}"/><text x="${left - 6}" y="${y(power) + 4}" text-anchor="end">${power === 0 ? "1" : html`10<tspan dy="-4" font-size="9">${power}</tspan>`}</text>`,
    )}</g>`,
    html`${bars}`,
    xAxis(x, height - 28, ticks(x, 4)),
    html`<path class="threshold" d="M${at} ${top - 6}V${height - 28}"/><text class="number" x="${onRight ? at - 5 : at + 5}" y="${top - 1}" text-anchor="${onRight ? "end" : "start"}">127 at ${short(layer.threshold)}</text>`,
  ]);
}

function mergeBins(counts: readonly number[], most: number): number[] {
  const each = Math.max(1, Math.ceil(counts.length / most));
  const out: number[] = [];
  counts.forEach((count, i) => {
    const at = Math.floor(i / each);
    out[at] = (out[at] ?? 0) + count;
  });
  return out;
}
