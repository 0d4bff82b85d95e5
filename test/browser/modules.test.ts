/** Modules kept in the browser's database: found by the next page, the same numbers, within their size. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRun, startBrowser, type TestBrowser } from "./page.ts";

/** Runs a network in a page: what it found in the database, and its output. `bad` damages what is there first. */
const visit = (most: number, bad: boolean): string => `
  (async () => {
    const { readNcnn } = await import("/dist/formats/ncnn/index.js");
    const { createSession } = await import("/dist/engine/session.js");
    const { moduleDatabase } = await import("/dist/open/module-database.js");
    const store = moduleDatabase("test", { build: "1", most: ${most} });
    const counts = { found: 0, written: [] };
    const modules = {
      ...store,
      read: async (key) => {
        const bytes = await store.read(key);
        if (bytes) counts.found++;
        return bytes && ${bad} ? bytes.fill(7, 100, 110) : bytes;
      },
      write: (key, bytes) => counts.written.push(store.write(key, bytes).then(() => bytes.length)),
    };
    const graph = readNcnn("7767517\\n2 2\\nInput in 0 1 in 0=8 1=8 2=3\\nReLU relu 1 1 in out\\n", new Uint8Array());
    const sizes = [];
    let last;
    for (const side of [8, 16]) {
      const session = await createSession(graph, { modules });
      const data = Float32Array.from({ length: 3 * side * side }, (_, i) => i - 40);
      last = await session.run({ in: { shape: [3, side, side], data } });
      session.close();
      // They are written behind the program's back.
      for (let i = 0; i < 100 && counts.found + counts.written.length < sizes.length + 1; i++) await new Promise((go) => setTimeout(go, 20));
      sizes.push(await counts.written.at(-1));
    }
    return { found: counts.found, written: counts.written.length, sum: last.out.data.reduce((a, b) => a + b), size: sizes[0] };
  })()`;

describe.skipIf(!canRun)("modules in the browser's database", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  }, 60_000);
  afterAll(() => browser?.close());

  it("are found by the next page, made anew where they are damaged, and dropped where they are too many", async () => {
    interface Answer {
      found: number;
      written: number;
      sum: number;
      size: number;
    }
    const page = await browser.open("/isolated");
    const run = async (most: number, bad = false): Promise<Answer> => {
      await page.reload();
      return page.evaluate(visit(most, bad));
    };
    const first = await run(1e6);
    expect(first).toMatchObject({ found: 0, written: 2 });
    expect(await run(1e6)).toMatchObject({ found: 2, written: 0, sum: first.sum });
    expect(await run(1e6, true)).toMatchObject({ found: 2, written: 2, sum: first.sum });
    // Room for one of them.
    await run(Math.ceil(first.size * 1.5), true);
    expect((await run(1e6)).found).toBe(1);
  });
});
