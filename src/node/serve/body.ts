/** The body of a request, whole, within limits of size, memory and time. */
import type { IncomingMessage } from "node:http";
import type { Gate } from "./gate.ts";
import { Refusal } from "./refusal.ts";

/** A client that went away; nobody is there to be answered. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** A body in memory; `free` it when it was handed on. */
export interface Body {
  readonly bytes: Uint8Array<ArrayBuffer>;
  free(): void;
  /** Takes room for more that comes of it. Throws Refusal (503) when there is none. */
  hold(bytes: number): void;
}

/**
 * Reads all of it. Throws Refusal: 413 above `most` bytes, 408 when `signal` is raised before it is there, 503 when other bodies fill
 * the memory; and ClientGone.
 */
export async function readBody(
  incoming: IncomingMessage,
  most: number,
  gate: Gate,
  signal: AbortSignal,
): Promise<Body> {
  const told = incoming.headers["content-length"];
  const tooLarge = (): Refusal => new Refusal(413, `the body has more than ${most} bytes`);
  if (told !== undefined && Number(told) > most) throw tooLarge();
  const held: (() => void)[] = [];
  const free = (): void => {
    for (const each of held.splice(0)) each();
  };
  const hold = (bytes: number): void => void held.push(gate.hold(bytes));
  try {
    return { bytes: await pieces(incoming, most, tooLarge, hold, signal), free, hold };
  } catch (error) {
    free();
    throw error;
  }
}

function pieces(
  incoming: IncomingMessage,
  most: number,
  tooLarge: () => Refusal,
  hold: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const done = (error?: unknown): void => {
      incoming.off("data", data).off("end", end).off("close", close).off("error", close);
      signal.removeEventListener("abort", late);
      if (error === undefined) resolve(joined(parts, length));
      else reject(error);
    };
    const data = (part: Buffer): void => {
      length += part.length;
      try {
        if (length > most) throw tooLarge();
        hold(part.length);
        parts.push(part);
      } catch (error) {
        done(error);
      }
    };
    const end = (): void => done();
    const close = (): void => done(new ClientGone("the connection was closed before the body was there"));
    const late = (): void =>
      done(
        signal.reason instanceof ClientGone
          ? signal.reason
          : new Refusal(408, "the body did not arrive in the time of the request"),
      );
    if (incoming.destroyed) return close();
    if (signal.aborted) return late();
    incoming.on("data", data).on("end", end).on("close", close).on("error", close);
    signal.addEventListener("abort", late);
  });
}

/** The most bytes, and milliseconds, that are spent on the rest of a body that nobody wants. */
const longestRest = { bytes: 2 ** 24, milliseconds: 2000 };

/**
 * Reads what is left of a body and forgets it, so that the client gets its answer instead of a broken connection in the middle of its
 * upload. Gives whether all of it came; a long or slow one is left where it is.
 */
export function discardRest(incoming: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    let length = 0;
    const done = (): void => {
      clearTimeout(timer);
      incoming.off("data", data).off("end", done).off("close", done).off("error", done);
      resolve(incoming.complete);
    };
    const data = (part: Buffer): void => {
      length += part.length;
      if (length > longestRest.bytes) done();
    };
    const timer = setTimeout(done, longestRest.milliseconds);
    const told = Number(incoming.headers["content-length"] ?? 0);
    if (incoming.complete || incoming.destroyed || told > longestRest.bytes) done();
    else incoming.on("data", data).on("end", done).on("close", done).on("error", done).resume();
  });
}

/** Pieces one behind the other. */
export function joined(
  pieces: readonly Uint8Array[],
  length = pieces.reduce((sum, piece) => sum + piece.length, 0),
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
