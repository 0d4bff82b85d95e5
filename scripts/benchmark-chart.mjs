/**
 * bench/results/zoo.json -> docs/benchmarks.svg and docs/benchmarks.md.
 *
 *   node scripts/benchmark-chart.mjs
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const { environment, rows } = JSON.parse(readFileSync(path.join(root, "bench/results/zoo.json"), "utf8"));

const geometricMean = (values) => Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

// ---- the chart: a bar for each network and engine, on a logarithmic scale

const colors = { ours: "#2f6fdb", native: "#9aa4b2" };
const left = 170;
const width = 720;
const rowHeight = 22;
const top = 46;
const times = rows.flatMap((row) => [row.median, row.native?.median].filter((ms) => ms > 0));
const least = 10 ** Math.floor(Math.log10(Math.min(...times)));
const most = 10 ** Math.ceil(Math.log10(Math.max(...times)));
const x = (ms) => left + (Math.log10(ms / least) / Math.log10(most / least)) * (width - left - 60);

function chart() {
  const height = top + rows.length * rowHeight + 12;
  const parts = [];
  for (let ms = least; ms <= most; ms *= 10) {
    const at = x(ms).toFixed(1);
    parts.push(`<path d="M${at} ${top - 6}V${height - 12}" stroke="#d8dde5"/>`);
    parts.push(`<text x="${at}" y="${top - 10}" text-anchor="middle" fill="#5b6675">${ms} ms</text>`);
  }
  rows.forEach((row, i) => {
    const y = top + i * rowHeight;
    const bar = (ms, offset, color) =>
      `<rect x="${left}" y="${y + offset}" width="${Math.max(1, x(ms) - left).toFixed(1)}" height="8" fill="${color}"/>`;
    parts.push(`<text x="${left - 8}" y="${y + 13}" text-anchor="end" fill="#222">${row.name}</text>`);
    parts.push(bar(row.median, 1, colors.ours));
    if (!row.native) return;
    parts.push(bar(row.native.median, 10, colors.native));
    const ratio = `${(row.median / row.native.median).toFixed(1)}×`;
    const end = x(Math.max(row.median, row.native.median)) + 6;
    parts.push(`<text x="${end.toFixed(1)}" y="${y + 13}" fill="#5b6675">${ratio}</text>`);
  });
  const legend = [
    ["ours", "ncnnkit"],
    ["native", "native ncnn"],
  ].map(
    ([key, label], i) =>
      `<rect x="${left + i * 110}" y="8" width="10" height="10" fill="${colors[key]}"/><text x="${left + 16 + i * 110}" y="17" fill="#222">${label}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11"><title>Milliseconds of an inference, ncnnkit and native ncnn</title><rect width="100%" height="100%" fill="#fff"/>${legend.join("")}${parts.join("")}</svg>\n`;
}

// ---- the page

/** Times of int8 rows against their float rows. */
function int8Speedups() {
  const byName = new Map(rows.map((row) => [row.name, row]));
  return rows.flatMap((row) => {
    const float = row.name.includes("_int8") && byName.get(row.name.replace("_int8", ""));
    return float ? [float.median / row.median] : [];
  });
}

function table() {
  const lines = rows.map(({ name, min, max, avg, median, native, macs }) => {
    const cells = [min, max, avg, median].map((ms) => ms.toFixed(2));
    const ratio = native ? (median / native.median).toFixed(2) : "";
    const rate = (macs / median / 1e6).toFixed(1);
    return `| ${name} | ${cells.join(" | ")} | ${rate} | ${native ? native.median.toFixed(2) : ""} | ${ratio} |`;
  });
  return [
    "| network | min | max | avg | median | GMAC/s | native median | ratio |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...lines,
  ].join("\n");
}

function page() {
  const ratios = rows.filter(({ native }) => native).map(({ median, native }) => median / native.median);
  const speedups = int8Speedups();
  const facts = Object.entries(environment).map(([name, value]) => `${name}: ${value}`);
  const summary = [
    ratios.length > 0 &&
      `Over ${ratios.length} networks ncnnkit takes ${geometricMean(ratios).toFixed(2)} times as long as native ncnn (geometric mean).`,
    speedups.length > 0 &&
      `int8 is ${geometricMean(speedups).toFixed(2)} times as fast as float32 over ${speedups.length} pairs (least ${Math.min(...speedups).toFixed(2)}).`,
  ].filter(Boolean);
  return `# Benchmarks

Milliseconds of one inference. Weights and inputs are seeded noise: times do not depend on them, accuracy is not measured here.
Made by \`node bench/zoo.mjs\` and \`node scripts/benchmark-chart.mjs\`; \`ncnnkit benchncnn\` prints the same table on your machine.

${facts.join(" · ")}

${summary.join(" ")}

![Times of all networks, ncnnkit and native ncnn](benchmarks.svg)

${table()}
`;
}

writeFileSync(path.join(root, "docs/benchmarks.svg"), chart());
writeFileSync(path.join(root, "docs/benchmarks.md"), page());
