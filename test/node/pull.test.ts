import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { InputError, registry } from "../../src/index.ts";
import { modelCache } from "../../src/node/cache.ts";
import { fileError } from "../../src/node/files.ts";
import { isHere, namedFolder, obtain, type Place, type PullOptions, placeOf } from "../../src/node/pull.ts";
import { writeFiles } from "../../src/node/write.ts";
import { modelExtensions } from "../../src/open/formats.ts";
import type { RegistryEntry } from "../../src/open/registry.ts";
import { temporaryFolder } from "../cli/_run.ts";
import { breakOff, sendFile, startServer } from "./_server.ts";

const server = await startServer();
const files: Record<string, Uint8Array> = {
  "a.param": new TextEncoder().encode("the layers"),
  "a.bin": Uint8Array.from({ length: 3000 }, (_, i) => i & 255),
};
const entry: RegistryEntry = {
  name: "a",
  description: "a test",
  licence: "MIT",
  licenceNote: "as far as known",
  homepage: "https://models.test/about",
  labels: ["x"],
  input: { width: 64, height: 64 },
  files: Object.entries(files).map(([name, bytes]) => ({
    name,
    url: `https://models.test/${name}`,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  })),
};

/** A place of its own with an empty cache, and what was asked of the server since. */
function fresh(more: Partial<Place> = {}): Place {
  server.requests.length = 0;
  server.handler = (request, response) => sendFile(files[request.url?.slice(1) ?? ""])(request, response);
  const cache = path.join(temporaryFolder(), "deep/models");
  return { ...placeOf({}), cache, network: { fetch: server.fetch, waits: [1] }, ...more };
}

async function pull(place: Place, options: PullOptions = {}) {
  const notices: string[] = [];
  const found = await obtain(entry, { onNotice: (text) => notices.push(text), ...options }, place);
  return { notices, found, origins: found.map(({ origin }) => origin) };
}

const failure = (place: Place, options?: PullOptions): Promise<Error> =>
  pull(place, options).then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );

const inside = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

test("a model is downloaded once, with its licence, and then comes from the cache without a request", async () => {
  const place = fresh();
  const progress: string[] = [];
  const first = await pull(place, {
    onDownload: ({ url, received, total }) => progress.push(`${url} ${received}/${total}`),
  });
  expect(first.origins).toEqual(["download", "download"]);
  expect(first.notices).toEqual(["a is published under MIT (as far as known): https://models.test/about"]);
  expect(progress.at(-1)).toBe("https://models.test/a.bin 3000/3000");
  expect(inside(place.cache)).toEqual(["a.bin", "a.param"]);
  for (const [name, bytes] of Object.entries(files)) {
    expect(new Uint8Array(readFileSync(path.join(place.cache, name)))).toEqual(bytes);
  }
  const again = await pull(place);
  expect(again.origins).toEqual(["cache", "cache"]);
  expect(again.notices).toEqual([]);
  expect((await pull(place, { offline: true })).origins).toEqual(["cache", "cache"]);
  expect(server.requests).toHaveLength(2);
});

test("a damaged file of the cache is fetched anew, offline it is an error", async () => {
  const place = fresh();
  await pull(place);
  const where = path.join(place.cache, "a.bin");
  writeFileSync(where, files["a.bin"].subarray(0, 1500));
  const error = await failure(place, { offline: true });
  expect(error.message).toContain(`${where} is damaged or of another version: sha256 `);
  const { origins, notices } = await pull(place);
  expect(origins).toEqual(["cache", "download"]);
  expect(notices[0]).toContain("fetching it anew");
  expect(new Uint8Array(readFileSync(where))).toEqual(files["a.bin"]);
});

test("without a network the message has the addresses and the folder", async () => {
  const place = fresh();
  const byHand = `Put these 2 files into ${place.cache} (NCNNKIT_CACHE names another place), or into a folder that NCNNKIT_MODELS names:\n  https://models.test/a.param\n  https://models.test/a.bin`;
  const offline = await failure(place, { offline: true });
  expect(offline).toBeInstanceOf(InputError);
  expect(offline.message).toBe(`a is not on this machine, and nothing is fetched offline. ${byHand}`);
  expect(existsSync(place.cache)).toBe(false);
  const dead: typeof fetch = () =>
    Promise.reject(
      new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ENOTFOUND" }) }),
    );
  const unreachable = await failure({ ...place, network: { fetch: dead } });
  expect(unreachable.message).toBe(
    `cannot fetch https://models.test/a.param: models.test cannot be reached: there is no network, or a proxy is needed. ${byHand}`,
  );
  // Somebody does as told.
  mkdirSync(place.cache, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(place.cache, name), bytes);
  expect((await pull(place, { offline: true })).origins).toEqual(["cache", "cache"]);
  expect(server.requests).toEqual([]);
});

test("a download that fails leaves nothing of itself, and names what is still missing", async () => {
  const place = fresh();
  server.handler = (request, response) => {
    const bytes = files[request.url?.slice(1) ?? ""];
    if (request.url === "/a.param") sendFile(bytes)(request, response);
    else breakOff(bytes, 1000, "")(request, response);
  };
  const error = await failure(place);
  expect(error.message).toContain("cannot fetch https://models.test/a.bin: ");
  expect(error.message).toContain(`Put this file into ${place.cache}`);
  expect(error.message).toMatch(/names:\n {2}https:\/\/models.test\/a.bin$/);
  expect(inside(place.cache)).toEqual(["a.param"]); // whole and checked
  const wrong = fresh();
  server.handler = sendFile(files["a.bin"].map((byte) => byte ^ 1));
  expect((await failure(wrong)).message).toContain("another file, or the page of a proxy");
  expect(inside(wrong.cache)).toEqual([]);
});

