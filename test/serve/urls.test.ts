/** Pictures by address: allowed hosts, public addresses only, whatever names and redirects say. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isPublic } from "../../src/node/serve/addresses.ts";
import { Refusal } from "../../src/node/serve/refusal.ts";
import { fetchPicture, type UrlRules } from "../../src/node/serve/urls.ts";
import { picture, startServe } from "./_serve.ts";

test("public addresses, and those that are not", () => {
  for (const address of [
    "93.184.215.14",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450:4001:80b::200e",
  ]) {
    expect(isPublic(address), address).toBe(true);
  }
  const closed = [
    ...[
      "127.0.0.1",
      "127.9.9.9",
      "10.1.2.3",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "169.254.169.254",
    ],
    ...[
      "0.0.0.0",
      "100.64.0.1",
      "192.0.0.8",
      "192.0.2.1",
      "198.18.0.1",
      "224.0.0.1",
      "240.0.0.1",
      "255.255.255.255",
    ],
    ...["::", "::1", "fe80::1", "fd00::1", "fc00::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1"],
    ...["::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "fec0::1", "localhost", ""],
  ];
  for (const address of closed) expect(isPublic(address), address).toBe(false);
});

let host: Server;
let port = 0;
beforeAll(async () => {
  host = createServer(({ url = "/" }, response) => {
    const [, to] = /^\/to\/(.*)$/.exec(url) ?? [];
    if (to) response.writeHead(302, { location: decodeURIComponent(to) }).end();
    else if (url === "/picture.png") response.end(picture);
    else if (url === "/half") {
      response.writeHead(200, { "content-length": 100 }).write("abc");
      setTimeout(() => response.destroy(), 10);
    } else if (url === "/never") setTimeout(() => response.end(), 60_000).unref();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
  ({ port } = host.address() as AddressInfo);
});
afterAll(() => {
  host.closeAllConnections();
  host.close();
});

/** Names that lead to this machine, which counts as public here but for 127.0.0.2. */
const rules = (hosts: readonly string[], addresses: Record<string, string[]> = {}): UrlRules => ({
  hosts,
  lookup: async (name) => (addresses[name] ?? ["127.0.0.1"]).map((address) => ({ address, family: 4 })),
  isPublic: (address) => address === "127.0.0.1",
});
const get = (address: string, given: UrlRules, most = 10_000, signal = AbortSignal.timeout(5000)) =>
  fetchPicture(address, given, most, signal);
const refusedWith = (status: number, message: RegExp) =>
  expect.objectContaining({ status, message: expect.stringMatching(message) });
const at = (where: string, name = "a.example"): string => `http://${name}:${port}/${where}`;

test("an allowed host, by name, by any name below it, by redirect", async () => {
  for (const [address, allowed] of [
    [at("picture.png"), `a.example:${port}`],
    [at("picture.png", "deep.a.example"), `*.a.example:${port}`],
    [at("to/%2Fpicture.png"), `A.example:${port}`],
  ]) {
    const { bytes, name } = await get(address, rules([allowed]));
    expect([Buffer.compare(bytes, picture), name]).toEqual([0, address]);
  }
});

test("what is not allowed, or no public address", async () => {
  const allowed = [`a.example:${port}`, `*.a.example:${port}`, "plain.example", "127.0.0.1", "[::1]"];
  const refuse = async (address: string, status: number, message: RegExp, given = rules(allowed)) =>
    await expect(get(address, given), address).rejects.toEqual(refusedWith(status, message));
  await refuse(at("picture.png", "b.example"), 403, /b\.example:\d+ is not among the hosts/);
  await refuse(at("picture.png", "a.example.evil.com"), 403, /not among/);
  await refuse(at("picture.png", "eviLa.example"), 403, /not among/);
  await refuse("http://a.example/", 403, /not among/); // another port
  await refuse("http://plain.example:81/", 403, /not among/);
  await refuse("file:///etc/passwd", 403, /http and https only/);
  await refuse("ftp://a.example/", 403, /http and https only/);
  await refuse(`http://user:secret@a.example:${port}/`, 403, /password/);
  await refuse("no address", 400, /no address/);
  // An address instead of a name is looked at too.
  for (const address of ["http://127.0.0.1/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/"]) {
    await expect(get(address, { hosts: allowed }), address).rejects.toEqual(
      refusedWith(403, /no public address/),
    );
  }
  await expect(get("http://localhost/", { hosts: ["localhost"] })).rejects.toEqual(
    refusedWith(403, /no public address/),
  );
});

