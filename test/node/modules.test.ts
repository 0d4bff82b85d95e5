/** Modules kept on disk: the same results, none of another network's, and no harm by what is damaged. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Placer } from "../../src/detect/placer.ts";
import { createSession, type ModuleStore } from "../../src/engine/session.ts";
import { preprocessingOf } from "../../src/heads/families.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { moduleFolder } from "../../src/node.ts";
import { expectEqual, graphOf, randomInputs, type WeightOptions } from "../engine/harness.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-modules-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const shapes = { data: [3, 16, 24] };
const network = (options: WeightOptions = {}): Graph =>
  graphOf(
    `Pooling pool 1 1 data p 0=0 1=3 2=2 3=1
     Convolution conv 1 1 p c 0=8 1=3 4=1 5=1 9=1
     Convolution last 1 1 c out 0=8 1=3 4=1 5=1 8=1`,
    shapes,
    options,
  );
const files = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".module"))
    .sort();
/** Entries are written behind the program's back. */
const expectFiles = (count: number): Promise<void> =>
  expect.poll(() => files().length, { timeout: 10_000 }).toBe(count);

/** Counts what is found and what is written. */
function counted(store: ModuleStore): ModuleStore & { found: number; written: Promise<void>[] } {
  const self = {
    ...store,
    found: 0,
    written: [] as Promise<void>[],
    read: async (key: string) => {
      const bytes = await store.read(key);
      if (bytes) self.found++;
      return bytes;
    },
    write: (key: string, bytes: Uint8Array) => {
      const writing = store.write(key, bytes);
      self.written.push(writing);
      return writing;
    },
  };
  return self;
}

async function runWith(
  graph: Graph,
  store: ModuleStore,
  outputs = graph.outputs,
): Promise<Record<string, Tensor>> {
  const session = await createSession(graph, { modules: store });
  const result = await session.run(randomInputs(shapes), outputs);
  session.close();
  return result;
}

test("a kept module gives the same numbers, profiles and plans", async () => {
  const graph = network();
  const store = counted(moduleFolder(folder));
  const first = await runWith(graph, store);
  await expectFiles(1);
  expect([store.found, store.written.length, files().length]).toEqual([0, 1, 1]);
  const second = await runWith(graph, store);
  expect([store.found, store.written.length]).toEqual([1, 1]);
  expectEqual(second.out, first.out, "kept");
  const session = await createSession(graph, { modules: store });
  const plain = await createSession(graph);
  const inputs = randomInputs(shapes);
  expect(await session.plan(inputs)).toBe(await plain.plan(inputs));
  expect((await session.profile(inputs, 2)).steps).toHaveLength(
    (await plain.profile(inputs, 2)).steps.length,
  );
  expectEqual((await session.run(inputs)).out, first.out, "after a profile");
  session.close();
  plain.close();
});

test("networks that are fed with pixels, and threads, are kept too", async () => {
  const graph = network();
  const input = {
    ...{ blob: "data", width: 24, height: 16, stride: 8, channels: 3 as const },
    ...preprocessingOf("yolov5", 3),
  };
  const picture = {
    width: 33,
    height: 21,
    channels: 3 as const,
    data: Uint8Array.from({ length: 33 * 63 }, (_, i) => i * 7),
  };
  for (const threads of [1, 2]) {
    const results: Tensor[] = [];
    const store = counted(moduleFolder(folder));
    for (let start = 0; start < 2; start++) {
      const session = await createSession(graph, { modules: store, threads });
      const placer = new Placer(input);
      const look = session.lookFor({ blob: "data", levels: placer.levels });
      const { pixels, tensor } = placer.place(picture, {});
      await look(pixels, tensor, ["out"], ({ blobs: { out } }) =>
        results.push({ ...out, data: out.data.slice() }),
      );
      session.close();
      await expectFiles(threads);
    }
    expect(store.found).toBe(1);
    expectEqual(results[1], results[0], `${threads} threads`);
  }
});

test("other weights, sizes, outputs, levels, threads and makers have entries of their own", async () => {
  const store = moduleFolder(folder);
  await runWith(network(), store);
  await expectFiles(1);
  await runWith(network({ seed: 2 }), store);
  await expectFiles(2);
  await runWith(network(), store, ["c"]);
  await expectFiles(3);
  await runWith(network(), { ...store, maker: "another" });
  await expectFiles(4);
  const session = await createSession(network(), { modules: store, threads: 2 });
  await session.run(randomInputs({ data: [3, 8, 8] }));
  session.close();
  await expectFiles(5);
});

test("what is damaged is made anew", async () => {
  const graph = network();
  const store = moduleFolder(folder);
  const { out } = await runWith(graph, store);
  await expectFiles(1);
  const [name] = files();
  const file = path.join(folder, name);
  const good = readFileSync(file);
  const damages: (() => void)[] = [
    () => truncateSync(file, good.length - 100),
    () => truncateSync(file, 0),
    () => writeFileSync(file, "nothing of the kind"),
    ...[3, 40, 90, 2000, good.length - 1].map((at) => () => {
      const bad = Buffer.from(good);
      bad[at] ^= 1;
      writeFileSync(file, bad);
    }),
  ];
  for (const damage of damages) {
    damage();
    expectEqual((await runWith(graph, store)).out, out, "damaged");
    await expect.poll(() => readFileSync(file).equals(good), { timeout: 10_000 }).toBe(true);
  }
});

test("layers in JavaScript are not kept, and a folder that cannot be written is no error", async () => {
  const odd = graphOf("Reorg r 1 1 data out 0=2", shapes);
  await runWith(odd, moduleFolder(folder));
  expect(files()).toEqual([]);
  const file = path.join(folder, "file");
  writeFileSync(file, "");
  const { out } = await runWith(network(), moduleFolder(path.join(file, "below")));
  expectEqual(out, (await runWith(network(), moduleFolder(folder))).out, "nowhere");
});

test("the folder stays within its size: what was not used for longest goes", async () => {
  const store = moduleFolder(folder, { most: 3000 });
  const key = (i: number): string => i.toString().repeat(64);
  for (let i = 1; i <= 3; i++) {
    await store.write(key(i), new Uint8Array(900));
    const past = new Date(Date.now() - 10_000 * (4 - i));
    utimesSync(path.join(folder, `${key(i)}.module`), past, past);
  }
  expect(await store.read(key(1))).toHaveLength(900);
  await store.write(key(4), new Uint8Array(900));
  expect(files()).toEqual([1, 3, 4].map((i) => `${key(i)}.module`));
  await store.write(key(5), new Uint8Array(3001));
  expect(files()).toHaveLength(3);
  // A network whose weights alone are more is not even hashed.
  const small = counted({ ...store, most: 100, digest: () => expect.fail("hashed") });
  await runWith(network(), small);
  expect(small.written).toEqual([]);
  expect(statSync(path.join(folder, files()[0])).mode & 0o777).toBe(
    process.platform === "win32" ? 0o666 : 0o600,
  );
  await expect(store.read("../../etc/passwd")).rejects.toThrow("is no key of a module");
});
