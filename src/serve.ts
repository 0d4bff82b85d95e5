/**
 * ncnnkit as a server, in Node: models over HTTP, and folders of files.
 *
 * ```ts
 * import { serveModels } from "ncnnkit/serve";
 * const server = await serveModels([{ source: "out/yolov5ss-int8" }], { port: 8080 });
 * ```
 */
export type { AccessRecord } from "./node/serve/app.ts";
export { type FilesOptions, serveFolders } from "./node/serve/files.ts";
export type { Listening, ListenOptions } from "./node/serve/listen.ts";
export type { ModelFacts } from "./node/serve/messages.ts";
export { type ServeOptions, type Serving, serveModels } from "./node/serve/server.ts";
export type { ServedModel } from "./node/serve/source.ts";
