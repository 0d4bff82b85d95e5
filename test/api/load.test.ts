/** `load` and `open` from memory, files and web addresses; what a model gives back. */
import { createServer, type Server } from "node:http";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { fp16ToNumber, numberToFp16 } from "../../src/base/fp16.ts";
import { createSession } from "../../src/engine/session.ts";
import * as browser from "../../src/index.ts";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import * as node from "../../src/node.ts";
import { put, temporaryFolder, tinyFiles, tinyModel } from "../cli/_run.ts";
import { dataBytes, dataPath, readNpy, testData } from "../data.ts";

const files = tinyFiles();
const bytesOf = (name: string): Uint8Array => {
  const content = files[name];
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
};
/** White in the cell (2, 5) of the grid, as RGBA. */
const picture: browser.Picture = {
  width: 64,
  height: 64,
  data: Uint8ClampedArray.from({ length: 64 * 64 * 4 }, (_, i) => {
    const [x, y] = [(i >> 2) % 64, Math.floor((i >> 2) / 64)];
    return x >= 16 && x < 24 && y >= 40 && y < 48 ? 255 : 0;
  }),
};
const box = { x: 16, y: 40, width: 8, height: 8 };

async function expectBox(model: browser.Model): Promise<void> {
  const found = (await model.detect(picture)).filter(browser.isObject);
  model.close();
  expect(found).toMatchObject([{ label: "white", classId: 0 }]);
  for (const [side, value] of Object.entries(box)) {
    expect(found[0].box[side as keyof typeof box]).toBeCloseTo(value, 3);
  }
}

test("parts in memory, with a manifest as object, text or bytes", async () => {
  const parts = { param: String(files["tiny.param"]), bin: bytesOf("tiny.bin") };
  const { manifest } = tinyModel();
  for (const given of [manifest, String(files["tiny.json"]), bytesOf("tiny.json")]) {
    await expectBox(await browser.load({ ...parts, manifest: given }));
  }
  const facts = { anchors: [[8, 8, 16, 16, 24, 24]], labels: ["white", "black"], size: 64 };
  await expectBox(await browser.load({ param: bytesOf("tiny.param"), bin: parts.bin }, facts));
});

test("files such as those of a drop", async () => {
  const dropped = ["tiny.bin", "tiny.json", "tiny.param"].map(
    (name) => new File([bytesOf(name).slice()], name),
  );
  await expectBox(await browser.load(dropped));
});

test("raw outputs by blob name; every blob can be asked for", async () => {
  const model = await browser.load({ param: bytesOf("tiny.param"), bin: bytesOf("tiny.bin") }, { size: 64 });
  const images = browser.tensor([3, 64, 64]);
  expect((await model.run({ images })).output.shape).toEqual([3, 64, 7]);
  const { raw } = await model.run({ images }, ["raw"]);
  expect(raw.shape).toEqual([21, 8, 8]);
  expect(raw.data[4 * 64]).toBeCloseTo(-5, 5); // objectness of black is the bias
  await expect(model.run({})).rejects.toThrow(/input "images" is missing/);
  await expect(model.run({ images }, ["nothing"])).rejects.toThrow(/nothing/);
  model.close();
});

test("what is wrong with a source is said", async () => {
  await expect(browser.load({})).rejects.toThrow(/no model given/);
  await expect(browser.load({ param: bytesOf("tiny.param") })).rejects.toThrow(/no such file.*weights/);
  await expect(browser.load("models/tiny.json")).rejects.toThrow(/not a web address.*ncnnkit\/node/);
  await expect(node.load({ pt: bytesOf("tiny.bin") })).rejects.toThrow(browser.NcnnkitError);
  const model = await browser.load({ param: bytesOf("tiny.param"), bin: bytesOf("tiny.bin") });
  await expect(model.detect(picture)).rejects.toThrow(browser.UnsupportedError);
  expect(model.assumptions.join()).toContain("--anchors");
  model.close();
});

const server: Server = createServer((request, response) => {
  const name = path.basename(new URL(request.url ?? "", "http://host").pathname);
  if (name === "broken.json") response.writeHead(500).end();
  else if (name === "half.json") {
    response.writeHead(200, { "content-length": 100 }).write("{");
    setTimeout(() => response.destroy(), 20);
  } else if (name in files) response.setHeader("content-length", bytesOf(name).length).end(bytesOf(name));
  else response.writeHead(404).end();
});
const port = await new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address ? address.port : 0);
  });
});
afterAll(() => void server.close());

