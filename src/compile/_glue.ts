/**
 * What stands in `NAME.js`: these functions are written there as they are, by their text, so that none may use anything from outside of it.
 * What they do for a program is documented by `types.ts`.
 */

export interface GlueFacts {
  name: string;
  threads: number;
  task: string;
  pictures: boolean;
  decode: boolean;
  whyNoDecode?: string;
  detection?: {
    bytes: number;
    points?: { count: number; values: number };
    mask?: { count: number; prototypes: string; probabilities: boolean };
    turned?: boolean;
  };
  sizes: readonly {
    width: number;
    height: number;
    inputs: readonly GlueTensor[];
    outputs: readonly GlueTensor[];
  }[];
  labels: readonly string[];
  /** Best first: those that need certain machines, then the one for all. */
  files: readonly { file: string; mode: string; sha256: string; locate: () => URL }[];
}

interface GlueTensor {
  blob: string;
  address: number;
  shape: readonly number[];
}

interface Picture {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

interface LoadOptions {
  module?: WebAssembly.Module;
  bytes?: Uint8Array<ArrayBuffer> | ArrayBuffer;
  read?: (file: string) => Promise<Uint8Array<ArrayBuffer> | ArrayBuffer>;
  url?: string | URL;
  mode?: string;
  threads?: number;
}

interface RunOptions {
  size?: number | { width: number; height: number };
}

interface DetectOptions extends RunOptions {
  confidence?: number;
  iou?: number;
  maxDetections?: number;
}

/** What else a file may need. */
interface GlueParts {
  /** Which of the modes that need certain machines is right here: what it looks like, and then for sure. */
  readonly choose?: () => Promise<{ readonly likely?: string; settle(): string | undefined }>;
  /** Starts threads that serve; gives what ends them. */
  readonly startThreads?: (
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: number,
  ) => Promise<() => void>;
  /** The pixels of a mask in a window of the picture. */
  readonly mask?: (
    mask: {
      coefficients: Float32Array;
      prototypes: { shape: readonly number[]; data: Float32Array };
      probabilities: boolean;
    },
    window: Window,
    placed: Record<string, number>,
  ) => Uint8Array;
}

interface Window {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A module whose bytes are still looked at. */
interface Coming {
  readonly module: WebAssembly.Module;
  readonly sound: Promise<void>;
}

type Call = (...args: number[]) => number;

/** The public functions of `NAME.js`. */
export function glue(facts: GlueFacts, parts: GlueParts) {
  const { name, sizes, labels, files, task } = facts;
  const fail = (text: string, cause?: unknown): never => {
    throw new Error(`${name}: ${text}`, { cause });
  };
  const hex = (bytes: ArrayBuffer): string =>
    Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

  /** Throws where the bytes are not those of the file. */
  const check = async (bytes: BufferSource, file: string, sha256: string): Promise<void> => {
    const subtle = globalThis.crypto?.subtle;
    if (subtle && hex(await subtle.digest("SHA-256", bytes)) !== sha256)
      fail(`${file} is not the file that belongs to ${name}.js: its SHA-256 is another`);
  };

  const compile = async (bytes: BufferSource, file: string): Promise<WebAssembly.Module> => {
    try {
      return await WebAssembly.compile(bytes);
    } catch (error) {
      return fail(
        `${file} cannot be compiled here (${error instanceof Error ? error.message : error})`,
        error,
      );
    }
  };

  /** A module, and whether its bytes are right: what is computed before that is known is given to nobody. */
  const checked = async (bytes: BufferSource, file: string, sha256: string): Promise<Coming> => {
    const sound = check(bytes, file, sha256);
    sound.catch(() => {});
    // What has changed may be no module any more: the digest is the better reason.
    const module = await compile(bytes, file).catch((error) => sound.then(() => fail(error.message, error)));
    return { module, sound };
  };

  /** From the web while it comes in; in Node from the disk. */
  const fetched = async (url: string | URL, file: string, sha256: string): Promise<Coming> => {
    const { process } = globalThis as { process?: { getBuiltinModule?(id: string): unknown } };
    if (String(url).startsWith("file:") && process?.getBuiltinModule) {
      // At once: what is compiled in the background is not to wait for turns.
      const fs = process.getBuiltinModule("node:fs") as { readFileSync(path: URL): Uint8Array<ArrayBuffer> };
      return checked(fs.readFileSync(new URL(url)), file, sha256);
    }
    // Without a digest of its own (a page that is not served securely) the browser compares.
    const response = await fetch(url, globalThis.crypto?.subtle ? {} : { integrity: integrityOf(sha256) });
    if (!response.ok) fail(`${url}: ${response.status} ${response.statusText}`);
    const streamed = WebAssembly.compileStreaming?.(response.clone()).catch(() => undefined);
    const bytes = await response.arrayBuffer();
    const module = await streamed;
    return module ? { module, sound: check(bytes, file, sha256) } : checked(bytes, file, sha256);
  };

  const integrityOf = (sha256: string): string => {
    const bytes = sha256.match(/../g)!.map((pair) => Number.parseInt(pair, 16));
    return `sha256-${btoa(String.fromCharCode(...bytes))}`;
  };

  /** Of that mode, or the one for all machines. */
  const fileOf = (mode: string | undefined, isWanted: boolean): GlueFacts["files"][number] => {
    const found = files.find((file) => file.mode === mode);
    if (found) return found;
    const last = files.at(-1)!;
    const isForAll = last.mode === "portable" || last.mode === "scalar";
    if (isWanted || !isForAll) {
      const modes = files.map((file) => file.mode).join(", ");
      fail(`there is no file for ${mode ?? "this machine"}, only for ${modes}`);
    }
    return last;
  };

  const load = async (options: LoadOptions = {}) => {
    const { bytes, read, url, mode, threads } = options;
    if (options.module) return start(options.module, threads);
    const choice = mode === undefined && files.length > 1 ? await parts.choose?.() : undefined;
    const from = async ({ file, sha256, locate }: GlueFacts["files"][number]): Promise<Coming> => {
      const given = bytes ?? (await read?.(file));
      return given ? checked(given, file, sha256) : fetched(url ?? locate(), file, sha256);
    };
    // While the likely file comes in, the machine is asked more closely.
    const likely = fileOf(mode ?? choice?.likely, mode !== undefined);
    const coming = from(likely);
    coming.catch(() => {});
    const right = choice ? fileOf(choice.settle(), false) : likely;
    const { module, sound } = await (right === likely ? coming : from(right));
    const detector = start(module, threads);
    detector.catch(() => {});
    await sound;
    return detector;
  };

  const start = async (module: WebAssembly.Module, wanted = facts.threads) => {
    const shared = WebAssembly.Module.imports(module).length > 0;
    const made = shared ? sharedMemory(module) : undefined;
    const instance = await WebAssembly.instantiate(module, made ? { env: { memory: made } } : {});
    const exports = instance.exports as Record<string, Call> & { memory: WebAssembly.Memory };
    const memory = made ?? exports.memory;
    const table = instance.exports.detections as WebAssembly.Global | undefined;
    if (shared) exports.start();
    const threads = Math.min(wanted, facts.threads);
    const end = shared && threads > 1 ? await parts.startThreads?.(module, memory, threads) : undefined;
    if (end) exports.share(threads);
    return detectorOf(exports, memory, table, end);
  };

  /** As large as the module asks for. */
  const sharedMemory = (module: WebAssembly.Module): WebAssembly.Memory => {
    const [section] = WebAssembly.Module.customSections(module, "ncnnkit-pages");
    const [initial, maximum] = new Uint32Array(section);
    return new WebAssembly.Memory({ initial, maximum, shared: true });
  };

  const detectorOf = (
    exports: Record<string, Call>,
    memory: WebAssembly.Memory,
    table: WebAssembly.Global | undefined,
    end: (() => void) | undefined,
  ) => {
    /** Runs code of the file: what a broken one does is an error like others. */
    const call = (fn: string, ...args: number[]): number => {
      try {
        return exports[fn](...args);
      } catch (error) {
        return fail(`${fn} stopped: the file is damaged, or memory has run out (${error})`, error);
      }
    };

    const sizeOf = (size: RunOptions["size"]): number => {
      if (size === undefined) return 0;
      const { width, height } = typeof size === "number" ? { width: size, height: size } : size;
      const index = sizes.findIndex((each) => each.width === width && each.height === height);
      if (index < 0) {
        const known = sizes.map((each) => `${each.width}x${each.height}`).join(", ");
        fail(`size ${width}x${height}: the file was made for ${known}`);
      }
      return index;
    };

    const place = (picture: Picture, size: number): void => {
      const { width, height, data } = picture ?? {};
      const channels = (data?.length ?? 0) / (width * height);
      if (channels !== 3 && channels !== 4) {
        fail("a picture is { width, height, data } with three or four bytes a pixel");
      }
      const at = call("picture", width, height, channels);
      if (!at) fail(`a picture of ${width}x${height} is too large`);
      new Uint8Array(memory.buffer, at, data.length).set(data);
      if (call("preprocess", width, height, channels, size)) fail("the picture could not be prepared");
    };

    const feed = (input: Picture | Record<string, ArrayLike<number>>, size: number): void => {
      if (facts.pictures) {
        place(input as Picture, size);
        return;
      }
      call("selectSize", size);
      for (const { blob, address, shape } of sizes[size].inputs) {
        const values = (input as Record<string, ArrayLike<number>>)[blob];
        const count = shape.reduce((a, b) => a * b, 1);
        if (values?.length !== count)
          fail(`input "${blob}": expected ${count} numbers (${shape.join(", ")})`);
        new Float32Array(memory.buffer, address, count).set(values);
      }
    };

    const compute = (): void => {
      if (call("run")) fail("a thread did not answer in time");
    };

    const tensorOf = ({ address, shape }: GlueTensor) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return { shape: [...shape], data: new Float32Array(memory.buffer, address, count) };
    };

    /** The window's pixels that are the object; nothing where there is none. */
    const maskOf = (coefficients: Float32Array, window: Window, size: number) => {
      const { prototypes, probabilities } = facts.detection!.mask!;
      const place = sizes[size].outputs.find(({ blob }) => blob === prototypes)!;
      const global = (name: string): number => (exports[name] as unknown as WebAssembly.Global).value;
      const [sourceWidth, sourceHeight, scaleX, scaleY, padX, padY] = [
        "width",
        "height",
        "scaleX",
        "scaleY",
        "padX",
        "padY",
      ].map(global);
      const placed = { sourceWidth, sourceHeight, width: sizes[size].width, scaleX, scaleY, padX, padY };
      const data = parts.mask!({ coefficients, prototypes: tensorOf(place), probabilities }, window, placed);
      return data.includes(1) ? { ...window, data } : undefined;
    };

    const read = (n: number, size: number) => {
      const { bytes, points, mask, turned } = facts.detection!;
      const at = table!.value as number;
      return Array.from({ length: n }, (_, i) => {
        const floats = new Float32Array(memory.buffer, at + i * bytes, bytes / 4);
        const words = new Int32Array(memory.buffer, at + i * bytes, bytes / 4);
        const [x, y, width, height, score] = floats;
        const classId = words[5];
        const found = { label: labels[classId], classId, score };
        if (task === "classify") return { task, ...found };
        const object = { ...found, box: { x, y, width, height } };
        const more = floats.subarray(6);
        if (turned) {
          const [x, y, width, height, angle] = more;
          return { task: "obb", ...object, rotated: { x, y, width, height, angle } };
        }
        if (points && !Number.isNaN(more[0])) {
          const { count, values } = points;
          const list = Array.from({ length: count }, (_, p) => {
            const [x, y, score = Number.NaN] = more.subarray(p * values, (p + 1) * values);
            return Number.isNaN(score) ? { x, y } : { x, y, score };
          });
          return { task: "pose", ...object, points: list };
        }
        if (!mask) return { task: "detect", ...object };
        const [left, top, across, down] = words.subarray(6);
        const pixels = maskOf(more.slice(4), { x: left, y: top, width: across, height: down }, size);
        return pixels && { task: "segment", ...object, mask: pixels };
      }).filter((found) => found !== undefined);
    };

    let turn = 0;

    /** Looks at a picture: its detections can be had with several thresholds, until another one is looked at. */
    const look = (picture: Picture, options: RunOptions = {}) => {
      if (!facts.decode) fail(`its outputs are not decoded in the file: ${facts.whyNoDecode}; use run`);
      const size = sizeOf(options.size);
      const own = ++turn;
      const start = performance.now();
      feed(picture, size);
      const placed = performance.now();
      compute();
      const milliseconds = { placing: placed - start, running: performance.now() - placed };
      const detections = (limits: DetectOptions = {}) => {
        if (own !== turn) fail("another picture has been looked at since");
        const isSorting = task === "classify";
        const { confidence = isSorting ? 0 : 0.25, iou = 0.45, maxDetections = isSorting ? 5 : 300 } = limits;
        const n = call("detect", confidence, iou, Math.min(Math.ceil(maxDetections), 1000));
        if (n < 0) fail("too many boxes pass: raise confidence");
        return read(n, size);
      };
      return { detections, milliseconds };
    };

    const detect = (picture: Picture, options: DetectOptions = {}) =>
      look(picture, options).detections(options);

    const run = (input: Picture | Record<string, ArrayLike<number>>, options: RunOptions = {}) => {
      const size = sizeOf(options.size);
      turn++;
      feed(input, size);
      compute();
      return Object.fromEntries(
        sizes[size].outputs.map((output) => {
          const { shape, data } = tensorOf(output);
          return [output.blob, { shape, data: data.slice() }];
        }),
      );
    };

    return { look, detect, run, close: () => end?.(), memory, exports };
  };

