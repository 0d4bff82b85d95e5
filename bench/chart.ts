/**
 * Results of zoo.ts -> docs/benchmarks.md, a section a processor, and its charts docs/benchmarks-PROCESSOR.svg.
 *
 *   node bench/chart.ts
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { ZooResults, ZooRow } from "./_results.ts";

const root = path.resolve(import.meta.dirname, "..");
const folder = path.join(root, "bench/results");

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

/** Engines by key in the rows, name and color; ours first. Those without any time are left out. */
interface Engine {
  label: string;
  color: string;
  time(row: ZooRow): number | undefined;
}
const ours: Engine[] = [
  { label: "ncnnkit", color: "#2f6fdb", time: (row) => row.median },
  { label: "ncnnkit, 256 bits", color: "#7fb2ff", time: ({ wide }) => wide?.median },
];
const theirs: Engine[] = [
  { label: "native ncnn", color: "#9aa4b2", time: ({ native }) => native?.median },
  { label: "onnxruntime-web", color: "#e0a33e", time: ({ onnxruntimeWeb }) => onnxruntimeWeb?.median },
];

/** Our time divided by theirs, for all networks that both have run. */
function ratios(rows: readonly ZooRow[], our: Engine, their: Engine): number[] {
  return rows.flatMap((row) => {
    const [a, b] = [our.time(row), their.time(row)];
    return a === undefined || b === undefined ? [] : [a / b];
  });
}

/** A chart: a bar for each network and engine, on a logarithmic scale. */
function chart(rows: readonly ZooRow[]): string {
  const engines = [...ours, ...theirs].filter(({ time }) => rows.some((row) => time(row) !== undefined));
  const left = 170;
  const width = 760;
  const barHeight = 6;
  const rowHeight = engines.length * barHeight + 7;
  const top = 46;
  const times = rows.flatMap((row) => engines.flatMap(({ time }) => time(row) || []));
  const least = 10 ** Math.floor(Math.log10(Math.min(...times)));
  const most = 10 ** Math.ceil(Math.log10(Math.max(...times)));
  const x = (ms: number): number =>
    left + (Math.log10(ms / least) / Math.log10(most / least)) * (width - left - 60);
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
  });
  const legend = engines.map(
    ({ label, color }, i) =>
      `<rect x="${left + i * 130}" y="8" width="10" height="10" fill="${color}"/><text x="${left + 16 + i * 130}" y="17" fill="#222">${label}</text>`,
  );
  const title = `Milliseconds of an inference: ${engines.map(({ label }) => label).join(", ")}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11"><title>${title}</title><rect width="100%" height="100%" fill="#fff"/>${legend.join("")}${parts.join("")}</svg>\n`;
}

// ---- the page

const isInt8 = ({ name }: ZooRow): boolean => name.includes("_int8");

/** A line for each pair of engines: float32 and int8 each by itself. */
function summary(rows: readonly ZooRow[]): string[] {
  const kinds = [
    ["float32", rows.filter((row) => !isInt8(row))],
    ["int8", rows.filter(isInt8)],
  ] as const;
  const lines = theirs.flatMap((their) =>
    kinds.flatMap(([kind, some]) =>
      ours.flatMap((our) => {
        const found = ratios(some, our, their);
        if (found.length === 0) return [];
        const [best, worst] = [Math.min(...found), Math.max(...found)].map((value) => value.toFixed(2));
        return `| ${our.label} ÷ ${their.label}, ${kind} | **${geometricMean(found).toFixed(2)}** | ${best} | ${worst} | ${found.length} |`;
      }),
    ),
  );
  const byName = new Map(rows.map((row) => [row.name, row]));
  for (const { label, time } of ours) {
    const speedups = rows.filter(isInt8).flatMap((row) => {
      const float = byName.get(row.name.replace("_int8", ""));
      const [a, b] = [float && time(float), time(row)];
      return a === undefined || b === undefined ? [] : [b / a];
    });
    if (speedups.length === 0) continue;
    const [best, worst] = [Math.min(...speedups), Math.max(...speedups)].map((value) => value.toFixed(2));
    const mean = geometricMean(speedups).toFixed(2);
    lines.push(`| ${label}: int8 ÷ its float32 | **${mean}** | ${best} | ${worst} | ${speedups.length} |`);
  }
  return [
    "| time of ÷ time of | geometric mean | best | worst | networks |",
    "|---|--:|--:|--:|--:|",
    ...lines,
  ];
}

function table(rows: readonly ZooRow[]): string[] {
  const hasWide = rows.some(({ wide }) => wide);
  const peers = theirs.filter(({ time }) => rows.some((row) => time(row) !== undefined));
  const number = (x: number | undefined): string => x?.toFixed(2) ?? "";
  const over = (a: number | undefined, b: number | undefined): string =>
    number(a === undefined || b === undefined ? undefined : a / b);
  const lines = rows.map((row) => {
    const wide = row.wide?.median;
    const cells = peers.flatMap(({ time }) => [
      number(time(row)),
      over(row.median, time(row)),
      ...(hasWide ? [over(wide, time(row))] : []),
    ]);
    const rate = (row.macs / row.median / 1e6).toFixed(1);
    const own = [number(row.min), number(row.median), rate, ...(hasWide ? [number(wide)] : [])];
    return `| ${[row.name, ...own, ...cells].join(" | ")} |`;
  });
  const head = [
    ...["network", "min", "median", "GMAC/s"],
    ...(hasWide ? ["256 bits"] : []),
    ...peers.flatMap(({ label }) => [label, "ratio", ...(hasWide ? ["256 bits"] : [])]),
  ];
  return [`| ${head.join(" | ")} |`, `|---|${"--:|".repeat(head.length - 1)}`, ...lines];
}

function section(name: string): string {
  const { environment, rows }: ZooResults = JSON.parse(
    readFileSync(path.join(folder, `${name}.json`), "utf8"),
  );
  writeFileSync(path.join(root, `docs/benchmarks-${name}.svg`), chart(rows));
  const facts = Object.entries(environment).map(([fact, value]) => `${fact}: ${value}`);
  const hasDot = !/dot (saturating|none|i7)/.test(String(environment.simd));
  return [
    `## ${environment.cpu}, ${hasDot ? "with" : "without"} int8 dot products in WebAssembly`,
    facts.join(" · "),
    summary(rows).join("\n"),
    `![Times of all networks and engines](benchmarks-${name}.svg)`,
    table(rows).join("\n"),
  ].join("\n\n");
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => path.basename(file, ".json"))
  .sort();
const intro = `# Benchmarks

Milliseconds of one inference. Weights and inputs are seeded noise: times do not depend on them, accuracy is not measured here.
Made by \`node bench/zoo.ts\`, on each processor once, and \`node bench/chart.ts\`; \`ncnnkit benchncnn\` prints the same table on your machine.
Every engine gets the same weights and one input size; a ratio is our time divided by theirs, so less than 1 means that ncnnkit is faster.
"256 bits" is ncnnkit with wide vectors (the command line's default where a self-test finds them right and faster, see [engine.md](engine.md#wide-vectors)).
onnxruntime-web gets the networks as ONNX files that ncnnkit exports (torchvision's networks and all others that have a form in ONNX: not int8, not the
layers that decode boxes); it runs in WebAssembly, with SIMD, as ncnnkit does, while native ncnn uses the processor's own vectors.`;
writeFileSync(path.join(root, "docs/benchmarks.md"), `${[intro, ...names.map(section)].join("\n\n")}\n`);
