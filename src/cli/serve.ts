/** `ncnnkit serve`: models behind HTTP. */
import { availableParallelism } from "node:os";
import { counted } from "../base/text.ts";
import { readText, realPath } from "../node/files.ts";
import type { Serving } from "../node/serve/server.ts";
import type { ServedModel } from "../node/serve/source.ts";
import { UsageError } from "../node.ts";
import { command, flag, option } from "./command.ts";
import { modelOptions, tellingDownloads } from "./names.ts";
import { knownFacts, numberIn } from "./options.ts";
import type { Terminal } from "./terminal.ts";

const notes = `
Pictures go to POST /detect; tensors, for clients of Triton and KServe, to /v2 (Open Inference Protocol). /openapi.json
describes all of it, /metrics is for Prometheus, and / is a page to try it. Every request is a line of JSON on stdout.

A model is called by its own name, or as NAME=MODEL says. When files of a model change, and on SIGHUP, all are read anew; on
SIGTERM and Ctrl-C, requests at work are finished first. The server listens on this machine only unless --host says
otherwise. --token-file (or the variable NCNNKIT_SERVE_TOKEN) asks for "authorization: Bearer TOKEN".

Examples:
  ncnnkit serve out/yolov5ss-int8
  curl --data-binary @photo.jpg http://127.0.0.1:8080/detect
  ncnnkit serve small=out/yolov5n-int8 large=yolov5s.pt --size 320 --threads 4
  ncnnkit serve codefinder --host 0.0.0.0 --token-file token.txt
  ncnnkit serve codefinder --allow-urls images.example.org,*.example.net`;

const words = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);

export const serveCommand = command({
  name: "serve",
  about: "answer requests over HTTP: boxes of pictures, tensors for clients of Triton and KServe",
  arguments: [
    ["<models...>", "what detect takes, several if wanted; NAME=MODEL chooses what requests call it"],
  ],
  options: {
    port: option("--port <n>", "port to listen on; 0 takes a free one", numberIn(0, 65535, true), 8080),
    host: option("--host <address>", "address to listen on; 0.0.0.0 for the network", String, "127.0.0.1"),
    threads: option(
      "--threads <n>",
      "threads that answer, with a session of every model each (default: one a processor)",
      numberIn(1, 256, true),
    ),
    queue: option(
      "--queue <n>",
      "requests that may wait; more get 503 and Retry-After",
      numberIn(0, 100_000, true),
      64,
    ),
    timeout: option(
      "--timeout <seconds>",
      "the most that a request may take; its header x-timeout-ms can say less",
      numberIn(0.1, 3600),
      30,
    ),
    maxMib: option("--max-mib <n>", "the largest body in MiB", numberIn(0.001, 1024), 32),
    maxPixels: option(
      "--max-pixels <n>",
      "the most pixels of a picture, in millions",
      numberIn(0.001, 529),
      40,
    ),
    maxPictures: option("--max-pictures <n>", "the most pictures of a request", numberIn(1, 1000, true), 16),
    tokenFile: option("--token-file <file>", "ask for one of the tokens in this file, one a line"),
    cors: option(
      "--cors <origins>",
      "origins whose pages may ask from browsers, comma between; * for all",
      words,
    ),
    allowUrls: option(
      "--allow-urls <hosts>",
      "take addresses of pictures, on these hosts only: example.org, *.example.org, comma between",
      words,
    ),
    watch: option(
      "--watch <seconds>",
      "time between looks for changed files of models; 0 looks never",
      numberIn(0, 3600),
      2,
    ),
    quiet: flag("--quiet", "no line for each request"),
    ...modelOptions,
  },
  notes,
  async run([models], options, terminal) {
    const { port, host, queue, maxPictures, cors, allowUrls, quiet } = options;
    const { serveModels } = await import("../node/serve/server.ts");
    const tokens = await readTokens(options.tokenFile);
    const facts = await knownFacts(options);
    const { threads = availableParallelism() } = options;
    const server = await tellingDownloads(terminal, (told) =>
      serveModels(
        models.map((model) => servedModel(model, { ...facts, offline: options.offline, ...told })),
        {
          ...{ port, host, threads, queue, maxPictures, tokens, origins: cors, urlHosts: allowUrls },
          timeout: Math.round(options.timeout * 1000),
          maxBytes: Math.round(options.maxMib * 2 ** 20),
          maxPixels: Math.round(options.maxPixels * 1e6),
          watch: options.watch * 1000,
          onAccess: quiet ? undefined : (record) => terminal.out(`${JSON.stringify(record)}\n`),
          onNotice: (message) => terminal.err(`${message}\n`),
        },
      ),
    );
    for (const { name, assumptions } of server.models.values()) {
      for (const text of assumptions) terminal.err(`warning: ${name}: ${text}\n`);
    }
    const names = [...server.models.keys()].join(", ");
    terminal.err(`${server.url} serves ${names} on ${counted(threads, "thread")} (Ctrl-C ends it)\n`);
    await untilSignal(server, terminal);
  },
});

/** `NAME=MODEL`, unless there is a file of that name. */
function servedModel(text: string, options: ServedModel["options"]): ServedModel {
  const [, name, source] = /^([^=/\\:]+)=(.+)$/s.exec(text) ?? [];
  return source === undefined || realPath(text) !== undefined
    ? { source: text, options }
    : { name, source, options };
}

/** One a line; what is in the environment counts too. */
async function readTokens(file: string | undefined): Promise<string[]> {
  const given = process.env.NCNNKIT_SERVE_TOKEN;
  const texts = [...(file === undefined ? [] : [await readText(file)]), ...(given ? [given] : [])];
  const tokens = texts.flatMap((text) => text.split(/\r?\n/)).map((line) => line.trim());
  const found = tokens.filter(Boolean);
  const odd = found.find((token) => !/^[\x21-\x7e]+$/.test(token));
  if (odd !== undefined)
    throw new UsageError("a token has characters that no header can hold: use letters and digits");
  if (file !== undefined && !found.length) throw new UsageError(`${file}: no token in this file`);
  return found;
}

/** Serves until it is told to stop; told twice, it stops at once. */
async function untilSignal(server: Serving, terminal: Terminal): Promise<void> {
  const reload = (): void => void server.reload();
  process.on("SIGHUP", reload);
  await new Promise<void>((resolve) => {
    let told = 0;
    const stop = (): void => {
      told++;
      if (told === 1) terminal.err("stopping: requests at work are finished first\n");
      server.stop(told === 1 ? undefined : 0).then(resolve, resolve);
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
  });
  process.off("SIGHUP", reload);
}
