/** `ncnnkit serve-page`: the page of detection and conversion, served from this machine. */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Listening } from "../node/serve/listen.ts";
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
    terminal.err(`${server.url} (Ctrl-C ends it)\n`);
    await new Promise<void>((resolve) => process.once("SIGINT", resolve).once("SIGTERM", resolve));
    await server.stop();
  },
});

/** Serves a built page. Throws InputError when it is not there or the port cannot be had. */
export async function servePage(folder: string, port: number, host: string): Promise<Listening> {
  if (!existsSync(path.join(folder, "index.html"))) {
    throw new InputError(
      `${folder}: the page is not built; in the repository, run "npm run build:web" (the published package has it)`,
    );
  }
  const { pageApp } = await import("../node/serve/page.ts");
  const { listen } = await import("../node/serve/listen.ts");
  return listen(pageApp(folder), { port, host });
}
