/**
 * Pictures by their address, from hosts that were allowed and from public addresses only. A name is looked up once, and the connection
 * goes to the very address that was looked at: a name that changes its mind in between (DNS rebinding) leads nowhere. Redirects are
 * followed by hand, each by the same rules.
 */
import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup as systemLookup } from "node:dns/promises";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { isPublic } from "./addresses.ts";
import { joined } from "./body.ts";
import type { SentPicture } from "./messages.ts";
import { Refusal } from "./refusal.ts";

export interface UrlRules {
  /** Hosts that pictures may come from: `example.org`, `*.example.org`, with a port where it is not the usual one. */
  readonly hosts: readonly string[];
  /** For tests: how names are looked up, and which addresses are fit. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
  readonly isPublic?: (address: string) => boolean;
}

const mostRedirects = 3;

/** Throws Refusal: 403 for an address that is not allowed, 413 for a file above `most` bytes, 502 for a host that gives none. */
export async function fetchPicture(
  address: string,
  rules: UrlRules,
  most: number,
  signal: AbortSignal,
): Promise<SentPicture> {
  let url = parsed(address);
  for (let hop = 0; ; hop++) {
    checkAllowed(url, rules);
    const response = await ask(url, rules, signal);
    try {
      const { statusCode = 0, headers } = response;
      if ([301, 302, 303, 307, 308].includes(statusCode) && headers.location !== undefined) {
        if (hop === mostRedirects) throw new Refusal(502, `${address}: more than ${mostRedirects} redirects`);
        url = parsed(headers.location, url);
        continue;
      }
      if (statusCode !== 200) throw new Refusal(502, `${address}: the host answered ${statusCode}`);
      return { name: address, bytes: await received(response, address, most) };
    } finally {
      response.destroy();
    }
  }
}

function parsed(address: string, base?: URL): URL {
  if (!URL.canParse(address, base)) throw new Refusal(400, `${JSON.stringify(address)} is no address`);
  return new URL(address, base);
}

function checkAllowed(url: URL, { hosts }: UrlRules): void {
  const { protocol, hostname, port, username, password } = url;
  if (protocol !== "http:" && protocol !== "https:") {
    throw new Refusal(403, `${url.href}: pictures are fetched by http and https only`);
  }
  if (username || password) throw new Refusal(403, `${url.host}: addresses with a password are not fetched`);
  const isAllowed = hosts.some((rule) => {
    const [, any, name, rulePort = ""] =
      /^(\*\.)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(rule.toLowerCase()) ?? [];
    const fits = any ? hostname.endsWith(`.${name}`) : hostname === name;
    return fits && port === rulePort;
  });
  if (!isAllowed) throw new Refusal(403, `${url.host} is not among the hosts that pictures are fetched from`);
}

const bracketless = (host: string): string => host.replace(/^\[|\]$/g, "");

async function ask(url: URL, rules: UrlRules, signal: AbortSignal): Promise<IncomingMessage> {
  const host = bracketless(url.hostname);
  const isFit = rules.isPublic ?? isPublic;
  const lookup = rules.lookup ?? ((name: string) => systemLookup(name, { all: true }));
  try {
    const found = isIP(host) ? [{ address: host, family: isIP(host) }] : await lookup(host);
    const bad = found.find(({ address }) => !isFit(address));
    if (bad || !found.length) {
      throw new Refusal(403, `${url.host} is ${bad?.address ?? "nowhere"}, which is no public address`);
    }
    return await request(url, pinned(found), signal);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (signal.aborted) throw new Refusal(504, `${url.host} did not answer in the time of the request`);
    throw new Refusal(502, `${url.host} cannot be reached: ${(error as Error).message}`);
  }
}

/** A look-up that gives what was looked at, whatever the name means by now. */
function pinned(found: readonly LookupAddress[]): LookupFunction {
  return (_host: string, options: LookupOptions, done) => {
    if (options.all) done(null, [...found]);
    else done(null, found[0].address, found[0].family);
  };
}

function request(url: URL, lookup: LookupFunction, signal: AbortSignal): Promise<IncomingMessage> {
  const { get } = url.protocol === "https:" ? https : http;
  return new Promise((resolve, reject) => {
    const headers = { accept: "image/*", "user-agent": "ncnnkit" };
    // Without an agent, no connection is one that was made for another request.
    get(url, { lookup, signal, headers, agent: false }, resolve).on("error", reject);
  });
}

async function received(
  response: IncomingMessage,
  address: string,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > most) throw new Refusal(413, `${address}: the file has more than ${most} bytes`);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(502, `${address}: the host broke off: ${(error as Error).message}`);
  }
  return joined(parts, length);
}
