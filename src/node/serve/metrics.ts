/** What Prometheus is told. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Gate } from "./gate.ts";
import type { Times } from "./messages.ts";
import type { ServedModels } from "./models.ts";

/** Seconds: an inference takes a few milliseconds, a queue a few seconds. */
const buckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

export type Metrics = ReturnType<typeof createMetrics>;

/** The figures of one server, apart from those of others in the process. */
export function createMetrics(models: ServedModels, gate: Gate) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "ncnnkit_requests_total",
    help: "Requests by route, method and status.",
    labelNames: ["route", "method", "status"],
    registers,
  });
  const seconds = new Histogram({
    name: "ncnnkit_request_seconds",
    help: "From a request's head to the end of its answer.",
    labelNames: ["route"],
    buckets,
    registers,
  });
  const queue = new Histogram({
    name: "ncnnkit_queue_seconds",
    help: "From a request's body until a thread took it.",
    buckets,
    registers,
  });
  const work = new Histogram({
    name: "ncnnkit_work_seconds",
    help: "Time of a thread by what it did: decode (of the body), run, encode (of the answer).",
    labelNames: ["model", "part"],
    buckets,
    registers,
  });
  const pictures = new Counter({
    name: "ncnnkit_pictures_total",
    help: "Pictures, or tensors of a batch, that were looked at.",
    labelNames: ["model"],
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge("ncnnkit_queue_length", "Requests that wait for a thread.", () => models.waiting);
  gauge("ncnnkit_threads_busy", "Threads at work.", () => models.running);
  gauge("ncnnkit_threads_alive", "Threads that are ready or at work.", () => models.alive);
  gauge("ncnnkit_body_bytes", "Bytes of requests' bodies in memory.", () => gate.bytes);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    request: (route: string, method: string, status: number, time: number) => {
      requests.inc({ route, method, status: String(status) });
      seconds.observe({ route }, time / 1000);
    },
    queued: (time: number) => queue.observe(time / 1000),
    worked: (model: string, times: Times, count: number) => {
      for (const [part, time] of Object.entries(times)) work.observe({ model, part }, time / 1000);
      pictures.inc({ model }, count);
    },
  };
}
