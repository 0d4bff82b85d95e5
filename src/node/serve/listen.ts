/** A Hono app behind a port of this machine: the one way in which the kit serves anything. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { Hono } from "hono";
import { InputError } from "../../base/errors.ts";

/** An app whose handlers can reach Node's own request and response. */
export type NodeApp = Hono<{ Bindings: HttpBindings }>;

/** Where an app listens, and how long it waits for clients. */
export interface ListenOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** An address or name of this machine, 127.0.0.1 if not said; 0.0.0.0 for the whole network. */
  readonly host?: string;
  /** Milliseconds that a client has to send a whole request, 5 minutes if not said; of a request's head, at most 10 s of them. */
  readonly requestTimeout?: number;
  /** Milliseconds without a byte in either direction after which a connection is closed; never if not said. */
  readonly idleTimeout?: number;
  /** The most connections at a time; more are closed at once. */
  readonly connections?: number;
}

/** An app that is listening. */
export interface Listening {
  /** `http://127.0.0.1:8080/`. */
  readonly url: string;
  readonly port: number;
  /** Takes no new connection, waits for running requests, for `patience` milliseconds (0 if not said), then breaks what is left. */
  stop(patience?: number): Promise<void>;
  /** Breaks all connections; new ones are taken. */
  disconnect(): void;
}

/** Serves the app. Throws InputError when the port cannot be had. */
export async function listen(app: Pick<NodeApp, "fetch">, options: ListenOptions): Promise<Listening> {
  const { port, host = "127.0.0.1", requestTimeout = 300_000, idleTimeout, connections } = options;
  const timeouts = {
    requestTimeout,
    headersTimeout: Math.min(requestTimeout, 10_000),
    // Longer than proxies and clients keep theirs: who closes an idle connection first never loses a request on it.
    keepAliveTimeout: 75_000,
    connectionsCheckingInterval: Math.min(1000, requestTimeout),
  };
  const server = createServer(timeouts, getRequestListener(app.fetch, { hostname: host }));
  if (connections !== undefined) server.maxConnections = connections;
  if (idleTimeout !== undefined) server.setTimeout(idleTimeout);
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "EADDRINUSE" ? "it is in use; choose another with --port" : message;
    throw new InputError(`cannot listen on port ${port} of ${host}: ${reason}`);
  }
  const { port: found } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${found}/`,
    port: found,
    stop: (patience = 0) => stop(server, patience),
    disconnect: () => server.closeAllConnections(),
  };
}

function stop(server: Server, patience: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), patience);
    // Connections that become idle while others are still at work would hold up the end.
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    server.close(() => {
      clearTimeout(timer);
      clearInterval(idle);
      resolve();
    });
  });
}
