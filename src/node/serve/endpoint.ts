/** An endpoint as a value: where it is, what it does, and what the OpenAPI document says of it. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { z } from "zod";
import type { Times } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import { complaintOf } from "./schemas.ts";

/** What is noted of a request on its way, for the log, the figures and the trace. */
export interface Exchange {
  readonly id: string;
  /** `performance.now()` at its head. */
  readonly started: number;
  /** The endpoint's path, with `:names`. */
  route: string;
  model?: string;
  /** Milliseconds until a thread took it. */
  queue?: number;
  times?: Times;
  pictures?: number;
  error?: string;
}

export interface ServeEnv {
  Bindings: HttpBindings;
  Variables: { exchange: Exchange };
}
export type ServeContext = Context<ServeEnv>;

/** An answer: a status with the schema of its JSON, or with media types that are no JSON. */
export interface AnswerDoc {
  readonly about: string;
  readonly json?: z.ZodType;
  readonly others?: readonly string[];
}

export interface EndpointDoc {
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: Readonly<Record<string, z.ZodType | "binary">>;
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** Statuses of refusals besides those that every endpoint has. */
  readonly refusals?: readonly number[];
  /** Takes the header of the request's time. */
  readonly timed?: boolean;
}

export interface Endpoint {
  readonly method: "get" | "post";
  /** As Hono has it: `/v2/models/:model`. */
  readonly path: string;
  /** Answers without a token. */
  readonly open?: boolean;
  readonly doc: EndpointDoc;
  handle(context: ServeContext): Response | Promise<Response>;
}

/** Text of a query becomes a number or a list where the schema wants one. */
function typedValue(text: string, schema: z.ZodType): unknown {
  const inner = schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
  if (inner instanceof z.ZodNumber) return /^-?[\d.]/.test(text) ? Number(text) : text;
  if (inner instanceof z.ZodArray) {
    return text.split(",").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  }
  return text;
}

/** The parameters of the address. Throws Refusal (400) for unknown, repeated and wrong ones. */
export function readQuery<T extends z.ZodObject>(context: ServeContext, schema: T): z.output<T> {
  const values: Record<string, unknown> = {};
  for (const [name, texts] of Object.entries(context.req.queries())) {
    const shape = schema.shape as Record<string, z.ZodType>;
    const known = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (!known) {
      const names = Object.keys(shape).join(", ");
      throw new Refusal(400, `no parameter ${JSON.stringify(name)}; there is ${names || "none"}`);
    }
    if (texts.length > 1) throw new Refusal(400, `the parameter ${name} is there ${texts.length} times`);
    values[name] = typedValue(texts[0], known);
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) throw new Refusal(400, `parameter ${complaintOf(parsed.error)}`);
  return parsed.data;
}

/** An endpoint without parameters of the address takes none. */
export const noQuery = z.strictObject({});
