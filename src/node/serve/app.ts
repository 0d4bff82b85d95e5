/** The server as a Hono app: who may ask, what is noted of every request, and the endpoints. */
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ClientGone, discardRest } from "./body.ts";
import {
  type Endpoint,
  type Exchange,
  noQuery,
  readQuery,
  type ServeContext,
  type ServeEnv,
} from "./endpoint.ts";
import { hostCheck, tokenCheck } from "./guard.ts";
import { openApi } from "./openapi.ts";
import { pictureEndpoints } from "./pictures.ts";
import { Refusal, refusalJson } from "./refusal.ts";
import type { Span, Trace } from "./trace.ts";
import { tryPage, tryPagePolicy } from "./try-page.ts";
import { v2Endpoints } from "./v2.ts";
import type { Works } from "./work.ts";

/** A request that is over, as the access log has it. */
export interface AccessRecord {
  /** ISO 8601, of the request's head. */
  readonly time: string;
  readonly id: string;
  readonly client: string | undefined;
  readonly method: string;
  /** Without its parameters, which may hold what is nobody's business. */
  readonly path: string;
  readonly status: number;
  /** Milliseconds in all, until a thread took it, and of the thread. */
  readonly milliseconds: number;
  readonly queue?: number;
  readonly decode?: number;
  readonly run?: number;
  readonly encode?: number;
  readonly model?: string;
  readonly pictures?: number;
  readonly error?: string;
}

export interface AppOptions extends Works {
  /** Where it listens. */
  readonly host: string;
  readonly tokens: readonly string[];
  /** Origins of pages that may ask from browsers; none if empty. */
  readonly origins: readonly string[];
  readonly trace: Trace;
  readonly onAccess: ((record: AccessRecord) => void) | undefined;
  /** Told of errors that are no one's fault but the server's. */
  readonly onDefect: (message: string) => void;
  isStopping(): boolean;
}

export function serveApp(options: AppOptions): Hono<ServeEnv> {
  const { tokens, origins } = options;
  const app = new Hono<ServeEnv>();
  const checkHost = hostCheck(options.host);
  const checkToken = tokenCheck(tokens);
  app.use((context, next) => observed(context, options, next));
  app.use(async (context, next) => {
    checkHost(context.req.header("host"));
    if (options.isStopping() && context.req.path !== "/v2/health/live") {
      throw new Refusal(503, "the server is stopping", { connection: "close", "retry-after": "5" });
    }
    await next();
  });
  if (origins.length) {
    const exposeHeaders = ["x-request-id", "x-detections", "retry-after", "inference-header-content-length"];
    app.use(cors({ origin: [...origins], exposeHeaders, maxAge: 600 }));
  }
  const endpoints = endpointsOf(options);
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const here = endpoints.filter((endpoint) => endpoint.path === path);
    app.use(path, async (context, next) => {
      context.get("exchange").route = path;
      if (!here.some(({ open }) => open)) checkToken(context.req.header("authorization"));
      await next();
    });
    for (const { method, handle } of here) app.on(method.toUpperCase(), path, (context) => handle(context));
    const allow = here.flatMap(({ method }) => (method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]));
    app.all(path, ({ req }) => {
      throw new Refusal(405, `${req.path} takes ${allow.join(" and ")}, not ${req.method}`, {
        allow: allow.join(", "),
      });
    });
  }
  app.notFound((context) => refused(context, new Refusal(404, `there is nothing at ${context.req.path}`)));
  app.onError((error, context) => refused(context, refusalOf(error, context, options)));
  return app;
}

function endpointsOf(options: AppOptions): Endpoint[] {
  const { metrics, models, tokens, timeout } = options;
  const endpoints: Endpoint[] = [
    ...pictureEndpoints(options),
    ...v2Endpoints(options, options.isStopping),
    {
      method: "get",
      path: "/metrics",
      doc: {
        summary: "Figures for Prometheus.",
        query: noQuery,
        answers: { 200: { about: "In its text format.", others: ["text/plain"] } },
      },
      handle: async (context) => {
        readQuery(context, noQuery);
        return context.body(await metrics.text(), 200, { "content-type": metrics.contentType });
      },
    },
    {
      method: "get",
      path: "/openapi.json",
      doc: {
        summary: "This document.",
        query: noQuery,
        answers: { 200: { about: "OpenAPI 3.1.", others: ["application/json"] } },
      },
      handle: (context) => {
        readQuery(context, noQuery);
        return context.json(
          openApi({ endpoints, facts: models.facts, hasTokens: tokens.length > 0, timeout }),
        );
      },
    },
    {
      method: "get",
      path: "/",
      open: true,
      doc: {
        summary: "A page to try it.",
        answers: { 200: { about: "A page.", others: ["text/html"] } },
      },
      handle: (context) =>
        context.body(tryPage, 200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": tryPagePolicy,
        }),
    },
  ];
  return endpoints;
}

