/** Who answers in the worker: the page's first model, which needs no library, or the library, which is fetched when it is needed. */
import type { Detector } from "./detector.ts";
import { First, isFirst } from "./first.ts";
import { drawnOn } from "./pixels.ts";
import type {
  DetectReply,
  DetectRequest,
  Drawn,
  LoadProgress,
  Machine,
  ModelFacts,
  StartRequest,
  ToldFacts,
} from "./protocol.ts";

/** Milliseconds after a model was loaded in which nothing is asked for, so that there is time for the library; and those after which it is fetched in any case. */
const [pause, patience] = [400, 4000];
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Desk {
  private readonly options: StartRequest;
  private library: Promise<Detector> | undefined;
  private first: First | undefined;
  /** Where the first model came from, for the library. */
  private address = "";
  /** The library is getting the first model too. */
  private handing: Promise<Detector> | undefined;
  /** The library has it. */
  private isHanded = false;
  /** The frame that is shown was looked at by the first model. */
  private isOwn = false;
  /** When something was done last, and how much is being done. */
  private last = performance.now();
  private busy = 0;

  constructor(options: StartRequest) {
    this.options = options;
  }

  /** The library. */
  private detector(): Promise<Detector> {
    this.library ??= import("./detector.ts")
      .then(({ Detector }) => new Detector(this.options))
      .catch((error) => {
        this.library = undefined; // it may be had the next time
        throw error;
      });
    return this.library;
  }

  /** The library with this model. */
  async detectorWith(id: number): Promise<Detector> {
    if (id !== this.first?.id) return this.detector();
    if (this.handing) return this.handing;
    const handing = this.handOver(id);
    this.handing = handing;
    handing.catch(() => {
      if (this.handing === handing) this.handing = undefined;
    });
    return handing;
  }

  private async handOver(id: number): Promise<Detector> {
    const detector = await this.detector();
    await detector.load(id, this.address, {}, () => {});
    this.isHanded = true;
    return detector;
  }

  /** Nobody waits for that: it is worked out when nothing else is done. */
  async machine(): Promise<Machine> {
    const start = performance.now();
    const isResting = (): boolean =>
      this.first !== undefined && !this.busy && performance.now() - this.last > pause;
    if (this.options.waits) {
      while (!this.library && !isResting() && performance.now() - start < patience) await wait(pause / 8);
    }
    const detector = await this.detector();
    // More threads, or a GPU, are faster than a file for one.
    const isSlower = this.options.threads > 1 || "gpu" in navigator;
    if (this.first && isSlower) this.detectorWith(this.first.id).catch(() => {});
    return detector.machine();
  }

  /** What is asked for goes before `machine`. */
  async doing<T>(work: () => Promise<T>): Promise<T> {
    this.busy++;
    try {
      return await work();
    } finally {
      this.busy--;
      this.last = performance.now();
    }
  }

  async load(
    id: number,
    source: readonly File[] | string,
    told: ToldFacts,
    progress: (value: LoadProgress) => void,
  ): Promise<ModelFacts> {
    const { backend = "auto" } = this.options;
    const isPlain = Object.keys(told).length === 0 && backend !== "webgpu";
    if (isPlain && typeof source === "string" && isFirst(source)) {
      this.forget(id);
      try {
        this.first = await First.load(id, progress);
        this.address = source;
        return this.first.facts;
      } catch (error) {
        // The library says what is wrong, if it cannot do it either.
        console.info(`the first model is left to the library: ${error}`);
      }
    }
    const detector = await this.detector();
    if (this.first?.id === id) await this.handing?.catch(() => {}); // or it would come later, and replace what was told
    const facts = await detector.load(id, source, told, progress);
    this.forget(id); // not before: what does not fit leaves it as it was
    return facts;
  }

  /** Of another first model nothing is known any more. */
  private forget(id: number): void {
    if (this.first?.id !== id) return;
    this.first = undefined;
    this.handing = undefined;
    this.isHanded = false;
    this.isOwn = false;
  }

  async unload(id: number): Promise<undefined> {
    const { handing } = this;
    const wasFirst = this.first?.id === id;
    this.forget(id);
    if (!wasFirst) return (await this.detector()).unload(id);
    return (await handing?.catch(() => undefined))?.unload(id);
  }

  async detect(request: DetectRequest): Promise<DetectReply> {
    const { first } = this;
    if (!first || this.isHanded || !first.serves(request) || !(request.frame || this.isOwn)) {
      const detector = await this.detectorWith(request.model);
      if (this.isOwn && first?.frame && !request.frame) detector.take(first.frame);
      this.isOwn = false;
      return detector.detect(request);
    }
    const { frame, giveBack } = request;
    try {
      const reply = await first.detect(request);
      this.isOwn = true;
      return giveBack ? { ...reply, frame } : reply;
    } finally {
      if (!giveBack) frame?.close();
    }
  }

  async picture({ type, ...drawn }: Drawn & { type: string }): Promise<Blob> {
    const own = this.isOwn && this.first?.frame;
    if (!own) return (await this.detector()).picture({ type, ...drawn });
    return drawnOn(own, drawn).convertToBlob({ type, quality: 0.92 });
  }
}