  let loaded: ReturnType<typeof load> | undefined;
  const detector = (): ReturnType<typeof load> => {
    loaded ??= load().catch((error) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
  const detect = async (picture: Picture, options?: DetectOptions) =>
    (await detector()).detect(picture, options);
  const run = async (input: Picture | Record<string, ArrayLike<number>>, options?: RunOptions) =>
    (await detector()).run(input, options);
  return { load, detect, run };
}

/** Starts workers that serve. */
export async function startThreads(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  threads: number,
): Promise<() => void> {
  const source = `
const start = ({ module, memory, thread, threads }, ready) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  ready();
  exports.serve(thread, threads);
};
const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
if (node) start(node.workerData, () => node.parentPort.postMessage(0));
else onmessage = ({ data }) => start(data, () => postMessage(0));`;
  const { process } = globalThis as { process?: { getBuiltinModule?(id: string): unknown } };
  const node = process?.getBuiltinModule?.("node:worker_threads") as
    | {
        Worker: new (
          source: string,
          options: object,
        ) => {
          once(event: string, listener: (value: unknown) => void): void;
          unref(): void;
          terminate(): void;
        };
      }
    | undefined;
  const workers: { terminate(): void }[] = [];
  const end = (): void => {
    for (const worker of workers) worker.terminate();
  };
  const one = (thread: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const data = { module, memory, thread, threads };
      if (node) {
        const worker = new node.Worker(source, { eval: true, workerData: data });
        workers.push(worker);
        worker.once("error", reject);
        worker.once("message", (value) => {
          worker.unref();
          resolve(value);
        });
        return;
      }
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const worker = new Worker(url);
      workers.push(worker);
      worker.onerror = (event) => reject(new Error(event.message || "a worker could not be started"));
      worker.onmessage = (event) => {
        URL.revokeObjectURL(url);
        resolve(event.data);
      };
      worker.postMessage(data);
    });
  try {
    await Promise.all(Array.from({ length: threads - 1 }, (_, i) => one(i + 1)));
  } catch (error) {
    end();
    throw error;
  }
  return end;
}

/** Asks the probe once, and then for some milliseconds, so that the optimizing compiler's code answers too: only what both do is right. */
export async function chooseMode(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ readonly likely?: string; settle(): string | undefined }> {
  let probe: (rounds: number) => number;
  try {
    const { instance } = await WebAssembly.instantiate(bytes);
    probe = instance.exports.probe as typeof probe;
  } catch {
    // No relaxed instructions, or nothing may be compiled here.
    return { settle: () => undefined };
  }
  const modeOf = (found: number): string | undefined => {
    const bits = [1, 2, 4, 8, 16, 32].map((bit) => (found & bit) > 0);
    const [signed, unsigned, saturating, pairs, fused, bySign] = bits;
    if (!fused) return undefined;
    if (signed) return "signed";
    if (!bySign) return undefined;
    if (unsigned) return "unsigned";
    return saturating && pairs ? "i7" : undefined;
  };
  let found = probe(1);
  const settle = (): string | undefined => {
    // V8 asks for optimized code after some 13 MB of executed code; that it has come shows in the time.
    const [start, rounds] = [performance.now(), 400];
    let first = Number.POSITIVE_INFINITY;
    for (let i = 0; ; i++) {
      const before = performance.now();
      found &= probe(rounds);
      const now = performance.now();
      if (i < 3) first = Math.min(first, now - before);
      if (now - start > 6 || (now - before) * 2 < first) return modeOf(found);
    }
  };
  return { likely: modeOf(found), settle };
}
