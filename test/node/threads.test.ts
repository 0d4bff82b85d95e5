/** Passes on worker threads give what passes in this thread give, to the last bit. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareModels } from "../../src/deploy/compare.ts";
import { createSession } from "../../src/engine/session.ts";
import {
  calibrateModel,
  calibrationSource,
  evaluateModels,
  GraphError,
  quantizeModel,
  readEntries,
} from "../../src/index.ts";
import { openDataset, openPictures } from "../../src/node/dataset.ts";
import { Threads } from "../../src/node/threads.ts";
import { Model } from "../../src/open/model.ts";
import { detectionFocus, detectionImportance } from "../../src/tally/importance.ts";
import { png, run, temporaryFolder, tinyFiles, tinyModel } from "../cli/_run.ts";

const folder = temporaryFolder();
const count = 24;
const pictures = path.join(folder, "images");
const threads = new Threads(3);
const { graph, manifest } = tinyModel();
beforeAll(() => {
  mkdirSync(pictures);
  for (let i = 0; i < count; i++) {
    // White squares, larger from picture to picture.
    const at = (i * 5) % 40;
    const inside = (v: number) => v >= at && v < at + 6 + (i % 9) * 2;
    const name = path.join(pictures, String(i).padStart(2, "0"));
    writeFileSync(
      `${name}.png`,
      i === 5 ? Buffer.from("no picture") : png(64, 48, (x, y) => inside(x) && inside(y)),
    );
    const side = 6 + (i % 9) * 2;
    writeFileSync(
      `${name}.txt`,
      `0 ${(at + side / 2) / 64} ${(at + side / 2) / 48} ${side / 64} ${side / 48}\n`,
    );
  }
  for (const [name, content] of Object.entries(tinyFiles())) writeFileSync(path.join(folder, name), content);
});
afterAll(() => threads.close());

const runner = threads.runner;
const modelOf = async (of = graph) => new Model({ manifest, assumptions: [] }, await createSession(of));

describe("the same as in one thread", () => {
  test.each(["auto", "eq", "kl"] as const)("calibration by %s", async (method) => {
    const entries = await openPictures(pictures);
    const skipped: string[] = [];
    const seen: string[] = [];
    const make = (given: object) =>
      calibrateModel(
        graph,
        calibrationSource(entries, manifest.input, (message) => skipped.push(message)),
        {
          ...{ method, focus: detectionFocus(manifest), importance: detectionImportance(manifest) },
          ...given,
        },
      );
    const here = await make({});
    const there = await make({ runner, onProgress: ({ phase }: { phase: string }) => seen.push(phase) });
    expect(there.plainTable).toBe(here.plainTable);
    expect(there.corrections).toEqual(here.corrections);
    expect(there.layers).toEqual(here.layers);
    expect(there.images).toBe(count - 1);
    expect(skipped).toHaveLength(2);
    expect(skipped[0]).toBe(skipped[1]);
    expect(seen).toContain("observe");
  });

  test("evaluation and comparison, of labelled pictures", async () => {
    const { entries } = await openDataset(pictures, { labels: manifest.labels, heads: manifest.heads });
    const source = calibrationSource(entries, manifest.input, () => {});
    const { table } = await calibrateModel(graph, source, { method: "minmax" });
    const int8 = quantizeModel({ graph, manifest }, table as never, { name: "int8" });
    const models = [await modelOf(), await modelOf(int8.graph)];
    const measure = async (given: object) => {
      const result = await evaluateModels(
        models,
        readEntries(entries, () => {}),
        given,
      );
      return { ...result, models: result.models.map((model) => ({ ...model, milliseconds: 0 })) };
    };
    const here = await measure({});
    expect(here.images).toBe(count - 1);
    expect(here.models[0].coco?.AP50).toBeGreaterThan(0);
    expect(await measure({ runner })).toEqual(here);
    const compare = (given: object) =>
      compareModels(
        models[0],
        models[1],
        readEntries(entries, () => {}),
        given,
      );
    expect(await compare({ runner })).toEqual(await compare({}));
    for (const model of models) model.close();
  });

  test("detect, which tells in the order of pictures", async () => {
    const detect = (threads: string, ...rest: string[]) =>
      run("detect", path.join(folder, "tiny.json"), pictures, "--threads", threads, ...rest);
    const [here, there] = [await detect("1"), await detect("3")];
    expect(here.out.split("\n").length).toBeGreaterThan(count);
    expect(there.out).toBe(here.out);
    expect(there.err).toContain("skipped");
    const outs = ["one", "three"].map((name) => path.join(folder, name));
    expect(await detect("1", "--out", outs[0], "--save", "coco")).toMatchObject({ code: 0 });
    expect(await detect("3", "--out", outs[1], "--save", "coco")).toMatchObject({ code: 0 });
    for (const name of ["07.png", "detections.json"]) {
      expect(readFileSync(path.join(outs[1], name))).toEqual(readFileSync(path.join(outs[0], name)));
    }
    const json = async (threads: string) => {
      const parsed = JSON.parse((await detect(threads, "--json")).out);
      for (const image of parsed.images) delete image.milliseconds;
      return parsed;
    };
    expect(await json("3")).toEqual(await json("1"));
  });
});

test("what a network throws ends the pass with its class, and the threads go on", async () => {
  const broken = tinyModel().graph;
  broken.node("head")!.weights.bias!.data[0] = Number.NaN;
  const entries = await openPictures(pictures);
  const model = await modelOf(broken);
  const measured = evaluateModels(
    [model],
    readEntries(entries, () => {}),
    { runner },
  );
  await expect(measured).rejects.toThrow(GraphError);
  await expect(measured).rejects.toThrow(/output "output" of picture .* holds NaN/);
  model.close();
  const whole = await modelOf();
  expect(
    (
      await evaluateModels(
        [whole],
        readEntries(entries, () => {}),
        { runner },
      )
    ).images,
  ).toBe(count - 1);
  whole.close();
});

test("a signal ends it", async () => {
  const entries = await openPictures(pictures);
  const stop = new AbortController();
  const model = await modelOf();
  const measured = evaluateModels(
    [model],
    readEntries(entries, () => {}),
    {
      ...{ runner, signal: stop.signal },
      onProgress: () => stop.abort(),
    },
  );
  await expect(measured).rejects.toThrow(/abort/i);
  model.close();
});