test("a folder of the user comes first and is checked as well", async () => {
  const offlineFolder = temporaryFolder();
  writeFileSync(path.join(offlineFolder, "a.bin"), files["a.bin"]);
  const place = fresh({ offlineFolder });
  const { found, origins } = await pull(place);
  expect(origins).toEqual(["download", "offline folder"]);
  expect(found[1].path).toBe(path.join(offlineFolder, "a.bin"));
  expect(server.requests).toEqual(["GET /a.param"]);
  expect(isHere(entry, place)).toBe(true);
  writeFileSync(path.join(offlineFolder, "a.bin"), "not this");
  expect((await failure(place)).message).toContain(
    `${path.join(offlineFolder, "a.bin")} is not the file of this name that the registry means`,
  );
  const missing = await failure(fresh({ offlineFolder: path.join(offlineFolder, "nothing") }));
  expect(missing.message).toMatch(/^NCNNKIT_MODELS is .*, which is no folder$/);
});

test("a cache that cannot be written is told before anything is fetched", async () => {
  const file = path.join(temporaryFolder(), "file");
  writeFileSync(file, "");
  const place = fresh({ cache: path.join(file, "models") });
  const error = await failure(place);
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toContain(`cannot make the folder ${place.cache}`);
  expect(error.message).toContain("https://models.test/a.bin");
  expect(server.requests).toEqual([]);
});

test("a full disk is told, and nothing is kept", async () => {
  const write: Place["write"] = async (folder, content) => {
    const [name] = Object.keys(content);
    throw fileError("write", path.join(folder, name), Object.assign(new Error(), { code: "ENOSPC" }));
  };
  const place = fresh({ write });
  const error = await failure(place);
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toContain(
    `https://models.test/a.param: cannot write ${path.join(place.cache, "a.param")}: no space left on the device`,
  );
  expect(inside(place.cache)).toEqual([]);
});

test("where a faster process wrote the file meanwhile, a failing write is none", async () => {
  const write: Place["write"] = async (folder, content) => {
    await writeFiles(folder, content);
    throw fileError("write", folder, Object.assign(new Error(), { code: "EPERM" }));
  };
  expect((await pull(fresh({ write }))).origins).toEqual(["download", "download"]);
});

test("many at once do not get in each other's way", async () => {
  const place = fresh();
  const all = await Promise.all(Array.from({ length: 8 }, () => pull(place)));
  for (const { found } of all) {
    expect(found.map(({ content }) => content)).toEqual(Object.values(files));
  }
  expect(inside(place.cache)).toEqual(["a.bin", "a.param"]);
});

test("the folder of a model shows its checked files only", async () => {
  const place = fresh();
  await pull(place);
  writeFileSync(path.join(place.cache, "a.json"), "{}");
  const { folder, name } = await namedFolder(entry, {}, place);
  expect(name).toBe("a.param");
  expect(await folder.read("a.json")).toBeUndefined();
  expect(await folder.read("a.bin")).toEqual(files["a.bin"]);
  expect(folder.describe("a.bin")).toBe(path.join(place.cache, "a.bin"));
  expect(await folder.list?.()).toEqual(["a.param", "a.bin"]);
});

test("the cache lies where the system wants it", () => {
  const at = (environment: Record<string, string>, platform: NodeJS.Platform): string =>
    modelCache(environment, platform, platform === "win32" ? "C:\\Users\\u" : "/home/u");
  expect(at({}, "linux")).toBe("/home/u/.cache/ncnnkit/models");
  expect(at({ XDG_CACHE_HOME: "/x" }, "linux")).toBe("/x/ncnnkit/models");
  expect(at({ XDG_CACHE_HOME: "relative" }, "linux")).toBe("/home/u/.cache/ncnnkit/models");
  expect(at({}, "darwin")).toBe("/home/u/Library/Caches/ncnnkit/models");
  expect(at({}, "win32")).toBe("C:\\Users\\u\\AppData\\Local\\ncnnkit\\Cache\\models");
  expect(at({ LOCALAPPDATA: "D:\\L" }, "win32")).toBe("D:\\L\\ncnnkit\\Cache\\models");
  expect(at({ NCNNKIT_CACHE: "/own", XDG_CACHE_HOME: "/x" }, "linux")).toBe("/own/models");
});

test("every entry of the registry is complete", () => {
  const contents = new Map<string, string>();
  for (const { name, licence, labels, input, files: listed, builtIn } of registry) {
    expect(name).toMatch(/^[a-z0-9-]+$/); // so that it is no path
    expect(licence).not.toBe("");
    expect(labels.length).toBeGreaterThan(0);
    expect(new Set(labels).size).toBe(labels.length);
    expect((input.width % 32) + (input.height % 32)).toBe(0);
    expect(listed.length > 0).toBe(builtIn === undefined);
    for (const { name: file, url, bytes, sha256 } of listed) {
      expect(new URL(url).protocol).toBe("https:");
      expect(url).toMatch(/\/[0-9a-f]{40}\//); // a commit, not a branch
      expect(path.posix.basename(new URL(url).pathname)).toBe(file); // what a person downloads is named right
      expect(modelExtensions).toContain(path.extname(file).slice(1));
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(bytes).toBeGreaterThan(0);
      expect(contents.get(file) ?? sha256, file).toBe(sha256); // one folder for all
      contents.set(file, sha256);
    }
  }
  expect(new Set(registry.map(({ name }) => name)).size).toBe(registry.length);
});
