/** Who may ask: tokens, and names by which this server may be called. */
import { createHash, timingSafeEqual } from "node:crypto";
import { Refusal } from "./refusal.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Throws Refusal (401) for a request without one of the tokens; how long that takes says nothing of them. */
export function tokenCheck(tokens: readonly string[]): (authorization: string | undefined) => void {
  const known = tokens.map(digest);
  const challenge = { "www-authenticate": 'Bearer realm="ncnnkit"' };
  return (authorization) => {
    if (!known.length) return;
    const [, given] = /^bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
    const found = digest(given ?? "");
    // All are looked at, whichever fits.
    const fits = known.map((each) => timingSafeEqual(each, found)).includes(true);
    if (given === undefined || !fits) {
      throw new Refusal(401, "a token is needed: authorization: Bearer TOKEN", challenge);
    }
  };
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/**
 * Throws Refusal (403) for a request to a server on loopback that calls it by another name: a page of a stranger in a browser of this
 * machine, whose host name was made to mean 127.0.0.1, would reach it so.
 */
export function hostCheck(listening: string): (host: string | undefined) => void {
  const isLocal = loopback.test(listening) || listening === "::1";
  return (host) => {
    const name = (host ?? "").replace(/:\d+$/, "");
    if (isLocal && !loopback.test(name)) {
      throw new Refusal(
        403,
        `this server answers to localhost and 127.0.0.1, not to ${JSON.stringify(name)}; --host gives it to the network`,
      );
    }
  };
}
