/** Files of folders over HTTP. */
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono, type MiddlewareHandler } from "hono";
import { type Listening, type ListenOptions, listen, type NodeApp } from "./listen.ts";

/** How files are given out. */
export interface FilesOptions {
  /** Sends the headers that isolate a page from other sites, which gives it shared memory and so threads; default true. */
  readonly isolated?: boolean;
}

/**
 * An app that gives out the files of folders, each below its name; those of the folder named "" at the root. Nothing outside of them can
 * be reached. A folder is asked for its index.html.
 */
export function filesApp(folders: Readonly<Record<string, string>>, options: FilesOptions = {}): NodeApp {
  const { isolated = true } = options;
  const app: NodeApp = new Hono();
  const headers: MiddlewareHandler = async (context, next) => {
    await next();
    if (isolated) {
      context.header("cross-origin-opener-policy", "same-origin");
      context.header("cross-origin-embedder-policy", "require-corp");
      context.header("cross-origin-resource-policy", "same-origin");
    }
    context.header("x-content-type-options", "nosniff");
  };
  for (const [name, root] of Object.entries(folders)) {
    const rewriteRequestPath = (where: string): string => where.slice(name === "" ? 0 : name.length + 1);
    // Of these files only: another app beside this one has headers of its own.
    app.use(name === "" ? "*" : `/${name}/*`, headers, serveStatic({ root, rewriteRequestPath }));
  }
  return app;
}

/** Serves the files of folders, each below its name. Throws InputError when the port cannot be had. */
export const serveFolders = (
  folders: Readonly<Record<string, string>>,
  options: ListenOptions & FilesOptions,
): Promise<Listening> => listen(filesApp(folders, options), options);
