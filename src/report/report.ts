/** `ReportData` to one self-contained HTML page: no scripts, no other files, nothing fetched. */
import { expectKind } from "../base/arguments.ts";
import { counted } from "../base/text.ts";
import {
  activationHistogram,
  badDecibel,
  decibels,
  layerColumns,
  layerRows,
  mark,
  scoreScatter,
  sizes,
  worstLayers,
} from "./charts.ts";
import type {
  ReportData,
  ReportFigures,
  ReportGuard,
  ReportLayer,
  ReportLikeness,
  ReportTask,
  ReportVariant,
} from "./data.ts";
import { dataUri, html, type Insert, Markup } from "./html.ts";
import { style } from "./style.ts";
import { short } from "./svg.ts";

const sizeTexts = { small: "small, below 32² px", medium: "medium", large: "large, from 96² px" };
/** Layers whose activations are shown. */
const shownHistograms = 6;
const shownWorst = 12;

/** The whole page. Every text of `data` is escaped. */
export function renderReport(data: ReportData): string {
  expectKind("renderReport: data", data, "the data of a report");
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${data.name}: fp32 to int8</title><style>${new Markup(style)}</style></head>
<body><main>
${heading(data)}
${accuracy(data)}
${scores(data)}
${speed(data)}
${guard(data.guard)}
${layers(data)}
${examples(data)}
${origin(data)}
</main></body></html>
`;
  return page.text;
}

const first = (data: ReportData): ReportVariant => data.variants[0];
const last = (data: ReportData): ReportVariant => data.variants[data.variants.length - 1];

/** Hundredths with one decimal; a dash where there was nothing to measure. */
const points = (value: number | undefined): string =>
  value === undefined || value < 0 ? "–" : (100 * value).toFixed(1);
const minus = (text: string): string => text.replace("-", "−");
const signed = (value: number, digits: number): string =>
  minus(
    `${value > 0 && Number(value.toFixed(digits)) > 0 ? "+" : ""}${value.toFixed(digits)}`.replace(
      /^-(0(\.0+)?)$/,
      "$1",
    ),
  );
const changeText = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : `${signed(100 * value, 1)} %`;
const times = (ratio: number, digits: number): string =>
  Number.isFinite(ratio) ? ratio.toFixed(digits) : "–";
/** What the results of a task are called, and its headline figure. */
const words: { readonly [T in ReportTask]: { one: string; many: string; figure: string } } = {
  detect: { one: "box", many: "boxes", figure: "AP50-95" },
  segment: { one: "object", many: "masks", figure: "mask AP50-95" },
  pose: { one: "object", many: "key points", figure: "key point AP" },
  obb: { one: "box", many: "turned boxes", figure: "AP50-95" },
  classify: { one: "class", many: "classes", figure: "top-1" },
};
/** Where the first model finds nothing, fidelity is below 0. */
const isCompared = ({ fidelity }: ReportVariant): boolean => fidelity !== undefined && fidelity >= 0;
const headline = ({ coco, top }: ReportVariant): number | undefined => coco?.AP ?? top?.top1;
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 2 : 1)} MiB`;

function heading(data: ReportData): Markup {
  const { name, date, tool, size, images } = data;
  const [from, to] = [first(data), last(data)];
  const { many, figure } = words[data.task];
  const [before, after] = [headline(from), headline(to)];
  const loss = before !== undefined && after !== undefined ? after - before : undefined;
  const faster = from.milliseconds / to.milliseconds;
  const smaller = from.bytes / to.bytes;
  const notes = [...data.assumptions.map((text) => `Assumed: ${text}.`), ...data.notes];
  const kept = data.layers.filter((layer) => layer.keptFloat).length;
  const cost =
    loss === undefined
      ? isCompared(to)
        ? `reproduces ${points(to.fidelity)} % of what the ${from.name} model finds`
        : `was compared with the ${from.name} model on nothing that it finds`
      : loss >= -0.0005
        ? `loses no ${data.task === "classify" ? figure : "AP"} on the pictures measured`
        : `costs ${(-100 * loss).toFixed(1)} ${data.task === "classify" ? `points of ${figure}` : "AP"}`;
  return html`<h1>${name}: ${from.name} to ${to.name}</h1>
<p class="lead">The ${to.name} model ${cost}, runs ${times(faster, 1)} times as fast and is ${times(smaller, 1)} times smaller: ${counted(images, "picture")} at ${size.width}×${size.height}.</p>
<p class="meta">${date} · ${tool}</p>
<ul class="tiles">
${
  loss === undefined
    ? tile(
        `${data.layers.length - kept}`,
        `of ${data.layers.length} layers in int8`,
        kept ? `${kept} stay float` : "none stays float",
      )
    : tile(signed(100 * loss, 1), figure, `${points(after)} after ${points(before)}`)
}
${tile(points(to.fidelity), "fidelity", `100 would be the same ${many}`)}
${tile(`${times(faster, 2)}×`, "speed", `${to.milliseconds.toFixed(1)} ms after ${from.milliseconds.toFixed(1)} ms`)}
${tile(`${times(smaller, 1)}×`, "smaller", `${mebibytes(to.bytes)} after ${mebibytes(from.bytes)}`)}
</ul>${notes.length > 0 && html`<ul class="notes soft">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}`;
}

function tile(value: string, what: string, more: string): Markup {
  return html`<li class="tile"><b>${value}</b><span class="what">${what}</span><span>${more}</span></li>`;
}

/** A table with its column heads; the first cell of a row is a heading too. */
function dataTable(heads: readonly Insert[], rows: readonly (readonly Insert[])[], caption?: string): Markup {
  const top = heads.map((head) => (head === "" ? html`<td></td>` : html`<th scope="col">${head}</th>`));
  const named = heads.filter((head) => typeof head === "string" && head !== "");
  return scrolling(
    caption ?? named.join(", "),
    html`<table>${caption !== undefined && html`<caption>${caption}</caption>`}<thead><tr>${top}</tr></thead><tbody>${rows.map(
      ([head, ...cells]) =>
        html`<tr><th scope="row" class="name">${head}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody></table>`,
  );
}

/** What may be wider than a phone, to be scrolled with a finger or keys. */
const scrolling = (name: string, table: Markup): Markup =>
  html`<div class="scroll" role="group" aria-label="${name}" tabindex="0">${table}</div>`;

/** Figures against the labels: their heads, and what is shown of a variant. Empty without labels. */
function accuracyColumns({ variants: [{ coco, boxes, dota, top }] }: ReportData): {
  head: string;
  of: (variant: ReportVariant) => number | undefined;
}[] {
  if (top) {
    return [
      { head: "top-1", of: (variant) => variant.top?.top1 },
      { head: "top-5", of: (variant) => variant.top?.top5 },
    ];
  }
  const heads = {
    ...{ AP: "AP50-95", AP50: "AP50", AP75: "AP75" },
    ...{ APs: "small", APm: "medium", APl: "large", AR: "recall" },
  };
  const columns = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR"] as const;
  return [
    ...(dota === undefined ? [] : [{ head: "DOTA", of: (variant: ReportVariant) => variant.dota }]),
    ...(coco ? columns : []).map((column) => ({
      head: heads[column],
      of: (variant: ReportVariant) => variant.coco?.[column],
    })),
    ...(boxes === undefined ? [] : [{ head: "boxes", of: (variant: ReportVariant) => variant.boxes }]),
  ];
}

/** What the figures of a task are. */
const accuracyTexts: { readonly [T in ReportTask]: string } = {
  detect: "Average precision against the labels, times 100, as COCO computes it",
  segment:
    "Average precision of masks, and of boxes in the last column, against the labels, times 100, as COCO computes it",
  pose: "Average precision of key points (OKS), and of boxes in the last column, against the labels, times 100, as COCO computes it",
  obb: "Average precision of turned boxes against the labels, times 100: DOTA's task 1 first, then as COCO computes it, with polygons",
  classify: "How often the labelled class is the first or among the first five, times 100",
};

function accuracy(data: ReportData): Markup {
  const { task, variants, measuredOn } = data;
  const columns = accuracyColumns(data);
  const rows = variants.map((variant) => [
    variant.name,
    variant.fidelity === undefined ? "" : points(variant.fidelity),
    ...columns.map(({ of }) =>
      withDifference(of(variant), variant === variants[0] ? undefined : of(variants[0]), isSame(variant)),
    ),
  ]);
  const known = columns.length
    ? `${accuracyTexts[task]}; the difference to the first row is behind it.`
    : `There were no labels, so ${task === "classify" ? "accuracy" : "average precision"} is not known.`;
  const fidelity =
    task === "classify"
      ? `Fidelity is how often a model says the same class as the ${variants[0].name} model: a finer measure of what quantization changed.`
      : `Fidelity is the average precision when the ${words[task].many} of the ${variants[0].name} model (score at least 0.25) are taken for the truth: a finer measure of what quantization changed.`;
  return html`<h2>Accuracy</h2>
<p>${measuredOn} ${known} ${fidelity}${chance(data)}${sameBoxes(data)}</p>
${dataTable(["", "fidelity", ...columns.map(({ head }) => head)], rows)}`;
}

/** How much of the difference may be chance. */
function chance(data: ReportData): string {
  const range = last(data).apChange;
  if (!range) return "";
  const [low, high] = [range.low, range.high].map((end) => signed(100 * end, 1));
  return ` Other pictures give another difference: that of ${last(data).name} lies between ${low} and ${high} for 95 of 100 draws of ${counted(data.images, "picture")} from these.`;
}

/** It finds what the first model finds, to the shown digit or nearly so. */
const isSame = ({ fidelity = 0 }: ReportVariant): boolean => fidelity >= 0.995;

/** Why a column may differ although the boxes are the same. */
function sameBoxes(data: ReportData): string {
  const [base] = data.variants;
  const columns = accuracyColumns(data);
  const differs = (variant: ReportVariant): boolean =>
    columns.some(({ of }) => Math.abs((of(variant) ?? 0) - (of(base) ?? 0)) >= 0.005);
  const odd = data.variants.filter((variant) => isSame(variant) && differs(variant));
  if (!odd.length || data.task === "classify") return "";
  return ` ${odd.map(({ name }) => name).join(" and ")} has the ${words[data.task].many} of the ${base.name} model and yet other figures: these also count what has a score below 0.25, and on ${counted(data.images, "picture")} a class may have a single object, whose average precision moves by many points when two scores that are nearly the same change places, or when an overlap that is just at a threshold passes it.`;
}

function withDifference(value: number | undefined, base: number | undefined, same: boolean): Insert {
  if (value === undefined || value < 0 || base === undefined || base < 0) return points(value);
  const difference = 100 * (value - base);
  const kind = difference <= -0.5 && !same ? "worse" : "soft";
  return html`${points(value)} <small class="${kind}">${signed(difference, 1)}</small>`;
}

function scores(data: ReportData): Markup {
  const [from, to] = [first(data), last(data)];
  const change = to.scoreChange;
  if (!change) return html``;
  const isSorting = data.task === "classify";
  const rows = (isSorting ? [] : sizes).map((size) => [
    html`<svg class="legend" viewBox="0 0 16 14" aria-hidden="true">${mark(size, 8, 7, 5)}</svg>${sizeTexts[size]}`,
    changeText(change[size].change),
    String(change[size].matched),
    String(change[size].missing),
  ]);
  rows.push(["all", changeText(change.all.change), String(change.all.matched), String(change.all.missing)]);
  const marks = isSorting
    ? "Each mark is a picture that both models put into the same class"
    : "Each mark is an object that both models find";
  return html`<h2>Scores${isSorting ? "" : " by object size"}</h2>
<p>${marks}. On the dashed line both give it the same score; within the grey band the score
changes by less than a tenth. Bad scales show as a cloud below the line${isSorting ? "" : ", most often of one size only"}.</p>
<div class="two">${scoreScatter(data.pairs, from.name, to.name)}
${dataTable([isSorting ? "pictures" : "objects", "score change", "found", "lost"], rows, `mean relative change from ${from.name} to ${to.name}`)}</div>`;
}

function speed(data: ReportData): Markup {
  const { variants, machine } = data;
  const meter = (values: readonly number[], text: (value: number) => string): Markup => {
    const most = Math.max(...values) || 1;
    return html`<div class="meter">${variants.map(
      ({ name }, i) =>
        html`<span>${name}</span><div><i${i === 0 && html` class="first"`} style="width:${((values[i] / most) * 62).toFixed(1)}%"></i>${text(values[i])}</div>`,
    )}</div>`;
  };
  return html`<h2>Speed and size</h2>
<p>Median time of one inference at ${data.size.width}×${data.size.height} (${machine}), and the bytes of the model's two files.</p>
<div class="cards halves"><div class="card"><h3>Inference</h3>${meter(
    variants.map((each) => each.milliseconds),
    (value) => `${value.toFixed(1)} ms`,
  )}</div><div class="card"><h3>Files</h3>${meter(
    variants.map((each) => each.bytes),
    mebibytes,
  )}</div></div>`;
}

function guard({ images, objects, floor, before, after, floatWork }: ReportGuard): Markup {
  const all = ({ parts, outputs }: ReportFigures): readonly ReportLikeness[] => [...parts, ...outputs];
  const ratio = ({ sqnr, cosine }: ReportLikeness): string => `${decibels(sqnr)}, ${cosine.toFixed(3)}`;
  const outputs = all(after).map((each, i) => [
    each.name,
    ratio(all(before)[i] ?? each),
    ratio(each),
    `${decibels(floor.sqnr)}, ${floor.cosine}`,
  ]);
  const detections = [
    ["fidelity", points(before.fidelity), points(after.fidelity), points(floor.fidelity)],
    ["objects found again", `${points(before.found)} %`, `${points(after.found)} %`, ""],
  ];
  return html`<h2>Int8 beside float</h2>
<p>Outputs on ${counted(images, "picture")} of calibration${objects !== undefined && ` in which the float model sees ${counted(objects, "object")}`}: signal to difference in dB, and the cosine between the two,
both without the means of the channels. Layers with ${points(floatWork)} % of the work stay float; below the last column int8 is refused.</p>
${dataTable(["output", "without them", "as written", "least"], [...(after.fidelity === undefined ? [] : detections), ...outputs])}`;
}

function layers(data: ReportData): Markup {
  const all = data.layers;
  if (!all.length) return html``;
  const kept = all.filter((layer) => layer.keptFloat);
  const worst = worstLayers(all, shownWorst);
  return html`<h2>Layer by layer</h2>
<p>How much of a layer's output is signal, when it and everything before it is int8: 20 dB means that the difference is a tenth of the
signal. A drop from one layer to the next shows where accuracy is lost; a low value in the middle often heals further on.</p>
<div class="keys"><span><i class="key"></i>int8</span><span><i class="key bad"></i>int8, below ${badDecibel} dB</span>${kept.length > 0 && html`<span><i class="key float"></i>stays float</span>`}</div>
${layerColumns(all, worst.slice(0, 5))}${layerRows(worst)}
<h3 style="margin-top:32px">The layers with the lowest values, and what they read</h3>
<p class="soft">Magnitudes of the input over all calibration pictures; counts are logarithmic, zeros left out. The line is the magnitude that
becomes 127; what lies to the right of it is clipped.</p>
<div class="keys"><span><i class="key"></i>representable</span><span><i class="key clipped"></i>clipped</span></div>
<div class="cards">${worst.slice(0, shownHistograms).map(histogramCard)}</div>
${keptFloat(kept, all.length)}
<details><summary>All ${all.length} layers</summary>${dataTable(
    ["layer", "type", "output", "cosine", "input range", "127 stands for", "clipped"],
    all.map((layer) => [
      layer.name,
      layer.type,
      layer.sqnr === undefined ? "–" : decibels(layer.sqnr),
      layer.cosine === undefined ? "–" : layer.cosine.toFixed(5),
      short(layer.absmax),
      layer.keptFloat ? "float" : short(layer.threshold),
      layer.keptFloat ? "–" : clippedText(layer.clipped),
    ]),
  )}</details>`;
}

const clippedText = (share: number): string =>
  share === 0 ? "0" : share < 1e-5 ? "below 0.001 %" : `${(100 * share).toFixed(3)} %`;

function histogramCard(layer: ReportLayer, i: number): Markup {
  return html`<div class="card"><h3>${i + 1}. ${layer.name}</h3><small class="soft">${layer.type}, ${decibels(layer.sqnr ?? 0)}, ${clippedText(layer.clipped)} of the values clipped</small>${activationHistogram(layer)}</div>`;
}

function keptFloat(kept: readonly ReportLayer[], total: number): Markup {
  const title = html`<h3 style="margin-top:32px">Layers that stay float</h3>`;
  if (!kept.length) return html`${title}<p>None: all ${total} layers that can be int8 are.</p>`;
  return html`${title}<p>${kept.length} of ${total} layers that could be int8.</p>${scrolling(
    "Layers that stay float",
    html`<table><thead><tr><th scope="col">layer</th><th scope="col" class="text">why</th></tr></thead><tbody>${kept.map(
      (layer) =>
        html`<tr><th scope="row" class="name">${layer.name}</th><td class="text">${layer.keptFloat}</td></tr>`,
    )}</tbody></table>`,
  )}`;
}

function examples({ task, examples: list }: ReportData): Markup {
  if (!list.length) return html``;
  const { one, many } = words[task];
  const count = (of: number): string =>
    task === "classify"
      ? ""
      : `, ${of} ${of === 1 ? one : task === "detect" || task === "obb" ? "boxes" : "objects"}`;
  const shown = task === "classify" ? "The likeliest classes." : "Those with score 0.25 or more.";
  return html`<h2>Pictures</h2>
<p>${shown} Where the models differ most comes first.</p>
${list.map(
  (
    each,
  ) => html`<figure class="pair"><div><span>fp32${count(each.floatCount)}</span><img alt="${each.name} with the ${many} of the float model" src="${dataUri(each.float)}"></div>
<div><span>int8${count(each.int8Count)}</span><img alt="${each.name} with the ${many} of the int8 model" src="${dataUri(each.int8)}"></div><figcaption>${each.name}</figcaption></figure>`,
)}`;
}

function origin(data: ReportData): Markup {
  return html`<h2>Where it comes from</h2>
<dl>${data.provenance.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
