/** Hosts that run compiled files, as `examples/compiled` shows: what each finds in a picture, and how long that takes. */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";

/** A folder with `detector.js` and `detector.wasm`, and a picture of raw RGB bytes. */
export interface HostInput {
  readonly folder: string;
  readonly picture: string;
  readonly width: number;
  readonly height: number;
  readonly rounds: number;
}

/** `class score x y width height` of each box; milliseconds from nothing to the first result, and of the fastest round. */
export interface HostResult {
  readonly lines: string[];
  readonly first: number;
  readonly fastest: number;
}

export interface Host {
  readonly name: string;
  /** Why it cannot run here, or nothing. */
  missing(): Promise<string | undefined>;
  run(input: HostInput): Promise<HostResult>;
}

const run = promisify(execFile);
const examples = path.resolve(import.meta.dirname, "../examples/compiled");
const chromiumPath = process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium";

/** Whether a command succeeds; else what it says, shortened. */
async function refusal(
  command: string,
  args: string[],
  env: Record<string, string> = {},
  cwd = examples,
): Promise<string | undefined> {
  try {
    await run(command, args, { cwd, env: { ...process.env, ...env } });
    return undefined;
  } catch (error) {
    return String((error as Error).message).slice(0, 200);
  }
}

/** An example whose standard output are the lines. */
async function byCommand(command: string, args: readonly string[]): Promise<HostResult> {
  const { stdout, stderr } = await run(command, [...args]);
  const [first, fastest] = stderr.trim().split("\n").at(-1)!.split(" ").map(Number);
  return { lines: stdout.trim().split("\n").filter(Boolean), first, fastest };
}

const argumentsOf = ({ picture, width, height, rounds }: HostInput): string[] => [
  picture,
  ...[width, height, rounds].map(String),
];

export const node: Host = {
  name: "Node",
  missing: async () => undefined,
  run: (input) =>
    byCommand(process.execPath, [
      path.join(examples, "detect.js"),
      path.join(input.folder, "detector.js"),
      ...argumentsOf(input),
    ]),
};

export const python: Host = {
  name: "Python, wasmtime",
  missing: () => refusal("python3", ["-c", "import wasmtime"]),
  run: (input) =>
    byCommand("python3", [
      path.join(examples, "detect.py"),
      path.join(input.folder, "detector.wasm"),
      ...argumentsOf(input),
    ]),
};

const goBinary = path.join(os.tmpdir(), `ncnnkit-go-detect-${process.pid}`);
export const go: Host = {
  name: "Go, wazero",
  // Nothing is downloaded for a test: `go mod download` in the folder beforehand.
  missing: () =>
    refusal(
      "go",
      ["build", "-o", goBinary, "."],
      { GOPROXY: "off", GOFLAGS: "-mod=readonly" },
      path.join(examples, "go"),
    ),
  run: (input) => byCommand(goBinary, [path.join(input.folder, "detector.wasm"), ...argumentsOf(input)]),
};

const rustBinary = path.join(
  process.env.CARGO_TARGET_DIR ?? path.join(examples, "rust/target"),
  "release/detect",
);
export const rust: Host = {
  name: "Rust, wasmtime",
  missing: async () =>
    existsSync(rustBinary) ? undefined : `${rustBinary} is not there: cargo build --release takes minutes`,
  run: (input) => byCommand(rustBinary, [path.join(input.folder, "detector.wasm"), ...argumentsOf(input)]),
};

/** In a page or a worker: `detect`, and the picture fetched. */
const browserLoop = `
  const linesOf = (boxes) => boxes.map(({ classId, score, box }) =>
    [classId, score.toFixed(4), ...["x", "y", "width", "height"].map((side) => box[side].toFixed(2))].join(" "));
  const began = performance.now();
  let boxes = await detect(picture);
  const first = performance.now() - began;
  let fastest = first;
  for (let i = 1; i < rounds; i++) {
    const start = performance.now();
    boxes = await detect(picture);
    fastest = Math.min(fastest, performance.now() - start);
  }
  return { lines: linesOf(boxes), first, fastest };`;

const inPage: Record<"page" | "worker", string> = {
  page: `const detect = (picture) => import("/detector.js").then((module) => module.detect(picture));`,
  worker: `
    const worker = new Worker("/worker.js", { type: "module" });
    const detect = (picture) => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ picture });
    });`,
};

