/** `ncnnkit serve-page`: the page of detection and conversion, served from this machine. */
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type ServerType, serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { InputError } from "../node.ts";
import { command, option } from "./command.ts";
import { numberIn } from "./options.ts";

const defaultPort = 8080;
/** The built page in the package; the same from `src/cli` and from `dist/cli`. */
const pageFolder = fileURLToPath(new URL("../../dist-web/", import.meta.url));

const notes = `
The page runs models on the camera, on pictures and videos, and converts and quantizes checkpoints, all in the browser: this
command only hands out its files, with the headers that threads in a page need. Browsers give cameras to localhost and to
https pages, so for a phone put an https proxy in front of it.

Examples:
  ncnnkit serve-page
  ncnnkit serve-page --port 3000`;

export const servePageCommand = command({
  name: "serve-page",
  about: "serve the page that detects and quantizes in the browser",
  arguments: [],
  options: {
    port: option(
      "--port <n>",
      "port to listen on; 0 takes a free one",
      numberIn(0, 65535, true),
      defaultPort,
    ),
    host: option(
      "--host <address>",
      "address to listen on; 0.0.0.0 for the whole network",
      String,
      "localhost",
    ),
  },
  notes,
  async run(_, { port, host }, terminal) {
    const server = await servePage(pageFolder, port, host);
    const { port: found } = server.address() as AddressInfo;
    terminal.err(`http://${host.includes(":") ? `[${host}]` : host}:${found}/ (Ctrl-C ends it)\n`);
    await new Promise<void>((resolve) => {
      const stop = (): void => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      };
      process.once("SIGINT", stop).once("SIGTERM", stop);
    });
  },
});

/** Serves a built page. Throws InputError when it is not there or the port cannot be had. */
export function servePage(folder: string, port: number, hostname: string): Promise<ServerType> {
  if (!existsSync(path.join(folder, "index.html"))) {
    throw new InputError(
      `${folder}: the page is not built; in the repository, run "npm run build:web" (the published package has it)`,
    );
  }
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: pageApp(folder).fetch, port, hostname }, () => resolve(server));
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code === "EADDRINUSE" ? "it is in use; choose another with --port" : error.message;
      reject(new InputError(`cannot listen on port ${port} of ${hostname}: ${reason}`));
    });
  });
}

function pageApp(folder: string): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    // A page has shared memory, and so threads, only when it is isolated from other sites.
    context.header("cross-origin-opener-policy", "same-origin");
    context.header("cross-origin-embedder-policy", "require-corp");
    context.header("cross-origin-resource-policy", "same-origin");
    context.header("x-content-type-options", "nosniff");
    // Names in assets/ carry a hash of what is in them; everything else may change with the next version.
    const lasting = new URL(context.req.url).pathname.startsWith("/assets/");
    context.header("cache-control", lasting ? "public, max-age=31536000, immutable" : "no-cache");
  });
  app.use(serveStatic({ root: folder }));
  return app;
}
