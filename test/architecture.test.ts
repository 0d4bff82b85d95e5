/** Holds the import arrows of the source tree (docs/architecture.md), by reading the import lines. Types obey them too. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

/** What the front doors choose from. */
const parts = [
  "ir",
  "heads",
  "wasm",
  "formats",
  "passes",
  "engine",
  "quantize",
  "detect",
  "evaluate",
  "tally",
  "report",
];

/** What a folder of src/ may import besides itself and `base`. */
const arrows: Record<string, readonly string[]> = {
  base: [],
  ir: [],
  ops: ["ir"],
  heads: ["ir"],
  formats: ["ir", "ops", "heads"],
  passes: ["ir", "ops"],
  wasm: [],
  kernels: ["wasm"],
  engine: ["ir", "ops", "wasm", "kernels"],
  quantize: ["ir", "ops", "heads", "formats", "wasm"],
  detect: ["ir", "heads"],
  evaluate: ["detect"],
  track: ["detect"],
  tally: ["ir", "heads", "formats", "engine", "quantize", "detect", "evaluate"],
  report: [],
  zoo: ["ir", "ops", "quantize"],
  open: ["ir", "ops", "heads", "formats", "passes", "engine", "detect", "zoo"],
  compile: ["ir", "heads", "wasm", "formats", "engine", "detect", "open"],
  deploy: ["ops", "open", ...parts.filter((part) => part !== "wasm")],
  official: ["ir", "ops", "formats", "passes", "engine", "quantize", "detect", "zoo", "open", "deploy"],
  "index.ts": [...parts, "open", "deploy", "track"],
  "steps.ts": [...parts, "open", "compile", "deploy", "track"],
  "official.ts": ["official"],
  node: ["index.ts", "steps.ts", "open", "tally"],
  "node.ts": ["index.ts", "open", "node"],
  queue: ["index.ts", "node", "tally"],
  "serve.ts": ["node"],
  cli: ["index.ts", "steps.ts", "official.ts", "node.ts", "node", "queue"],
};
/** Only these may import Node's modules or packages that need Node. */
const nodeOnly = new Set(["node", "node.ts", "serve.ts", "queue", "cli"]);
const browserPackages = new Set(["fflate", "pbf", "yaml", "zod"]);

const root = path.resolve(import.meta.dirname, "../src");
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"))
  .sort();

function importsOf(file: string): string[] {
  const text = readFileSync(path.join(root, file), "utf8");
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm,
  );
  return [...found].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic);
}

/** Folder of src/ that a file belongs to; files at the top stand for themselves. */
const unitOf = (file: string): string => file.split("/")[0];

/** Why `file` may not import `target`, or nothing. */
function problem(file: string, target: string): string | undefined {
  const from = unitOf(file);
  if (!target.startsWith(".")) {
    if (nodeOnly.has(from)) return undefined;
    const name = target.split("/")[0];
    return browserPackages.has(name) ? undefined : `${target} is not known to run in a browser`;
  }
  if (!target.endsWith(".ts")) return `${target}: imports within the project end in .ts`;
  const to = unitOf(path.posix.join(path.posix.dirname(file), target));
  if (to === from || to === "base") return undefined;
  return arrows[from]?.includes(to) ? undefined : `${from} may not import ${to} (${target})`;
}

test("every folder has its arrows written down", () => {
  const units = [...new Set(files.map(unitOf))];
  expect(units.filter((unit) => !(unit in arrows))).toEqual([]);
});

test("every arrow is used", () => {
  const used = new Set(
    files.flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith("."))
        .map((target) => `${unitOf(file)} ${unitOf(path.posix.join(path.posix.dirname(file), target))}`),
    ),
  );
  // The front doors share one list.
  const folders = Object.entries(arrows).filter(([from]) => !from.endsWith(".ts"));
  const written = folders.flatMap(([from, list]) => list.map((to) => `${from} ${to}`));
  expect(written.filter((arrow) => !used.has(arrow))).toEqual([]);
});

test("imports follow the arrows", () => {
  const broken = files.flatMap((file) =>
    importsOf(file).flatMap((target) => problem(file, target)?.replace(/^/, `src/${file}: `) ?? []),
  );
  expect(broken).toEqual([]);
  expect(files.flatMap(importsOf).length).toBeGreaterThan(100);
});

/** The files of src/ that a file imports. */
const importedFiles = new Map(
  files.map((file) => [
    file,
    importsOf(file)
      .filter((target) => target.startsWith("."))
      .map((target) => path.posix.join(path.posix.dirname(file), target)),
  ]),
);

test("no files import each other in a circle", () => {
  const left = new Map(importedFiles);
  for (;;) {
    const bottom = [...left].filter(([, below]) => !below.some((file) => left.has(file)));
    if (!bottom.length) break;
    for (const [file] of bottom) left.delete(file);
  }
  // What is left is circles and the files above them: those are in a circle that can be reached from themselves.
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    (left.get(from) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  expect([...left.keys()].filter((file) => reaches(file, file))).toEqual([]);
});

test("a name that begins with _ is imported only inside its folder", () => {
  const broken = [...importedFiles].flatMap(([file, targets]) =>
    targets
      .filter((target) => path.posix.basename(target).startsWith("_"))
      .filter((target) => path.posix.dirname(target) !== path.posix.dirname(file))
      .map((target) => `src/${file}: ${target}`),
  );
  expect(broken).toEqual([]);
});

/** Networks that run, and networks that are written out. */
const doors = new Set(["engine/session.ts", "engine/standalone.ts"]);

test("the engine has two doors, and lowering knows no backend", () => {
  const broken = [...importedFiles].flatMap(([file, targets]) =>
    targets.flatMap((target) => {
      const isOutside = unitOf(file) !== "engine" && unitOf(target) === "engine" && !doors.has(target);
      const isBackend = /^(engine|kernels)\/(wasm|webgpu|reference)\//.test(target);
      const isNeutral =
        /^engine\/(lower\/|(steps|values|windows|inputs|backend|arena|needs|representations|epilogue)\.ts)/.test(
          file,
        );
      return isOutside || (isNeutral && isBackend) ? [`src/${file}: ${target}`] : [];
    }),
  );
  expect(broken).toEqual([]);
});

test("the arrows have no cycle", () => {
  const left = new Map(Object.entries(arrows));
  for (;;) {
    const bottom = [...left].filter(([, below]) => !below.some((unit) => left.has(unit)));
    if (!bottom.length) break;
    for (const [unit] of bottom) left.delete(unit);
  }
  expect([...left.keys()]).toEqual([]);
});

test("the test sees a forbidden import", () => {
  expect(problem("ops/relu.ts", "../engine/session.ts")).toContain("ops may not import engine");
  expect(problem("detect/draw.ts", "node:fs")).toContain("not known to run in a browser");
  expect(problem("ops/relu.ts", "../ir/op.ts")).toBeUndefined();
});

test("nothing that the browser entry reaches uses Node's globals", () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const target of importsOf(file)) {
      if (target.startsWith(".")) visit(path.posix.join(path.posix.dirname(file), target));
      else expect(browserPackages, `src/${file} imports ${target}`).toContain(target.split("/")[0]);
    }
    const text = readFileSync(path.join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    expect(text, `src/${file}`).not.toMatch(/\b(Buffer\.|process\.|__dirname|require\()/);
  };
  visit("index.ts");
  expect(seen.size).toBeGreaterThan(20);
});
