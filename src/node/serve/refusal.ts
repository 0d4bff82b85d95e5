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
