/**
 * Results of zoo.ts -> docs/benchmarks.svg and docs/benchmarks.md.
 *
 *   node bench/chart.ts [bench/results/zoo.json]
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { PeerName, ZooResults, ZooRow } from "./_results.ts";

const root = path.resolve(import.meta.dirname, "..");
const { environment, rows }: ZooResults = JSON.parse(
  readFileSync(process.argv[2] ?? path.join(root, "bench/results/zoo.json"), "utf8"),
);

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

/** Engines beside ours: key in the rows, name, color. Those without any time are left out. */
interface Peer {
  key: PeerName;
  label: string;
  color: string;
}
const allPeers: Peer[] = [
  { key: "native", label: "native ncnn", color: "#9aa4b2" },
  { key: "onnxruntimeWeb", label: "onnxruntime-web", color: "#e0a33e" },
];
const peers = allPeers.filter(({ key }) => rows.some((row) => row[key]));
const theirMedian = (row: ZooRow, { key }: Peer): number | undefined => row[key]?.median;
const ratio = (row: ZooRow, peer: Peer): number | undefined => {
  const theirs = theirMedian(row, peer);
  return theirs === undefined ? undefined : row.median / theirs;
};

// ---- the chart: a bar for each network and engine, on a logarithmic scale

interface Engine {
  label: string;
  color: string;
  time(row: ZooRow): number | undefined;
}
const engines: Engine[] = [
  { label: "ncnnkit", color: "#2f6fdb", time: (row) => row.median },
  ...peers.map((peer) => ({ ...peer, time: (row: ZooRow) => theirMedian(row, peer) })),
];
const left = 170;
const width = 720;
const barHeight = 7;
const rowHeight = engines.length * barHeight + 6;
const top = 46;
const times = rows.flatMap((row) => engines.flatMap(({ time }) => time(row) || []));
const least = 10 ** Math.floor(Math.log10(Math.min(...times)));
const most = 10 ** Math.ceil(Math.log10(Math.max(...times)));
const x = (ms: number): number =>
  left + (Math.log10(ms / least) / Math.log10(most / least)) * (width - left - 60);

function chart(): string {
  const height = top + rows.length * rowHeight + 12;
  const parts: string[] = [];
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
      const ms = time(row);
      if (!ms) return;
      const length = Math.max(1, x(ms) - left).toFixed(1);
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
function int8Speedups(): { name: string; speedup: number }[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  return rows.flatMap((row) => {
    const float = row.name.includes("_int8") ? byName.get(row.name.replace("_int8", "")) : undefined;
    return float ? [{ name: float.name, speedup: float.median / row.median }] : [];
  });
}

function table(): string {
  const head = peers.flatMap(({ label }) => [`${label} median`, "ratio"]);
  const lines = rows.map((row) => {
    const cells = [row.min, row.max, row.avg, row.median].map((ms) => ms.toFixed(2));
    const rate = (row.macs / row.median / 1e6).toFixed(1);
    const theirs = peers.flatMap((peer) => [
      theirMedian(row, peer)?.toFixed(2) ?? "",
      ratio(row, peer)?.toFixed(2) ?? "",
    ]);
    return `| ${[row.name, ...cells, rate, ...theirs].join(" | ")} |`;
  });
  return [
    `| ${["network", "min", "max", "avg", "median", "GMAC/s", ...head].join(" | ")} |`,
    `|---|${"--:|".repeat(5 + head.length)}`,
    ...lines,
  ].join("\n");
}

function againstPeers(): string[] {
  return peers.map((peer) => {
    const ratios = rows.flatMap((row) => ratio(row, peer) ?? []);
    const [best, worst] = [Math.min(...ratios), Math.max(...ratios)].map((value) => value.toFixed(2));
    return `- ncnnkit takes **${geometricMean(ratios).toFixed(2)} times** as long as ${peer.label} (geometric mean over ${ratios.length} networks; from ${best} to ${worst}).`;
  });
}

function int8Summary(): string[] {
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

function page(): string {
  const facts = Object.entries(environment).map(([name, value]) => `${name}: ${value}`);
  return `# Benchmarks

Milliseconds of one inference. Weights and inputs are seeded noise: times do not depend on them, accuracy is not measured here.
Made by \`node bench/zoo.ts\` and \`node bench/chart.ts\`; \`ncnnkit benchncnn\` prints the same table on your machine.
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