async function inChromium(
  where: "page" | "worker",
  { folder, picture, width, height, rounds }: HostInput,
): Promise<HostResult> {
  copyFileSync(path.join(examples, "worker.js"), path.join(folder, "worker.js"));
  const types: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm" };
  const server = createServer(({ url = "/" }, response) => {
    const file = url === "/picture" ? picture : path.join(folder, path.basename(url));
    if (url === "/") response.setHeader("content-type", "text/html").end("<!doctype html>");
    else if (!existsSync(file)) response.writeHead(404).end();
    else
      response
        .setHeader("content-type", types[path.extname(file)] ?? "application/octet-stream")
        .end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  let browser: Browser | undefined;
  try {
    browser = await chromium.launch({
      executablePath: chromiumPath,
      args: ["--no-sandbox", "--disable-gpu", "--no-first-run"],
    });
    const page = await browser.newPage();
    const address = server.address();
    await page.goto(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`);
    return await page.evaluate(`(async () => {
      const data = new Uint8Array(await (await fetch("/picture")).arrayBuffer());
      const [picture, rounds] = [{ width: ${width}, height: ${height}, data }, ${rounds}];
      ${inPage[where]}
      ${browserLoop}
    })()`);
  } finally {
    await browser?.close();
    server.close();
  }
}

const chromiumHost = (name: string, where: "page" | "worker"): Host => ({
  name,
  missing: async () => (existsSync(chromiumPath) ? undefined : `no ${chromiumPath}`),
  run: (input) => inChromium(where, input),
});
export const page = chromiumHost("Chromium, streaming", "page");
export const worker = chromiumHost("Chromium, module worker", "worker");

/** `NCNNKIT_MINIFLARE`: a folder in which miniflare is installed; its workerd has an install script, so that it is no dependency here. */
function findMiniflare(): string | undefined {
  try {
    const from = process.env.NCNNKIT_MINIFLARE ?? import.meta.dirname;
    return createRequire(path.join(from, "_")).resolve("miniflare");
  } catch {
    return undefined;
  }
}

interface MiniflareLike {
  readonly ready: Promise<unknown>;
  dispatchFetch(url: string, init: object): Promise<{ json(): Promise<unknown>; status: number }>;
  dispose(): Promise<void>;
}

export const workerd: Host = {
  name: "workerd",
  missing: async () =>
    findMiniflare()
      ? undefined
      : "no miniflare: npm i --ignore-scripts miniflare in a folder, which NCNNKIT_MINIFLARE names",
  async run({ folder, picture, width, height, rounds }) {
    const { Miniflare } = (await import(pathToFileURL(findMiniflare()!).href)) as {
      Miniflare: new (options: object) => MiniflareLike;
    };
    copyFileSync(path.join(examples, "workerd/worker.js"), path.join(folder, "worker.js"));
    const modules = [
      { type: "ESModule", name: "worker.js" },
      { type: "ESModule", name: "detector.js" },
      { type: "CompiledWasm", name: "detector.wasm" },
    ].map(({ type, name }) => {
      const bytes = readFileSync(path.join(folder, name));
      return {
        type,
        path: path.join(folder, name),
        contents: type === "ESModule" ? bytes.toString() : bytes,
      };
    });
    const began = performance.now();
    const flare = new Miniflare({ modulesRoot: folder, modules, compatibilityDate: "2025-05-01" });
    try {
      await flare.ready;
      const ask = async (): Promise<unknown> => {
        const body = readFileSync(picture);
        const url = `http://worker/?width=${width}&height=${height}`;
        return (await flare.dispatchFetch(url, { method: "POST", body })).json();
      };
      let boxes = await ask();
      const first = performance.now() - began;
      let fastest = first;
      for (let i = 1; i < rounds; i++) {
        const start = performance.now();
        boxes = await ask();
        fastest = Math.min(fastest, performance.now() - start);
      }
      return { lines: linesOf(boxes as Found[]), first, fastest };
    } finally {
      await flare.dispose();
    }
  },
};

interface Found {
  classId: number;
  score: number;
  box: Record<"x" | "y" | "width" | "height", number>;
}

/** As the examples print them. */
export const linesOf = (boxes: readonly Found[]): string[] =>
  boxes.map(({ classId, score, box: { x, y, width, height } }) =>
    [classId, score.toFixed(4), ...[x, y, width, height].map((side) => side.toFixed(2))].join(" "),
  );

export const hosts: readonly Host[] = [node, page, worker, workerd, python, go, rust];

/** A folder for a compiled detector. */
export const hostFolder = (): string => mkdtempSync(path.join(os.tmpdir(), "ncnnkit-hosts-"));
