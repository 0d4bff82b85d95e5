/** `serveModels`: models behind a port of this machine. */
import { availableParallelism } from "node:os";
import { UsageError } from "../../base/errors.ts";
import { type AccessRecord, serveApp } from "./app.ts";
import { Gate } from "./gate.ts";
import { type Listening, listen } from "./listen.ts";
import type { ModelFacts } from "./messages.ts";
import { createMetrics } from "./metrics.ts";
import { startModels } from "./models.ts";
import type { ServedModel } from "./source.ts";
import { findTrace } from "./trace.ts";

/** How models are served. */
export interface ServeOptions {
  /** 8080 if not said; 0 takes a free one. */
  readonly port?: number;
  /** 127.0.0.1 if not said; 0.0.0.0 for the whole network. */
  readonly host?: string;
  /** Threads with a session of every model each; by default as many as there are processors. */
  readonly threads?: number;
  /** Requests that may wait for a thread, 64 if not said; more get 503. */
  readonly queue?: number;
  /** The most milliseconds of a request, from its head to its answer, 30 000 if not said; its header can say less. */
  readonly timeout?: number;
  /** The most bytes of a body, packed or not, 32 MiB if not said. */
  readonly maxBytes?: number;
  /** The most pixels of a picture, 40 million if not said. */
  readonly maxPixels?: number;
  /** The most pictures of a request, 16 if not said. */
  readonly maxPictures?: number;
  /** Any one of these has to be sent as `authorization: Bearer TOKEN`; none is asked for if there are none. */
  readonly tokens?: readonly string[];
  /** Origins whose pages may ask from browsers (CORS); none if not said, `*` for all. */
  readonly origins?: readonly string[];
  /** Hosts from which pictures are fetched by their address; none if not said. */
  readonly urlHosts?: readonly string[];
  /** Milliseconds between looks for changed files of models, 2000 if not said; 0 looks never. */
  readonly watch?: number;
  /** The module of the worker threads, to measure others in the same shell; the kit's own if not said. */
  readonly worker?: URL;
  /** Told of every request that is over. */
  readonly onAccess?: (record: AccessRecord) => void;
  /** Told what a person may want to know: a sentence each. */
  readonly onNotice?: (message: string) => void;
}

/** A server that runs. */
export interface Serving {
  /** `http://127.0.0.1:8080/`. */
  readonly url: string;
  readonly port: number;
  /** What is served, by name. */
  readonly models: ReadonlyMap<string, ModelFacts>;
  /** Reads the models anew, as when their files change. */
  reload(): Promise<void>;
  /** Takes no new request, finishes those at work (for `patience` milliseconds, the timeout if not said), and ends. */
  stop(patience?: number): Promise<void>;
}

/**
 * Serves models over HTTP: pictures at `/detect`, tensors by the Open Inference Protocol at `/v2`.
 *
 * ```ts
 * const server = await serveModels([{ source: "out/yolov5ss-int8" }], { port: 8080 });
 * ```
 * Throws what keeps a model from running, UsageError for wrong options, InputError when the port cannot be had.
 */
export async function serveModels(
  served: readonly ServedModel[],
  options: ServeOptions = {},
): Promise<Serving> {
  if (!served.length) throw new UsageError("serveModels: no model given");
  const { port = 8080, host = "127.0.0.1", threads = availableParallelism(), queue = 64 } = options;
  const { timeout = 30_000, maxBytes = 2 ** 25, maxPixels = 40_000_000, maxPictures = 16 } = options;
  const { tokens = [], origins = [], urlHosts = [], watch = 2000 } = options;
  const { onAccess, onNotice = () => {}, worker } = options;
  const models = await startModels(served, { threads, watch, onNotice, worker });
  // Bodies wait in memory: as many of the largest as can be at work, and some room for those on their way.
  const bodyBytes = Math.max(2 ** 28, maxBytes * (threads + 4));
  const gate = new Gate({ queue, threads, bodyBytes });
  let stopping = false;
  const app = serveApp({
    ...{ models, gate, host, tokens, origins, timeout, onAccess },
    metrics: createMetrics(models, gate),
    limits: { bytes: maxBytes, pixels: maxPixels, pictures: maxPictures },
    urls: urlHosts.length ? { hosts: urlHosts } : undefined,
    trace: await findTrace(),
    onDefect: onNotice,
    isStopping: () => stopping,
  });
  let listening: Listening;
  try {
    // A request's own time is counted by its handler; these end what never becomes a request, or is never read.
    const times = { requestTimeout: timeout + 5000, idleTimeout: timeout + 10_000 };
    listening = await listen(app, { port, host, ...times, connections: 4096 });
  } catch (error) {
    await models.close();
    throw error;
  }
  return {
    url: listening.url,
    port: listening.port,
    get models() {
      return models.facts;
    },
    reload: () => models.reload(),
    stop: async (patience = timeout) => {
      stopping = true;
      await listening.stop(patience);
      await models.close();
    },
  };
}