test("web addresses: a manifest, a param with its manifest beside it, a folder", async () => {
  const base = `http://127.0.0.1:${port}/models`;
  await expectBox(await browser.load(`${base}/tiny.json`));
  await expectBox(await browser.load(new URL(`${base}/tiny.param?version=3`)));
  await expectBox(await node.load(`${base}/tiny`));
  await expect(browser.load(`${base}/no.json`)).rejects.toThrow(/no\.json: there is no such file/);
  await expect(browser.load(`${base}/broken.json`)).rejects.toThrow(/HTTP status 500/);
  await expect(browser.load(`${base}/half.json`)).rejects.toThrow(/half\.json broke off/);
  const last = new Map<string, browser.DownloadProgress>();
  const model = await browser.load(`${base}/tiny.json`, {
    onDownload: (progress) => last.set(path.basename(progress.url), progress),
  });
  model.close();
  for (const name of ["tiny.json", "tiny.param", "tiny.bin"]) {
    const { length } = bytesOf(name);
    expect(last.get(name)).toMatchObject({ received: length, total: length });
  }
  await expect(browser.load("http://127.0.0.1:1/tiny.json")).rejects.toThrow(/cannot fetch/);
});

test("paths on disk: a folder, any of its files", async () => {
  const folder = temporaryFolder();
  put(folder, files);
  for (const name of ["", "tiny.json", "tiny.param", "tiny.bin"]) {
    await expectBox(await node.load(path.join(folder, name)));
  }
});

test("two models run at the same time, and a closed one no more", async () => {
  const { manifest } = tinyModel();
  const parts = { param: bytesOf("tiny.param"), bin: bytesOf("tiny.bin"), manifest };
  const [a, b] = await Promise.all([browser.load(parts), browser.load(parts)]);
  await Promise.all([expectBox(a), expectBox(b)]);
  await expect(a.detect(picture)).rejects.toThrow(/closed/);
});

/** The nearest binary16 number that is not larger in magnitude. */
function cutToFp16(value: number): number {
  const half = numberToFp16(value);
  return fp16ToNumber(Math.abs(fp16ToNumber(half)) > Math.abs(value) ? half - 1 : half);
}

testData.each(["in320-139", "in416-776"])(
  "%s: the checkpoint gives native ncnn's raw outputs of the author's files",
  async (name) => {
    const { graph } = browser.convert(await browser.open({ pt: dataBytes("models/yolov5ss.pt") }));
    // The author's file holds the folded weights in float16, cut off towards zero.
    for (const { weights } of graph.nodes) {
      if (weights.weight) weights.weight = f32Weight(weightToFloat32(weights.weight).map(cutToFp16));
    }
    const input = readNpy(`golden/${name}.npy`);
    const [height, width] = input.shape;
    const area = width * height;
    const data = Float32Array.from(
      { length: 3 * area },
      (_, i) => input.data[(i % area) * 3 + Math.floor(i / area)] / 255,
    );
    const session = await createSession(graph);
    const outputs = await session.run({ images: { shape: [3, height, width], data } });
    session.close();
    for (const [i, blob] of ["output", "917", "937"].entries()) {
      const golden = readNpy(`golden/yolov5ss.${name}.${blob}.npy`);
      const found = outputs[`output${i}`];
      expect(found.shape).toEqual(golden.shape);
      let worst = 0;
      for (const [j, value] of found.data.entries())
        worst = Math.max(worst, Math.abs(value - golden.data[j]));
      expect(worst).toBeLessThan(1e-3);
    }
  },
);

testData("anchors and names of a bare .param come from the checkpoint beside it", async () => {
  const opened = await node.open(dataPath("models/yolov5ss-int8.param"));
  expect(opened.manifest.heads[0]).toMatchObject({ anchors: [4, 5, 8, 10, 13, 16] });
  expect(opened.assumptions).toHaveLength(1);
  const alone = await node.open(dataPath("models/v5lite-e.param"));
  expect(alone.manifest.heads.map((head) => head.stride)).toEqual([8, 16, 32]);
  expect(alone.assumptions.join()).toContain("defaults of YOLOv5");
});
