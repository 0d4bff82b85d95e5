/**
 * Hostile clients against the server: damaged and lying bodies, slow ones, uploads that break off. Each has to get one clear line (or, gone,
 * nothing), and an honest client in between its answer.
 *
 *   npm run build
 *   node bench/serve-hostile.ts [--bodies 2000] [--slow 300] [--aborted 300] [--seed 1]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { deflateSync, gzipSync } from "node:zlib";
import sharp from "sharp";
import { Random } from "../dist/base/random.js";

const { values: options } = parseArgs({
  options: {
    bodies: { type: "string", default: "2000" },
    slow: { type: "string", default: "300" },
    aborted: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
  },
});
const root = path.resolve(import.meta.dirname, "..");
const numbers = new Random(Number(options.seed));
/** A whole number below `most`. */
const random = (most: number): number => numbers.int(0, most - 1);

async function start(): Promise<{ child: ChildProcess; url: URL; notices: string[] }> {
  const args = ["bin/ncnnkit.js", "serve", "models/codefinder-int8", "--threads", "2", "--port", "0"];
  const child = spawn(process.execPath, [...args, "--quiet", "--timeout", "5", "--max-mib", "8"], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = createInterface({ input: child.stderr });
  const [line] = await once(lines, "line");
  const notices: string[] = [];
  lines.on("line", (text) => notices.push(text));
  return { child, url: new URL(/^http\S+/.exec(line)?.[0] ?? ""), notices };
}
const { child, url, notices } = await start();

const noise = Buffer.from(Uint8Array.from({ length: 3 * 96 * 64 }, () => random(256)));
const image = sharp(noise, { raw: { width: 96, height: 64, channels: 3 } });
const good: Record<string, Buffer> = {
  png: await image.png().toBuffer(),
  jpeg: await image.jpeg().toBuffer(),
  progressive: await image.jpeg({ progressive: true }).toBuffer(),
  webp: await image.webp().toBuffer(),
  gif: await image.gif().toBuffer(),
  tiff: await image.tiff({ compression: "lzw" }).toBuffer(),
  avif: await image.avif({ effort: 0 }).toBuffer(),
  ppm: Buffer.concat([Buffer.from("P6 96 64 255\n"), noise]),
};
/** A PNG of 30000x30000 pixels in a few kilobytes, with a checksum that is wrong: some readers look at that late. */
const huge = Buffer.from(good.png);
huge.writeUInt32BE(30_000, 16);
huge.writeUInt32BE(30_000, 20);
const bomb = deflateSync(Buffer.alloc(64 * 2 ** 20));
const bodies: Record<string, () => Buffer> = {
  ...Object.fromEntries(Object.entries(good).map(([name, bytes]) => [name, () => damaged(bytes)])),
  huge: () => huge,
  bomb: () => bomb,
  svg: () =>
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file:///etc/passwd"/></svg>`,
    ),
  pdf: () => Buffer.from("%PDF-1.4\n1 0 obj<<>>endobj"),
  multipart: () =>
    damaged(
      Buffer.concat([
        Buffer.from('--b\r\ncontent-disposition: form-data; name="p"; filename="a.png"\r\n\r\n'),
        good.png,
        Buffer.from("\r\n--b--\r\n"),
      ]),
    ),
  nested: () =>
    Buffer.from(
      `{"inputs":[{"name":"images","shape":[3,320,320],"datatype":"FP32","data":${"[".repeat(50_000)}`,
    ),
  shapes: () =>
    Buffer.from(
      `{"inputs":[{"name":"images","shape":[4294967295,4294967295],"datatype":"FP32","data":[1]}]}`,
    ),
  noise: () => Buffer.from(Uint8Array.from({ length: random(5000) }, () => random(256))),
};

/** Some bytes changed, perhaps cut off. */
function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = random(12); i >= 0; i--) copy[random(copy.length)] = random(256);
  return random(3) ? copy : copy.subarray(0, random(copy.length));
}

const types = [
  "image/png",
  "application/octet-stream",
  "multipart/form-data; boundary=b",
  "application/json",
  "",
];
const places = ["detect", "detect?draw=1", "v2/models/codefinder-int8/infer"];