const idHeader = "x-request-id";

/** Notes what becomes of a request: its id, figures, the log, the trace. */
async function observed(
  context: ServeContext,
  options: AppOptions,
  next: () => Promise<void>,
): Promise<void> {
  const given = context.req.header(idHeader);
  const exchange: Exchange = {
    id: given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID(),
    started: performance.now(),
    route: "none",
  };
  const time = new Date().toISOString();
  context.set("exchange", exchange);
  context.header(idHeader, exchange.id);
  context.header("x-content-type-options", "nosniff");
  context.header("cache-control", "no-store");
  const { method, path } = context.req;
  await options.trace(method, context.req.header(), async (span) => {
    await next();
    // The time ends with the last byte: a slow reader is seen.
    const { status } = context.res;
    annotate(span, exchange, method, status);
    const client = context.env.incoming.socket.remoteAddress;
    const { outgoing } = context.env;
    const over = (): void => {
      const milliseconds = performance.now() - exchange.started;
      options.metrics.request(exchange.route, method, status, milliseconds);
      options.onAccess?.(accessRecord(exchange, { time, client, method, path, status, milliseconds }));
    };
    // Of a client that went away it is closed already.
    if (outgoing.closed) over();
    else outgoing.once("close", over);
  });
}

function annotate(
  span: Span,
  { id, route, model, queue, times, error }: Exchange,
  method: string,
  status: number,
): void {
  if (route !== "none") span.rename(`${method} ${route}`);
  span.note("http.request.method", method);
  span.note("http.route", route);
  span.note("http.response.status_code", status);
  span.note("ncnnkit.request_id", id);
  if (model !== undefined) span.note("ncnnkit.model", model);
  if (queue !== undefined) span.note("ncnnkit.queue_ms", queue);
  for (const [part, value] of Object.entries(times ?? {})) span.note(`ncnnkit.${part}_ms`, value);
  if (error !== undefined) span.note("error.message", error);
}

const tenth = (value: number): number => Math.round(value * 10) / 10;

function accessRecord(
  { id, queue, times, model, pictures, error }: Exchange,
  {
    time,
    client,
    method,
    path,
    status,
    milliseconds,
  }: Pick<AccessRecord, "time" | "client" | "method" | "path" | "status" | "milliseconds">,
): AccessRecord {
  return {
    ...{ time, id, client, method, path, status, milliseconds: tenth(milliseconds) },
    ...(queue !== undefined && { queue: tenth(queue) }),
    ...(times && { decode: tenth(times.decode), run: tenth(times.run), encode: tenth(times.encode) }),
    ...{ model, pictures, error },
  };
}

function refusalOf(error: Error, context: ServeContext, { onDefect }: AppOptions): Refusal {
  if (error instanceof Refusal) return error;
  // Nobody is there; the status is for the log, as nginx has it.
  if (error instanceof ClientGone) return new Refusal(499, error.message);
  const { id } = context.get("exchange");
  onDefect(`request ${id}: ${error.stack ?? error.message}`);
  return new Refusal(500, `a defect of the server; its log says more of request ${id}`);
}

async function refused(context: ServeContext, { status, message, headers }: Refusal): Promise<Response> {
  const exchange = context.get("exchange");
  exchange.error = message;
  for (const [name, value] of Object.entries(headers)) context.header(name, value);
  // What is left of a late body is not waited for, and nothing else can come on its connection.
  const isOver = status === 499 || status === 408 || !(await discardRest(context.env.incoming));
  if (isOver) context.header("connection", "close");
  const type = { "content-type": "application/json" };
  return context.body(refusalJson(message), status as ContentfulStatusCode, type);
}
