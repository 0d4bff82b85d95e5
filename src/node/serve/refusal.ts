/** What ends a request with something other than its answer. */

import { message as oneLine } from "../../base/text.ts";

/** A reason to refuse a request: the status and the line that the client gets. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(oneLine(message)); // it may repeat what a client sent
    this.status = status;
    this.headers = headers;
  }
}

/** The body of every refusal, as the Open Inference Protocol has it. */
export const refusalJson = (message: string): string => JSON.stringify({ error: message });

/** Of a request that was let in and that no thread could begin in time. */
export const tooLate = (): Refusal =>
  new Refusal(503, "the server is busy: no thread was free in the time of the request", {
    "retry-after": "1",
  });