async function sendBody(i: number): Promise<{ status: number; kind: string; problem?: string }> {
  const names = Object.keys(bodies);
  const kind = names[i % names.length];
  const headers: Record<string, string> = {
    "content-type": kind === "multipart" ? types[2] : types[random(types.length)],
  };
  if (kind === "bomb") headers["content-encoding"] = "deflate";
  let body = bodies[kind]();
  if (random(10) === 0) {
    body = gzipSync(body);
    headers["content-encoding"] = "gzip";
  }
  if (random(6) === 0) headers["inference-header-content-length"] = String(random(2 * body.length + 1));
  const response = await fetch(new URL(places[random(places.length)], url), {
    ...{ method: "POST", headers },
    body: new Uint8Array(body),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.ok) return { status: response.status, kind };
  let problem: string | undefined;
  try {
    const { error } = JSON.parse(bytes.toString());
    if (typeof error !== "string" || error.length < 10 || error.includes("\n"))
      problem = `odd error ${bytes}`;
  } catch {
    problem = `no JSON: ${bytes}`;
  }
  if (response.status >= 500 && response.status !== 503) problem = `${response.status} ${bytes}`;
  return { status: response.status, kind, problem };
}

const resident = async (): Promise<number> => {
  const text = await (await fetch(new URL("metrics", url))).text();
  return Math.round(Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]) / 2 ** 20);
};

let honest = 0;
/** An honest request in between. */
async function works(): Promise<void> {
  const response = await fetch(new URL("detect", url), { method: "POST", body: new Uint8Array(good.png) });
  if (response.status !== 200)
    throw new Error(`an honest client got ${response.status}: ${await response.text()}`);
  honest++;
}

/** A connection that sends `text` and then a byte every now and then, or hangs up after `after` milliseconds; what came back. */
function slowly(text: string, after?: number): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = net.connect(Number(url.port), url.hostname, () => socket.write(text));
    const drip = setInterval(() => socket.write("a"), 200);
    if (after !== undefined) setTimeout(() => socket.destroy(), after);
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(drip);
      resolve(answer);
    });
  });
}

const tally = (list: readonly (string | number)[]): string => {
  const counts = new Map<string | number, number>();
  for (const each of list) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name}: ${count}`).join(", ");
};

try {
  await works();
  const memory = [await resident()];
  const results: Awaited<ReturnType<typeof sendBody>>[] = [];
  for (let i = 0; i < Number(options.bodies); i += 8) {
    results.push(...(await Promise.all(Array.from({ length: 8 }, (_, j) => sendBody(i + j)))));
    if (i % 200 === 0) {
      await works();
      memory.push(await resident());
    }
  }
  console.log(`${results.length} hostile bodies: ${tally(results.map(({ status }) => status))}`);
  for (const { kind, problem } of results.filter((each) => each.problem))
    console.log(`  ${kind}: ${problem?.slice(0, 300)}`);
  const head = "POST /detect HTTP/1.1\r\nhost: localhost\r\n";
  const slow = Array.from({ length: Number(options.slow) }, (_, i) =>
    slowly(
      [
        `${head}content-length: 100000\r\n\r\n`,
        `${head}x-slow: `,
        `${head}transfer-encoding: chunked\r\n\r\nfffff\r\n`,
      ][i % 3],
    ),
  );
  const every = setInterval(() => void works(), 500);
  const answers = await Promise.all(slow);
  clearInterval(every);
  console.log(
    `${answers.length} slow clients: ${tally(answers.map((answer) => answer.slice(0, 12) || "closed"))}`,
  );
  const aborted = Array.from({ length: Number(options.aborted) }, () =>
    slowly(`${head}content-length: 100000\r\n\r\nabc`, 20 + random(400)),
  );
  await Promise.all(aborted);
  await works();
  memory.push(await resident());
  console.log(`${aborted.length} uploads broke off; ${honest} honest requests in between were answered`);
  console.log(
    `resident memory, MiB: ${memory.join(" ")}; notices: ${notices.length ? notices.join("\n") : "none"}`,
  );
} finally {
  child.kill();
}
