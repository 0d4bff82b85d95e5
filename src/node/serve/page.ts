/** The built page over HTTP: isolated, shut against other sites, compressed, and only what the browser does not have yet. */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { Hono } from "hono";
import { filesApp } from "./files.ts";
import type { NodeApp } from "./listen.ts";

/**
 * What the page may do: run what came with it, draw what it is given, and fetch models from the addresses that its user gives. The styles
 * are those of elements, and of the report in its frame. The engine's threads are made of a blob.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob: mediastream:",
  "connect-src 'self' http: https: blob: data:",
  "manifest-src 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
const encoders = {
  br: (bytes: Uint8Array) => promisify(brotliCompress)(bytes, quality),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes),
};
type Encoding = keyof typeof encoders;
const encodings = ["br", "gzip"] as const satisfies Encoding[];

/** Compressed files by tag and encoding: a page has few. */
type Kept = Map<string, Promise<Uint8Array<ArrayBuffer>>>;
const mostKept = 200;
/** What is larger is sent as it is. */
const mostBytes = 2 ** 25;

/** An app that gives out a built page. */
export function pageApp(folder: string): NodeApp {
  const app: NodeApp = new Hono();
  const kept: Kept = new Map();
  app.use(async (context, next) => {
    const { method, path } = context.req;
    if (method !== "GET" && method !== "HEAD") return context.text("", 405, { allow: "GET, HEAD" });
    await next();
    const { res } = context;
    res.headers.set("content-security-policy", policy);
    res.headers.set("referrer-policy", "no-referrer");
    // Names in assets/ carry a hash of what is in them; everything else may change with the next version.
    const lasting = path.startsWith("/assets/") && res.status === 200;
    res.headers.set("cache-control", lasting ? "public, max-age=31536000, immutable" : "no-cache");
    const large = Number(res.headers.get("content-length")) > mostBytes;
    if (res.status !== 200 || method !== "GET" || large) return;
    context.res = await tagged(res, context.req.raw.headers, kept);
  });
  return app.route("/", filesApp({ "": folder }));
}

async function tagged(response: Response, asked: Headers, kept: Kept): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { headers } = response;
  const tag = `W/"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  headers.set("etag", tag);
  headers.set("vary", "accept-encoding");
  const known = (asked.get("if-none-match") ?? "").split(",").map((each) => each.trim());
  if (known.includes(tag)) {
    headers.delete("content-length");
    return new Response(null, { status: 304, headers });
  }
  const encoding = encodingOf(asked.get("accept-encoding") ?? "");
  const smaller = encoding && (await compressed(bytes, encoding, `${encoding} ${tag}`, kept));
  const body = smaller && smaller.length < 0.95 * bytes.length ? smaller : bytes;
  if (body !== bytes && encoding) headers.set("content-encoding", encoding);
  headers.set("content-length", String(body.length));
  return new Response(body, { headers });
}

function compressed(
  bytes: Uint8Array,
  encoding: Encoding,
  key: string,
  kept: Kept,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = kept.get(key);
  if (found) return found;
  if (kept.size >= mostKept) kept.clear();
  const made = encoders[encoding](bytes).then((result) => new Uint8Array(result));
  kept.set(key, made);
  return made;
}

/** The first of ours that the client takes. */
function encodingOf(accepted: string): Encoding | undefined {
  const taken = accepted.split(",").flatMap((each) => {
    const [name, ...parameters] = each.split(";").map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? [] : [name];
  });
  return encodings.find((encoding) => taken.includes(encoding));
}
