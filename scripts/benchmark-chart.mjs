/**
 * Results of bench/zoo.mjs -> docs/benchmarks.svg and docs/benchmarks.md.
 *
 *   node scripts/benchmark-chart.mjs [bench/results/zoo.json]
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const { environment, rows } = JSON.parse(
  readFileSync(process.argv[2] ?? path.join(root, "bench/results/zoo.json"), "utf8"),
);

const geometricMean = (values) => Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

/** Engines beside ours: key in the rows, name, color. Those without any time are left out. */
const peers = [
  { key: "native", label: "native ncnn", color: "#9aa4b2" },
  { key: "onnxruntimeWeb", label: "onnxruntime-web", color: "#e0a33e" },
].filter(({ key }) => rows.some((row) => row[key]));
const ratio = (row, { key }) => row[key] && row.median / row[key].median;

// ---- the chart: a bar for each network and engine, on a logarithmic scale

const engines = [{ label: "ncnnkit", color: "#2f6fdb", time: (row) => row.median }].concat(
  peers.map(({ key, label, color }) => ({ label, color, time: (row) => row[key]?.median })),
);
const left = 170;
const width = 720;
const barHeight = 7;
const rowHeight = engines.length * barHeight + 6;
const top = 46;
const times = rows.flatMap((row) => engines.map(({ time }) => time(row)).filter((ms) => ms > 0));
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
    const middle = y + (engines.length * barHeight) / 2 + 4;
    parts.push(`<text x="${left - 8}" y="${middle}" text-anchor="end" fill="#222">${row.name}</text>`);
    engines.forEach(({ color, time }, k) => {
      if (!time(row)) return;
      const length = Math.max(1, x(time(row)) - left).toFixed(1);
      parts.push(
        `<rect x="${left}" y="${y + k * barHeight}" width="${length}" height="${barHeight - 1}" fill="${color}"/>`,
      );
    });
    const ratios = peers.flatMap((peer) => ratio(row, peer)?.toFixed(1) ?? []).map((text) => `${text}×`);
    const end = x(Math.max(...engines.map(({ time }) => time(row) ?? 0))) + 6;
    parts.push(`<text x="${end.toFixed(1)}" y="${middle}" fill="#5b6675">${ratios.join(" ")}</text>`);
  });
  const legend = engines.map(
    ({ label, color }, i) =>
      `<rect x="${left + i * 110}" y="8" width="10" height="10" fill="${color}"/><text x="${left + 16 + i * 110}" y="17" fill="#222">${label}</text>`,
  );
  const title = `Milliseconds of an inference: ${engines.map(({ label }) => label).join(", ")}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11"><title>${title}</title><rect width="100%" height="100%" fill="#fff"/>${legend.join("")}${parts.join("")}</svg>\n`;
}

// ---- the page

/** Times of float rows against their int8 rows: above 1, int8 is faster. */
function int8Speedups() {
  const byName = new Map(rows.map((row) => [row.name, row]));
  return rows.flatMap((row) => {
    const float = row.name.includes("_int8") && byName.get(row.name.replace("_int8", ""));
    return float ? [{ name: float.name, speedup: float.median / row.median }] : [];
  });
}

function table() {
  const head = peers.flatMap(({ label }) => [`${label} median`, "ratio"]);
  const lines = rows.map((row) => {
    const cells = [row.min, row.max, row.avg, row.median].map((ms) => ms.toFixed(2));
    const rate = (row.macs / row.median / 1e6).toFixed(1);
    const theirs = peers.flatMap((peer) =>
      row[peer.key] ? [row[peer.key].median.toFixed(2), ratio(row, peer).toFixed(2)] : ["", ""],
    );
    return `| ${[row.name, ...cells, rate, ...theirs].join(" | ")} |`;
  });
  return [
    `| ${["network", "min", "max", "avg", "median", "GMAC/s", ...head].join(" | ")} |`,
    `|---|${"--:|".repeat(5 + head.length)}`,
    ...lines,
  ].join("\n");
}

function againstPeers() {
  return peers.map((peer) => {
    const ratios = rows.flatMap((row) => ratio(row, peer) ?? []);
    const [best, worst] = [Math.min(...ratios), Math.max(...ratios)].map((value) => value.toFixed(2));
    return `- ncnnkit takes **${geometricMean(ratios).toFixed(2)} times** as long as ${peer.label} (geometric mean over ${ratios.length} networks; from ${best} to ${worst}).`;
  });
}

function int8Summary() {
  const speedups = int8Speedups();
  if (speedups.length === 0) return [];
  const mean = geometricMean(speedups.map(({ speedup }) => speedup)).toFixed(2);
  const slower = speedups.filter(({ speedup }) => speedup < 1);
  const list = slower.map(({ name, speedup }) => `${name} (${speedup.toFixed(2)})`).join(", ");
  return [
    `- int8 is **${mean} times** as fast as float32 (geometric mean over ${speedups.length} pairs). ${
      slower.length ? `It is slower for ${list}.` : "It is faster in every pair."
    }`,
  ];
}

function page() {
  const facts = Object.entries(environment).map(([name, value]) => `${name}: ${value}`);
  return `# Benchmarks

Milliseconds of one inference. Weights and inputs are seeded noise: times do not depend on them, accuracy is not measured here.
Made by \`node bench/zoo.mjs\` and \`node scripts/benchmark-chart.mjs\`; \`ncnnkit benchncnn\` prints the same table on your machine.
Every engine gets the same weights and one input size; a ratio is our time divided by theirs, so less than 1 means that ncnnkit is faster.
onnxruntime-web gets them as ONNX files that ncnnkit exports (torchvision's networks and all others that have a form in ONNX: not int8, not the
layers that decode boxes); it runs in WebAssembly, with SIMD, as ncnnkit does, while native ncnn has wider vectors.

${facts.join(" · ")}

${[...againstPeers(), ...int8Summary()].join("\n")}

![Times of all networks and engines](benchmarks.svg)

${table()}
`;
}

writeFileSync(path.join(root, "docs/benchmarks.svg"), chart());
writeFileSync(path.join(root, "docs/benchmarks.md"), page());
