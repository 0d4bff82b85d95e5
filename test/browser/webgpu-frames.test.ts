/** Frames on WebGPU in Chromium: what a browser shows goes to the network without JavaScript; and devices that are lost, shared and closed. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRun, startBrowser, type TestBrowser } from "./page.ts";

/** In the page: a small network that gives its input back (`plain`) or is slow enough to be caught at work, and a picture with every level. */
const tools = `
  const { readNcnn } = await import("/dist/formats/ncnn/index.js");
  const { createSession } = await import("/dist/engine/session.js");
  const { Placer } = await import("/dist/detect/placer.js");
  const { pictureOfFrame } = await import("/dist/detect/picture.js");
  const start = (text, options = {}) =>
    createSession(readNcnn("7767517\\n" + text + "\\n", new Uint8Array()), { backend: "webgpu", ...options });
  const plain = "2 2\\nInput x 0 1 x 0=64 1=48 2=3\\nBinaryOp b 1 1 x y 0=0 1=1 2=0";
  const input = {
    blob: "x", channels: 3, width: 64, height: 48, stride: 1, pixel: "RGB", mean: [0, 0, 0],
    norm: [1 / 255, 1 / 255, 1 / 255], resize: "letterbox", letterboxColor: 114, letterboxAlign: "center", antialias: false,
  };
  const pictureOf = (width, height, seed = 1) => {
    const data = Uint8ClampedArray.from({ length: width * height * 4 }, (_, i) =>
      i % 4 === 3 ? 255 : (Math.imul(i + seed, 2654435761) >>> 15) & 255);
    return new ImageData(data, width, height);
  };
  const differences = (a, b) => a.filter((x, i) => x !== b[i]).length;
  const ones = { x: { shape: [3, 48, 64], data: new Float32Array(9216).fill(1) } };
`;

/** Counts devices and buffers that are there. */
const counting = `
  const there = { devices: 0, bytes: 0 };
  const { requestDevice } = GPUAdapter.prototype;
  const made = [];
  GPUAdapter.prototype.requestDevice = async function (options) {
    const device = await requestDevice.call(this, options);
    made.push(device);
    there.devices++;
    void device.lost.then(() => there.devices--);
    return device;
  };
  const { createBuffer } = GPUDevice.prototype;
  const { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    there.bytes += descriptor.size;
    return createBuffer.call(this, descriptor);
  };
  const gone = new WeakSet();
  GPUBuffer.prototype.destroy = function () {
    if (!gone.has(this)) there.bytes -= this.size;
    gone.add(this);
    destroy.call(this);
  };
`;

