import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { load } from "../../src/node.ts";
import { registry } from "../../src/open/registry.ts";
import { dataBytes, dataPath, testData } from "../data.ts";
import { sendFile, startServer } from "../node/_server.ts";
import { put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const server = await startServer();
const checkpoint = "/ppogg/YOLOv5-Lite/eebd5acb3f8f4a541791cab209dcc8e017d9746b/weights/yolov5ss.pt";
let cache: string;

/** The published files come from the shared data, through the real `fetch` of the kit led to a local server. */
beforeEach(() => {
  cache = temporaryFolder();
  vi.stubEnv("NCNNKIT_CACHE", cache);
  vi.stubEnv("NCNNKIT_MODELS", "");
  const real = fetch;
  vi.stubGlobal("fetch", (address: URL, options: RequestInit) => {
    expect(address.origin).toBe("https://raw.githubusercontent.com");
    return real(`http://127.0.0.1:${server.port}${address.pathname}`, options);
  });
  server.requests.length = 0;
  server.handler = (request, response) => {
    const file = dataPath(`models/${path.basename(request.url ?? "")}`);
    if (existsSync(file)) sendFile(readFileSync(file))(request, response);
    else response.writeHead(404).end();
  };
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

test("the list", async () => {
  const { code, out, err } = await run("pull", "--list");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^codefinder +320×320 +5 classes +MIT +built in /);
  expect(out).toMatch(/\nyolov5ss +3\.4 MiB +640×640 +80 classes +GPL-3\.0 +to fetch /);
  const json = JSON.parse((await run("pull", "--list", "--json")).out);
  expect(json.map(({ name }: { name: string }) => name)).toEqual(registry.map(({ name }) => name));
  expect(json[1]).toMatchObject({
    here: false,
    files: [{ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
  });
  expect(server.requests).toEqual([]);
});

test("an unknown name and no name are misuse", async () => {
  const unknown = await run("pull", "yolov5ss", "yolov9");
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.err).toContain("yolov9: no model of this name; names are codefinder, yolov5ss, ");
  expect((await run("pull")).code).toBe(2);
  expect(server.requests).toEqual([]);
  const { code, err } = await run("inspect", "yolov9");
  expect({ code, err }).toEqual({
    code: 1,
    err: expect.stringContaining(
      "yolov9: there is no such file or folder, and no model of this name; names are ",
    ),
  });
});

test("offline it is one clear message", async () => {
  const { code, out, err } = await run("detect", "yolov5ss", "photo.jpg", "--offline");
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toBe(
    `error: yolov5ss is not on this machine, and nothing is fetched offline. Put this file into ${cache}/models (NCNNKIT_CACHE names another place), or into a folder that NCNNKIT_MODELS names:\n  https://raw.githubusercontent.com${checkpoint}\n`,
  );
});

testData("pull fetches, tells the licence once and prints paths", async () => {
  const { code, out, err } = await run("pull", "yolov5ss");
  expect(code).toBe(0);
  expect(out).toBe(`${cache}/models/yolov5ss.pt\n`);
  expect(err).toMatch(/^yolov5ss is published under GPL-3\.0 .*github\.com\/ppogg\/YOLOv5-Lite\n/);
  expect(err).toContain(`fetching https://raw.githubusercontent.com${checkpoint}, 3446 KiB\n`);
  expect(server.requests).toEqual([`GET ${checkpoint}`]);
  expect(readFileSync(out.trim()).equals(dataBytes("models/yolov5ss.pt"))).toBe(true);
  const again = await run("pull", "yolov5ss", "--json", "--offline");
  expect(again.err).toBe("");
  expect(JSON.parse(again.out)).toMatchObject([
    { name: "yolov5ss", licence: "GPL-3.0", files: [{ origin: "cache", path: out.trim() }] },
  ]);
  expect(server.requests).toHaveLength(1);
});

testData("every published file is pinned as it is, and opens", async () => {
  const names = registry.filter(({ builtIn }) => builtIn === undefined).map(({ name }) => name);
  expect((await run("pull", ...names)).code).toBe(0);
  expect(readdirSync(path.join(cache, "models"))).toHaveLength(server.requests.length); // none twice
  for (const { name, labels, input } of registry.filter(({ builtIn }) => builtIn === undefined)) {
    const { code, out } = await run("inspect", name, "--json", "--offline");
    expect(code, name).toBe(0);
    const { manifest } = JSON.parse(out);
    expect(manifest.labels).toEqual(labels);
    expect(manifest.input).toMatchObject(input);
    expect(manifest.heads[0].anchors).toEqual([4, 5, 8, 10, 13, 16]);
  }
});

testData("commands and load take a name, and a folder of the user instead of the network", async () => {
  vi.stubEnv("NCNNKIT_MODELS", dataPath("models"));
  const picture = dataPath("coco/images/val2017/000000000139.jpg");
  const detected = await run("detect", "yolov5ss", picture, "--size", "320");
  expect(detected.code).toBe(0);
  expect(detected.out).toMatch(/^tv 0\.\d+ /);
  const out = temporaryFolder();
  expect((await run("convert", "yolov5ss", "-o", out)).code).toBe(0);
  expect(readdirSync(out)).toEqual(["yolov5ss.bin", "yolov5ss.h", "yolov5ss.json", "yolov5ss.param"]);
  const model = await load("yolov5ss-ncnn", { offline: true });
  expect(model.manifest.name).toBe("yolov5ss");
  model.close();
  expect(server.requests).toEqual([]);
  expect(readdirSync(cache)).toEqual([]);
});

test("a file or folder of the current folder comes before a name", async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, "yolov5ss"));
  put(path.join(folder, "yolov5ss"), tinyFiles("yolov5ss"));
  const before = process.cwd();
  process.chdir(folder);
  try {
    const { code, out } = await run("inspect", "yolov5ss", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out).manifest.labels).toEqual(["white", "black"]);
  } finally {
    process.chdir(before);
  }
  expect(server.requests).toEqual([]);
});
