/** What is being searched, to be looked at in a browser while it goes on. */
import { Hono } from "hono";
import sharp from "sharp";
import type { Picture } from "../../index.ts";
import { type Listening, listen, type NodeApp } from "../serve/listen.ts";

const boundary = "frame";
/** Milliseconds between frames that are shown: it is a preview, searching comes first. */
const interval = 100;

/** State of the work, in words for the page. */
export interface LiveState {
  readonly title: string;
  readonly lines: readonly string[];
}

export interface LiveView {
  readonly url: string;
  /** Whether somebody looks, and the last frame was long enough ago: only then `show` is worth its cost. */
  readonly wanted: boolean;
  /** Shows a frame with what is drawn into it. */
  show(picture: Picture, state: LiveState): Promise<void>;
  /** Says to those who look that it is over. */
  stop(): Promise<void>;
}

/** Serves a page with the frames on a port of this machine. Throws InputError when the port cannot be had. */
export async function openLiveView(port: number, host = "127.0.0.1"): Promise<LiveView> {
  const watchers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  let state: LiveState = { title: "ncnnkit", lines: ["waiting for the first frame"] };
  let [last, newest]: [number, Uint8Array | undefined] = [0, undefined];
  const app: NodeApp = new Hono();
  app.get("/", (context) => context.html(page));
  app.get("/state", (context) => context.json(state));
  app.get("/frames", () => {
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          mine = controller;
          watchers.add(controller);
          if (newest) controller.enqueue(newest);
        },
        cancel: () => void watchers.delete(mine),
      },
      { highWaterMark: 2 },
    );
    const type = `multipart/x-mixed-replace; boundary=${boundary}`;
    return new Response(body, { headers: { "content-type": type, "cache-control": "no-store" } });
  });
  const server: Listening = await listen(app, { port, host });
  return {
    url: server.url,
    get wanted() {
      return watchers.size > 0 && performance.now() - last >= interval;
    },
    async show({ width, height, data, channels = 4 }, told) {
      [last, state] = [performance.now(), told];
      const image = sharp(data, { raw: { width, height, channels } });
      const jpeg = await image
        .resize({ width: 1280, withoutEnlargement: true })
        .jpeg({ quality: 80 })
        .toBuffer();
      const head = `--${boundary}\r\ncontent-type: image/jpeg\r\ncontent-length: ${jpeg.length}\r\n\r\n`;
      newest = Buffer.concat([Buffer.from(head), jpeg, Buffer.from("\r\n")]);
      // Who is too slow for a frame gets the next one.
      for (const each of watchers) if ((each.desiredSize ?? 0) > 0) each.enqueue(newest);
    },
    async stop() {
      for (const each of watchers) each.close();
      watchers.clear();
      await server.stop(500);
    },
  };
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>ncnnkit</title>
<style>
  body { margin: 0; background: #16181c; color: #e8e8e8; font: 15px/1.5 system-ui, sans-serif; }
  main { max-width: 1280px; margin: auto; padding: 1rem; }
  img { width: 100%; height: auto; background: #000; display: block; }
  h1 { font-size: 1.1rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; margin: .6rem 0 0; }
</style>
<main>
  <h1>ncnnkit</h1>
  <img src="frames" alt="The frames as they are searched">
  <pre aria-live="polite"></pre>
</main>
<script type="module">
  const [title, lines] = [document.querySelector("h1"), document.querySelector("pre")];
  for (;;) {
    try {
      const state = await (await fetch("state")).json();
      title.textContent = state.title;
      lines.textContent = state.lines.join("\\n");
    } catch {
      lines.textContent += "\\nIt is over.";
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
</script>
</html>
`;
