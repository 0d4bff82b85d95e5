/**
 * ncnnkit as a server, in Node: folders of files over HTTP.
 *
 * ```ts
 * import { serveFolders } from "ncnnkit/serve";
 * const server = await serveFolders({ "": "site" }, { port: 8080 });
 * ```
 */
export { type FilesOptions, serveFolders } from "./node/serve/files.ts";
export type { Listening, ListenOptions } from "./node/serve/listen.ts";