test("a name that means a private address, among others or by the second look (DNS rebinding)", async () => {
  const allowed = [`a.example:${port}`];
  const one = rules(allowed, { "a.example": ["127.0.0.2"] });
  await expect(get(at("picture.png"), one)).rejects.toEqual(
    refusedWith(403, /127\.0\.0\.2, which is no public/),
  );
  const mixed = rules(allowed, { "a.example": ["127.0.0.1", "127.0.0.2"] });
  await expect(get(at("picture.png"), mixed)).rejects.toEqual(refusedWith(403, /no public/));
  let looks = 0;
  const changing: UrlRules = {
    ...rules(allowed),
    lookup: async () => [{ address: looks++ ? "127.0.0.2" : "127.0.0.1", family: 4 }],
  };
  // One look for one connection, to what was looked at.
  expect((await get(at("picture.png"), changing)).bytes.length).toBe(picture.length);
  expect(looks).toBe(1);
  await expect(get(at("picture.png"), changing)).rejects.toEqual(refusedWith(403, /no public/));
});

test("redirects are followed by the same rules, and not for ever", async () => {
  const allowed = rules([`a.example:${port}`, `b.example:${port}`], { "b.example": ["127.0.0.2"] });
  const to = (address: string): string => at(`to/${encodeURIComponent(address)}`);
  await expect(get(to(at("picture.png", "c.example")), allowed)).rejects.toEqual(
    refusedWith(403, /not among/),
  );
  await expect(get(to(at("picture.png", "b.example")), allowed)).rejects.toEqual(
    refusedWith(403, /no public/),
  );
  await expect(get(to("file:///etc/passwd"), allowed)).rejects.toEqual(refusedWith(403, /http and https/));
  await expect(get(to(to(to(to(at("picture.png"))))), allowed)).rejects.toEqual(
    refusedWith(502, /redirects/),
  );
});

test("files that are too large, missing, broken off, late; hosts that are not there", async () => {
  const allowed = rules([`a.example:${port}`, "a.example:1"]);
  await expect(get(at("picture.png"), allowed, 10)).rejects.toEqual(refusedWith(413, /more than 10 bytes/));
  await expect(get(at("nothing"), allowed)).rejects.toEqual(refusedWith(502, /answered 404/));
  await expect(get(at("half"), allowed)).rejects.toEqual(refusedWith(502, /broke off/));
  await expect(get(at("never"), allowed, 10, AbortSignal.timeout(50))).rejects.toEqual(
    refusedWith(504, /in the time/),
  );
  await expect(get("http://a.example:1/", allowed)).rejects.toEqual(refusedWith(502, /cannot be reached/));
  await expect(get("http://no.invalid/", { hosts: ["no.invalid"] })).rejects.toBeInstanceOf(Refusal);
});

test("through the server: off unless hosts are said", async () => {
  const server = await startServe({ urlHosts: ["127.0.0.1", "a.invalid"], maxPictures: 2 });
  const headers = { "content-type": "application/json" };
  const ask = (json: unknown) => server.detect(JSON.stringify(json), "", headers);
  for (const [json, status, message] of [
    [{ urls: ["http://127.0.0.1/a.png"] }, 403, /no public address/],
    [{ urls: ["http://b.example/a.png"] }, 403, /not among the hosts/],
    [{ urls: ["http://a.invalid/a.png"] }, 502, /cannot be reached/],
    [{ urls: ["a.png"] }, 400, /urls\[0\]/],
    [{ urls: [] }, 400, /urls/],
    [{ url: "http://a.invalid/" }, 400, /the body/],
    [{ urls: ["http://a.invalid/", "http://a.invalid/", "http://a.invalid/"] }, 413, /3 pictures/],
  ] as const) {
    const answer = await ask(json);
    expect([answer.status, answer.json().error]).toEqual([status, expect.stringMatching(message)]);
  }
});
