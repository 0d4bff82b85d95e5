/** From a request to a thread and back: what both kinds of work share. */
import type { Transferable } from "node:worker_threads";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { WorkerError } from "../pool.ts";
import { type Body, ClientGone, joined, readBody } from "./body.ts";
import type { ServeContext } from "./endpoint.ts";
import type { Gate } from "./gate.ts";
import type { DetectQuestion, InferQuestion, Limits, Reply } from "./messages.ts";
import type { Metrics } from "./metrics.ts";
import type { ServedModels } from "./models.ts";
import { Refusal, tooLate } from "./refusal.ts";
import type { UrlRules } from "./urls.ts";

/** What handlers work with. */
export interface Works {
  readonly models: ServedModels;
  readonly gate: Gate;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** The most milliseconds of a request, and what it has if its header does not say. */
  readonly timeout: number;
  readonly urls: UrlRules | undefined;
}

/** The header that says how many milliseconds a request may take. */
export const timeHeader = "x-timeout-ms";

/** The time that a request has, and whether its client is still there. */
export interface Clock {
  readonly signal: AbortSignal;
  /** As `Date.now()` counts. */
  readonly deadline: number;
  /** Milliseconds. */
  left(): number;
  /** Told when a thread takes the request: from then on it is finished, whoever goes away. */
  taken(): void;
  stop(): void;
}

/** Starts the time of a request. Throws Refusal (400) for a header that is no time. */
export function startClock(context: ServeContext, most: number): Clock {
  const text = context.req.header(timeHeader);
  const time = text === undefined ? most : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(time >= 1 && time <= most)) {
    throw new Refusal(
      400,
      `${timeHeader} is ${JSON.stringify(text)}, expected milliseconds from 1 to ${most}`,
    );
  }
  const { started } = context.get("exchange");
  const end = started + time;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), Math.max(0, end - performance.now()));
  const { outgoing } = context.env;
  const close = (): void => controller.abort(new ClientGone("the client closed the connection"));
  outgoing.once("close", close);
  return {
    signal: controller.signal,
    deadline: Date.now() + (end - performance.now()),
    left: () => end - performance.now(),
    taken: () => void outgoing.off("close", close),
    stop: () => {
      clearTimeout(timer);
      outgoing.off("close", close);
    },
  };
}

/** Lets a request in, reads its body, has a thread answer it. Throws Refusal and ClientGone. */
export async function work(
  context: ServeContext,
  works: Works,
  model: string,
  makeQuestion: (body: Body, clock: Clock, latest: number) => Promise<DetectQuestion | InferQuestion>,
): Promise<Response> {
  const { gate, limits, timeout } = works;
  const exchange = context.get("exchange");
  exchange.model = model;
  const kind = `${exchange.route} ${model}`;
  const clock = startClock(context, timeout);
  let body: Body | undefined;
  try {
    gate.check(kind, clock.left());
    body = await readBody(context.env.incoming, limits.bytes, gate, clock.signal);
    const question = await makeQuestion(body, clock, clock.deadline - gate.reserve(kind));
    // Others may have come while the body was on its way.
    gate.check(kind, clock.left());
    const reply = await gate.run(kind, async () => {
      const value = await ask(context, works, question, clock);
      const { decode, run, encode } = value.times;
      return { value, milliseconds: value.status === 200 ? decode + run + encode : undefined };
    });
    works.metrics.worked(model, reply.times, reply.pictures);
    exchange.times = reply.times;
    exchange.pictures = reply.pictures;
    exchange.error = reply.error;
    return context.body(whole(reply.pieces), reply.status as ContentfulStatusCode, reply.headers);
  } finally {
    body?.free();
    clock.stop();
  }
}

function whole(pieces: Reply["pieces"]): Uint8Array<ArrayBuffer> {
  return pieces.length === 1 ? pieces[0] : joined(pieces);
}

async function ask(
  context: ServeContext,
  { models, metrics }: Works,
  question: DetectQuestion | InferQuestion,
  clock: Clock,
): Promise<Reply> {
  const exchange = context.get("exchange");
  const sent = performance.now();
  let isTaken = false;
  const taken = (): void => {
    isTaken = true;
    exchange.queue = performance.now() - sent;
    metrics.queued(exchange.queue);
    clock.taken();
  };
  try {
    return await models.ask(question, { signal: clock.signal, transfer: movable(question), taken });
  } catch (error) {
    if (error instanceof WorkerError) {
      throw new Refusal(500, `${error.message}; the server goes on, and the request was not answered`);
    }
    if (!clock.signal.aborted || error instanceof ClientGone) throw error;
    if (isTaken) throw new Refusal(504, "the answer was not ready in the time of the request");
    throw tooLate();
  }
}

function movable(question: DetectQuestion | InferQuestion): Transferable[] {
  if (question.kind === "infer") return [question.bytes.buffer];
  const { body } = question;
  return "pictures" in body ? body.pictures.map(({ bytes }) => bytes.buffer) : [body.bytes.buffer];
}
