/** The engine in Chromium: the same numbers as in Node, on the page and in a worker with threads. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { load } from "../../src/node.ts";
import { dataPath, describeDataIf } from "../data.ts";
import { canRun, startBrowser, type TestBrowser } from "./page.ts";

/** What the page computes: a hash and some figures of each output, small enough to send. */
interface Answer {
  readonly backend: string;
  readonly sums: Record<string, number[]>;
}

const models = { float: "models/yolov5ss", int8: "golden/off-kl-320" };
const size = 160;

/** Runs in the page, in a worker and here: module text, so that it needs nothing from outside. */
const compute = `
  const digest = (data) => {
    let [sum, squares, hash] = [0, 0, 2166136261];
    const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
    for (let i = 0; i < data.length; i++) {
      sum += data[i];
      squares += data[i] * data[i];
      hash = Math.imul(hash ^ words[i], 16777619) >>> 0;
    }
    return [sum, squares, hash, data[0], data[data.length - 1]];
  };
  const answer = async (load, parts, threads, size) => {
    const model = await load(parts, { threads });
    const data = new Float32Array(3 * size * size);
    for (let i = 0, state = 1; i < data.length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      data[i] = ((state >> 8) & 255) / 255;
    }
    const outputs = await model.run({ images: { shape: [3, size, size], data } });
    model.close();
    const sums = {};
    for (const [blob, { data }] of Object.entries(outputs)) sums[blob] = digest(data);
    return { backend: model.backend, sums };
  };
`;

const inPage = (base: string, threads: number): string => `
  (async () => {
    ${compute}
    const { load } = await import("/dist/index.js");
    const bytes = async (end) => new Uint8Array(await (await fetch("/data/${base}" + end)).arrayBuffer());
    return answer(load, { param: await bytes(".param"), bin: await bytes(".bin") }, ${threads}, ${size});
  })()`;

/** Import maps do not reach workers, so the worker gets addresses instead of package names. */
const inWorker = (base: string, threads: number): string => `
  new Promise((resolve, reject) => {
    const source = ${JSON.stringify(`
      ${compute}
      const run = async () => {
        const { readNcnn } = await import(origin + "/dist/formats/ncnn/index.js");
        const { createSession } = await import(origin + "/dist/engine/session.js");
        const bytes = async (end) => new Uint8Array(await (await fetch(origin + "/data/BASE" + end)).arrayBuffer());
        const graph = readNcnn(await bytes(".param"), await bytes(".bin"));
        const load = async (_, { threads }) => {
          const session = await createSession(graph, { threads });
          return { backend: session.backend, run: (inputs) => session.run(inputs), close: () => session.close() };
        };
        return answer(load, {}, THREADS, ${size});
      };
      let origin;
      onmessage = (event) => {
        origin = event.data;
        run().then(postMessage, (error) => postMessage({ error: String(error) }));
      };
    `)}.replace("BASE", "${base}").replace("THREADS", "${threads}");
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(location.origin);
  })`;

async function inNode(base: string): Promise<Answer> {
  const answer = new Function(`${compute}; return answer;`)() as (...args: unknown[]) => Promise<Answer>;
  return answer(load, dataPath(`${base}.param`), 1, size);
}

describeDataIf(canRun, "Chromium", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  it.each(Object.entries(models))("%s: on a page without isolation, as in Node", async (kind, base) => {
    const page = await browser.open("/plain");
    const [there, here] = [(await page.evaluate(inPage(base, 1))) as Answer, await inNode(base)];
    expect(there.backend).toBe("wasm");
    compare(there, here, kind === "int8");
  });

  it.each(Object.entries(models))(
    "%s: two threads in a worker of an isolated page, bit for bit",
    async (_, base) => {
      const page = await browser.open("/isolated");
      const one = (await page.evaluate(inWorker(base, 1))) as Answer;
      const two = (await page.evaluate(inWorker(base, 2))) as Answer;
      expect(two.sums).toEqual(one.sums);
    },
  );

  it("threads without isolation are a clear error", async () => {
    const page = await browser.open("/plain");
    await expect(page.evaluate(inPage(models.float, 2))).rejects.toThrow(/isolated/);
  });
});

/** int8 networks give the same bits in every V8; floats may be fused or not. */
function compare(there: Answer, here: Answer, exact: boolean): void {
  for (const [blob, sums] of Object.entries(here.sums)) {
    const [sum, squares, hash] = there.sums[blob];
    if (exact) expect(hash).toBe(sums[2]);
    expect(sum / sums[0]).toBeCloseTo(1, 4);
    expect(squares / sums[1]).toBeCloseTo(1, 4);
  }
}
