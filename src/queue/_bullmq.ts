/** BullMQ, which is loaded when a queue is asked for and not before. */
import type { ConnectionOptions } from "bullmq";
import { UnsupportedError, UsageError } from "../index.ts";

/** Throws UnsupportedError where the packages are not installed. */
export async function bullmq(): Promise<typeof import("bullmq")> {
  await optional("ioredis", () => import("ioredis"));
  return optional("bullmq", () => import("bullmq"));
}

/** A package that few need. Throws UnsupportedError where it is not installed. */
export async function optional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new UnsupportedError(
      `this needs the package ${name}, which is not installed: npm install ${name}`,
      {
        cause: error,
      },
    );
  }
}

/** A connection that never gives up: what was asked waits until the server is there again. Throws UsageError for another address. */
export function connectionTo(address: string): ConnectionOptions {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !["redis:", "rediss:"].includes(url.protocol) || !url.hostname) {
    throw new UsageError(`${address}: expected the address of a Redis server, as in redis://host:6379`);
  }
  const { hostname, port, username, password, pathname, protocol } = url;
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1) || 0),
    ...(protocol === "rediss:" && { tls: {} }),
    maxRetriesPerRequest: null,
  };
}

/** Traces of jobs through BullMQ's own hook; where they go is what OpenTelemetry's environment says. */
export async function telemetryOf(isWanted: boolean | undefined) {
  if (!isWanted) return {};
  const { BullMQOtel } = await optional("bullmq-otel", () => import("bullmq-otel"));
  return { telemetry: new BullMQOtel({ tracerName: "ncnnkit" }) };
}