describe.skipIf(!canRun)("frames on webgpu in Chromium", () => {
  let browser: TestBrowser;
  let hasAdapter = false;
  beforeAll(async () => {
    browser = await startBrowser([
      ...["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"],
    ]);
    const page = await browser.open("/plain");
    hasAdapter = await page.evaluate(
      "navigator.gpu?.requestAdapter().then((adapter) => adapter !== null) ?? false",
    );
    if (!hasAdapter) console.warn("Chromium has no WebGPU adapter: tests of frames on webgpu are skipped");
    await page.close();
  }, 60_000);
  afterAll(() => browser?.close());

  async function inPage<T>(body: string): Promise<T> {
    const page = await browser.open("/plain");
    try {
      return (await page.evaluate(`(async () => {${counting}${tools}${body}})()`)) as T;
    } finally {
      await page.close();
    }
  }

  it("bitmaps, frames of video and bytes give what the processor gives, to the last bit", async ({
    skip,
  }) => {
    skip(!hasAdapter);
    const found = await inPage(`
      const [gpu, wasm] = [await start(plain), await start(plain, { backend: "wasm" })];
      const placer = new Placer(input);
      const source = { blob: "x", levels: placer.levels };
      const [onGpu, onWasm] = [gpu.lookFor(source), wasm.lookFor(source)];
      const reads = [];
      const found = [];
      for (const [width, height] of [[64, 48], [200, 90], [31, 77], [1, 1]]) {
        const picture = pictureOf(width, height);
        const bitmap = await createImageBitmap(picture);
        const video = new VideoFrame(bitmap, { timestamp: 0 });
        const copy = ({ blobs }) => blobs.y.data.slice();
        const none = () => { throw new Error("it was placed on the processor"); };
        const expected = await onWasm(placer.place(picture, {}).pixels, none, ["y"], copy);
        for (const given of [picture, pictureOfFrame(bitmap), pictureOfFrame(video)]) {
          const { pixels } = placer.place(given, {});
          // A software device takes no VideoFrame.
          const watched = !given.frame || given.frame === video ? pixels : { ...{ channels: 4, placement: pixels.placement, frame: pixels.frame },
            get data() { throw new Error("the pixels came to JavaScript"); } };
          found.push(differences(await onGpu(watched, none, ["y"], copy), expected));
          if (given.frame) found.push(differences(await onWasm(pixels, none, ["y"], copy), expected));
        }
        const closed = placer.place(pictureOfFrame(bitmap), {}).pixels;
        video.close();
        bitmap.close();
        for (const look of [onGpu, onWasm]) {
          await look(closed, none, ["y"], copy).catch(({ name, message }) => reads.push(name + ": " + message));
        }
      }
      for (const one of [gpu, wasm]) one.close();
      return { found, reads, fallback: gpu.fallback };`);
    expect(found).toEqual({
      found: Array(20).fill(0),
      reads: Array(8).fill(
        expect.stringMatching(/^InputError: the frame cannot be read: .*before it is closed$/),
      ),
      fallback: undefined,
    });
  });

  it("looks overlap, are read in mapped memory, and are gone with the next one", async ({ skip }) => {
    skip(!hasAdapter);
    const found = await inPage<{ wrong: number[]; turns: number[]; views: boolean }>(`
      const session = await start(plain);
      const placer = new Placer(input);
      const look = session.lookFor({ blob: "x", levels: placer.levels });
      const pictures = Array.from({ length: 8 }, (_, i) => pictureOf(64, 48, 100 * i));
      const results = await Promise.all(pictures.map(async (picture) => {
        const { pixels } = placer.place(picture, {});
        return look(pixels, () => {}, ["y"], (looked) => {
          // The tab has something else to do.
          for (const until = performance.now() + 20; performance.now() < until; );
          const { data } = looked.blobs.y;
          const area = 64 * 48;
          const wrong = data.filter((x, i) => x !== Math.fround(Math.fround(1 / 255) * picture.data[4 * (i % area) + Math.floor(i / area)])).length;
          return { looked, wrong, isView: data.buffer.byteLength > 0 && data.byteOffset + data.byteLength <= data.buffer.byteLength };
        });
      }));
      await look(placer.place(pictures[0], {}).pixels, () => {}, ["y"], () => {});
      const turns = results.map(({ looked }) => looked.turn);
      session.close();
      return { wrong: results.map(({ wrong }) => wrong), turns, views: results.every(({ isView }) => isView) };`);
    expect(found).toEqual({ wrong: Array(8).fill(0), turns: Array(8).fill(1), views: true });
  });

  it("two models share a device, which goes with the last of them; closing frees", async ({ skip }) => {
    skip(!hasAdapter);
    const found = await inPage<{ sums: number[]; counts: object[] }>(`
      const sums = [];
      const counts = [];
      const [a, b] = [await start(plain), await start(plain.replace("2=0", "2=3.0"))];
      for (const session of [a, b, a]) {
        const [{ y }] = await Promise.all([session.run(ones), a.run(ones)]);
        sums.push(y.data[0]);
      }
      counts.push({ ...there, bytes: there.bytes > 0 });
      a.close();
      await b.run(ones);
      counts.push({ ...there, bytes: there.bytes > 0 });
      b.close();
      await new Promise((resolve) => setTimeout(resolve, 50));
      counts.push({ ...there });
      return { sums, counts };`);
    const shared = { devices: 1, bytes: true };
    expect(found).toEqual({ sums: [1, 4, 1], counts: [shared, shared, { devices: 0, bytes: 0 }] });
  });

  it("a device that is lost while it works is an error that says so, and the next run has a new one", async ({
    skip,
  }) => {
    skip(!hasAdapter);
    const found = await inPage<{ before: number; error: string; after: number[]; devices: number }>(`
      const [a, b] = [await start(plain), await start(plain)];
      const before = (await a.run(ones)).y.data[0];
      await b.run(ones);
      const placer = new Placer(input);
      const look = a.lookFor({ blob: "x", levels: placer.levels });
      const seen = () => look(placer.place(pictureOf(64, 48), {}).pixels, () => {}, ["y"], ({ blobs }) => blobs.y.data.length);
      await seen();
      const running = seen();
      await Promise.resolve();
      made.at(-1).destroy();
      const error = await running.then(() => "", ({ name, message }) => name + ": " + message);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const after = [await seen(), (await a.run(ones)).y.data[0], (await b.run(ones)).y.data[0]];
      const { devices } = there;
      for (const one of [a, b]) one.close();
      return { before, error, after, devices };`);
    expect(found.error).toMatch(
      /^NcnnkitError: inference stopped: the GPU \(.*\) is gone: .*; run again for a new device$/,
    );
    expect(found).toMatchObject({ before: 1, after: [9216, 1, 1], devices: 1 });
  });
});
