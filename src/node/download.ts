/** One pinned file from the web: from the host that the registry names, no byte more than stated, with the right hash. */
import { setTimeout as sleep } from "node:timers/promises";
import { InputError } from "../index.ts";
import { sha256 } from "../open/format.ts";
import type { RegistryFile } from "../open/registry.ts";

export interface DownloadOptions {
  /** Called with the bytes that are there so far; fewer than before when a server makes us begin anew. */
  onProgress?: (received: number) => void;
  /** Told why something is tried again. */
  onNotice?: (message: string) => void;
  signal?: AbortSignal;
  fetch?: typeof fetch;
  /** Milliseconds before each further attempt. */
  waits?: readonly number[];
  /** Milliseconds without a byte after which an attempt is given up. */
  patience?: number;
}

const maxRedirects = 5;

/** What another attempt may cure. */
class Interruption extends Error {}

/** What has come so far; an attempt goes on where the one before broke off. */
interface State {
  readonly bytes: Uint8Array;
  received: number;
  /** Of the version that `bytes` began with; only with one may the rest be asked for. */
  etag?: string;
}

/**
 * The bytes of a file, checked against its size and sha256. Held in memory, so nothing unchecked ever reaches the disk. Broken
 * connections and busy servers are tried again, from the byte where it broke off if the server can do that.
 * Throws InputError with the address; the reason of `signal` when aborted.
 */
export async function download(file: RegistryFile, options: DownloadOptions = {}): Promise<Uint8Array> {
  const { waits = [500, 1000, 2000], signal, onNotice } = options;
  const state: State = { bytes: new Uint8Array(file.bytes), received: 0 };
  for (let tried = 0; ; tried++) {
    try {
      await attempt(file, state, options);
      break;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Interruption)) throw error;
      if (tried >= waits.length) {
        throw new InputError(`cannot fetch ${file.url}: ${error.message}; tried ${tried + 1} times`, {
          cause: error,
        });
      }
      onNotice?.(`${file.name}: ${error.message}; trying again in ${waits[tried] / 1000} s`);
      await sleep(waits[tried], undefined, { signal });
    }
  }
  const digest = await sha256(state.bytes);
  if (digest !== file.sha256) {
    throw new InputError(
      `${file.url} has other content than expected: sha256 ${digest}, expected ${file.sha256}; it was not kept`,
    );
  }
  return state.bytes;
}

async function attempt(file: RegistryFile, state: State, options: DownloadOptions): Promise<void> {
  const watch = stallWatch(options);
  try {
    const response = await request(file, state, watch.signal, options.fetch ?? fetch);
    if (response.status === 200) state.received = 0;
    const etag = response.headers.get("etag");
    state.etag = etag?.startsWith('"') ? etag : undefined; // a weak one does not promise equal bytes
    options.onProgress?.(state.received);
    const reader = response.body?.getReader();
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      watch.touch();
      take(file, state, next.value);
      options.onProgress?.(state.received);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof InputError || error instanceof Interruption) throw error;
    if (watch.stalled()) throw new Interruption(`no answer for ${watch.patience / 1000} s`);
    throw networkError(file, error);
  } finally {
    watch.stop();
  }
  if (state.received < file.bytes) {
    throw new Interruption(`it ended after ${state.received} of ${file.bytes} bytes`);
  }
}

function take(file: RegistryFile, state: State, piece: Uint8Array): void {
  if (state.received + piece.length > file.bytes) {
    throw new InputError(
      `${file.url} is larger than the ${file.bytes} bytes expected; it was not read further and not kept`,
    );
  }
  state.bytes.set(piece, state.received);
  state.received += piece.length;
}

/** Aborts when nothing has come for a while, or when the caller wants to. */
function stallWatch({ signal, patience = 30_000 }: DownloadOptions) {
  const controller = new AbortController();
  let stalled = false;
  const give = (): void => {
    stalled = true;
    controller.abort();
  };
  let timer = setTimeout(give, patience);
  return {
    patience,
    signal: signal ? AbortSignal.any([controller.signal, signal]) : controller.signal,
    stalled: () => stalled,
    touch(): void {
      clearTimeout(timer);
      timer = setTimeout(give, patience);
    },
    /** Also ends a body that is still on its way. */
    stop(): void {
      clearTimeout(timer);
      controller.abort();
    },
  };
}

/** A response with (the rest of) the file. Redirects are followed on the same host, over https, only. */
async function request(
  file: RegistryFile,
  state: State,
  signal: AbortSignal,
  fetcher: typeof fetch,
): Promise<Response> {
  const first = new URL(file.url);
  if (first.protocol !== "https:") throw new InputError(`${file.url}: only https addresses are fetched`);
  const resume =
    state.received && state.etag ? { range: `bytes=${state.received}-`, "if-range": state.etag } : undefined;
  // Compressed, neither the length nor a range would be those of the file.
  const headers = { "accept-encoding": "identity", ...resume };
  let url = first;
  for (let hops = 0; ; hops++) {
    const response = await fetcher(url, { headers, redirect: "manual", signal });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) {
      checkStatus(file, state, response);
      return response;
    }
    await response.body?.cancel();
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
    if (next?.protocol !== "https:" || next.host !== first.host) {
      throw new InputError(
        `${file.url} redirects to ${next?.href ?? location}: another host than ${first.host} is not followed`,
      );
    }
    if (hops >= maxRedirects) throw new InputError(`${file.url} redirects in a circle, last to ${next.href}`);
    url = next;
  }
}

function checkStatus(file: RegistryFile, state: State, response: Response): void {
  const { status } = response;
  if (status === 206 || status === 416) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (status === 206 && state.received && Number(range?.[1]) === state.received) return;
    state.received = 0; // next time from the beginning
    throw new Interruption("the server cannot go on where it broke off");
  }
  if (status === 408 || status === 429 || status >= 500) throw new Interruption(`HTTP status ${status}`);
  if (status === 404 || status === 410) {
    throw new InputError(`cannot fetch ${file.url}: it is no longer there (HTTP status ${status})`);
  }
  if (status !== 200) throw new InputError(`cannot fetch ${file.url}: HTTP status ${status}`);
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) !== file.bytes && !response.headers.get("content-encoding")) {
    throw new InputError(
      `${file.url} has ${length} bytes, expected ${file.bytes}: another file, or the page of a proxy; it was not kept`,
    );
  }
}

/** Reasons of the system in words; those that time does not cure are final. */
function networkError(file: RegistryFile, error: unknown): Error {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const detail = cause instanceof Error && cause.message ? cause.message : String(error);
  if (["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL"].includes(code)) {
    const { host } = new URL(file.url);
    return new InputError(
      `cannot fetch ${file.url}: ${host} cannot be reached: there is no network, or a proxy is needed`,
      {
        cause: error,
      },
    );
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/.test(code)) {
    return new InputError(`cannot fetch ${file.url}: the connection is not secure: ${detail}`, {
      cause: error,
    });
  }
  return new Interruption(`the connection broke off: ${detail}`, { cause: error });
}
