/** The Detect tab: a source of frames, a model, and a loop that looks at the newest frame whenever the worker is free. */

import type { Backend } from "../src/index.ts";
import { absolute, sayInAddress } from "./address.ts";
import { BackendChoice, backendNames, canChoose, offerBackends } from "./backend.ts";
import { Boxes } from "./boxes.ts";
import { anElement, button, byId, chooseFiles, download } from "./dom.ts";
import { canBeTold, FactsForm, isDoubted } from "./facts.ts";
import { pictureTypes, type Sorted, stemOf } from "./files.ts";
import { WorkerLink } from "./link.ts";
import { notify, tell } from "./notices.ts";
import { Overlay, Still } from "./overlay.ts";
import type { DetectReply, DetectRequest, Drawn, ToldFacts } from "./protocol.ts";
import { Results } from "./results.ts";
import { Settings } from "./settings.ts";
import { Shelf, type ShelfModel, type ShippedModel, wireModels } from "./shelf.ts";
import { openPicture, openVideo, type Source } from "./source.ts";
import { showState } from "./state.ts";
import { Watching } from "./watching.ts";
import { languageChanged, plural, t } from "./words.ts";

/** Something that goes along with looking, where it is switched on: following, recording, comparing. */
export interface Companion {
  /** Adds what it wants to a request. */
  ask?(request: DetectRequest, source: Source): void;
  /** What was found, before it is shown. */
  seen?(reply: DetectReply, source: Source): Promise<void>;
  /** It is drawn over the stage; the frame, where there is a new one, may be drawn from until this returns. */
  shown?(reply: DetectReply, source: Source): void;
  /** What was shown is gone. */
  cleared?(): void;
}

export class DetectView {
  link = new WorkerLink();
  readonly settings = new Settings({
    changed: () => this.changed(),
    threads: () => this.restartWorker(),
  });
  private readonly facts = new FactsForm((told) => void this.retell(told));
  readonly shelf: Shelf;
  readonly overlay = new Overlay(byId("overlay", HTMLCanvasElement));
  readonly still = new Still(byId("still", HTMLCanvasElement));
  readonly boxes = new Boxes(this.overlay, () => this.reshow());
  readonly companions = new Set<Companion>();
  /** Called when models came or went. */
  onModels?: () => void;
  readonly watching = new Watching({
    changed: () => this.clear(),
    frame: () => void this.look("frame"),
    live: () => this.refresh(),
  });
  private readonly results = new Results(this.boxes);
  readonly backend = new BackendChoice("backend", t("Computed by"), "auto");
  /** What the worker has, and what it computed with last. */
  private machine: { threads: number; simd: string; backend: Backend } | undefined;
  /** What is shown at present. */
  private reply: DetectReply | undefined;
  private busy = false;
  /** What came up while the worker was busy: a new frame, or other settings. */
  private again: "frame" | "settings" | undefined;
  /** The worker holds the frame that is shown. */
  private held = false;
  /** A frame failed; the next ones would too, until something changes. */
  private stalled = false;

  constructor() {
    this.shelf = new Shelf(anElement("models"), {
      choose: (model) => void this.use(model),
      drop: (model) => this.drop(model),
    });
    this.wireSources();
    anElement("threads").closest("label")?.after(this.backend.field);
    this.backend.select.addEventListener("change", () => this.setBackend(this.backend.select.value));
    wireModels({
      add: (groups) => this.addModels(groups),
      useUrl: (url) => this.useUrl(url),
    });
    void this.startWorker();
    this.refresh();
    addEventListener(languageChanged, () => {
      this.shelf.render();
      if (this.reply) this.results.rewrite();
      this.tellMachine();
      this.refresh();
    });
  }

  get source(): Source | undefined {
    return this.watching.source;
  }

  // Worker

  private async startWorker(): Promise<void> {
    const { link } = this;
    const { threads } = this.settings;
    const { chosen } = this.backend;
    try {
      await link.call("start", { threads, backend: chosen, waits: true });
      const { simd, backends } = await link.call("machine", undefined);
      offerBackends(backends);
      if (link !== this.link) return;
      this.machine = { threads, simd, backend: chosen === "webgpu" && canChoose() ? chosen : "wasm" };
      this.tellMachine();
    } catch (error) {
      if (link === this.link) tell(t("The engine could not be started"), error);
    }
  }

  /** Another backend, as by hand. */
  setBackend(name: string): void {
    this.backend.want(name);
    const { chosen } = this.backend;
    sayInAddress({ backend: chosen === "auto" ? undefined : chosen });
    this.restartWorker();
  }

  /** What computes, where it is small to read. */
  private tellMachine(backend = this.machine?.backend): void {
    if (!this.machine || !backend) return;
    this.machine.backend = backend;
    const { threads, simd } = this.machine;
    const processor = [plural(threads, "thread"), simd, ...(canChoose() ? [] : [t("no WebGPU")])].join(", ");
    anElement("machine").textContent = backend === "wasm" ? processor : (backendNames[backend] ?? backend);
  }

  /** Another number of threads needs other programs: a new worker, which loads the model again. */
  private restartWorker(): void {
    this.link.close();
    this.link = new WorkerLink();
    this.held = false;
    void this.startWorker();
    if (this.shelf.current) void this.use(this.shelf.current);
  }

  // Models

  /** Adds models and uses the first of them, loading all, so that one can switch between them at once. */
  async addModels(groups: readonly (readonly File[])[]): Promise<void> {
    const added = groups.map((files) => this.shelf.add(files, stemOf(files[0].name)));
    for (const model of [...added].reverse()) await this.use(model);
    this.onModels?.();
  }

  /** With something to look at. */
  async tryModels(groups: readonly (readonly File[])[], picture: File | undefined): Promise<void> {
    if (!this.source && picture) await this.watching.open(() => openPicture(picture));
    await this.addModels(groups);
  }

  /** What comes with the page, which may be nothing. */
  addShipped(all: readonly ShippedModel[]): ShelfModel[] {
    this.shelf.isWaiting = false;
    const added = all.map((each) => this.shelf.add(absolute(each.url), each.name, each));
    this.shelf.render();
    this.refresh();
    return added;
  }

  /** A link opens what is used here, if that came from an address; what the page itself begins with goes without saying. */
  private sayModels(): void {
    const { current, models } = this.shelf;
    const isFirst = current === models.find(({ shipped }) => shipped);
    const said = isFirst || typeof current?.source !== "string" ? [] : [current];
    const others = models.filter((each) => said.length && each !== current && !each.shipped);
    const urls = [...said, ...others].flatMap(({ source }) => (typeof source === "string" ? [source] : []));
    sayInAddress({ models: urls });
  }

  /** Loads the model if this worker does not have it, and looks at the frame with it. */
  async use(model: ShelfModel): Promise<boolean> {
    const { link, shelf } = this;
    if (model.heldBy !== link) {
      shelf.loading = model;
      shelf.render();
      this.refresh();
      try {
        const { id, source, told } = model;
        model.facts = await link.call("load", { id, source, told }, [], (bytes) =>
          shelf.advance(model, bytes),
        );
        model.heldBy = link;
        if (model.facts.isFallback && this.backend.chosen === "webgpu") {
          notify(
            t("No WebGPU here"),
            t("This browser gives the page no graphics device: WebAssembly computes instead."),
          );
        }
      } catch (error) {
        if (link !== this.link) return false;
        shelf.loading = undefined;
        if (!model.facts && canBeTold(error)) this.ask(model, error);
        else if (shelf.current === model) tell(t("That does not fit {name}", { name: model.name }), error);
        else {
          tell(t("{name} was not loaded", { name: model.name }), error);
          shelf.remove(model);
        }
        shelf.render();
        this.refresh();
        return false;
      }
      if (link !== this.link) return false;
      // Whoever chose another one in the meantime gets that.
      if (shelf.loading !== model || !shelf.models.includes(model)) return true;
      shelf.loading = undefined;
    }
    shelf.current = model;
    this.sayModels();
    shelf.render();
    this.settings.offer(model.facts);
    this.facts.offer(model);
    this.refresh();
    this.changed();
    return true;
  }

  /** Without more facts the model cannot run: it stays for the visitor to tell them. */
  private ask(model: ShelfModel, error: unknown): void {
    this.overlay.show(undefined);
    this.results.clear();
    button("save").disabled = true; // its boxes would be those of another model
    this.shelf.current = model;
    this.settings.offer(undefined);
    this.facts.offer(model);
    tell(
      t("{name} has to be explained", { name: model.name }),
      error,
      t(
        "Its file does not say enough to find boxes. Below the model, choose its family, or write the anchors that it was trained with; a checkpoint (.pt) of the same name, chosen together with it, knows them.",
      ),
    );
  }

  /** The visitor says what the file does not: the model is read anew. What does not fit leaves it as it was. */
  private async retell(told: ToldFacts): Promise<void> {
    const { link } = this;
    const { current } = this.shelf;
    if (!current) return;
    const before = current.told;
    current.told = told;
    current.heldBy = undefined;
    this.held = false;
    if ((await this.use(current)) || link !== this.link) return;
    current.told = before;
    if (current.facts) current.heldBy = link;
    this.changed();
  }

  private drop(model: ShelfModel): void {
    if (model.heldBy === this.link) void this.link.call("unload", { id: model.id });
    const wasCurrent = this.shelf.current === model;
    this.shelf.remove(model);
    if (wasCurrent) {
      this.overlay.show(undefined);
      this.still.show(undefined);
      this.results.clear();
      const [next] = this.shelf.models;
      if (next) void this.use(next);
    }
    this.refresh();
    this.onModels?.();
  }

  async useUrl(url: string): Promise<boolean> {
    if (!URL.canParse(url, document.baseURI)) {
      notify(t("No model"), t("{url} is no web address. Give one like https://host/model.param.", { url }));
      return false;
    }
    const { href, pathname } = new URL(url, document.baseURI);
    const known = this.shelf.models.find(({ source }) => source === href);
    if (known) return this.use(known);
    const last = pathname.slice(pathname.lastIndexOf("/") + 1) || url;
    const used = await this.use(this.shelf.add(href, stemOf(last)));
    this.onModels?.();
    return used;
  }

  // Sources

  private wireSources(): void {
    const { watching } = this;
    button("use-camera").addEventListener("click", () => void watching.openCamera());
    button("flip").addEventListener("click", () => void watching.flip());
    button("use-picture").addEventListener("click", async () => {
      const files = await chooseFiles({ accept: pictureTypes, multiple: true });
      if (files.length) await this.takePictures(files);
    });
    button("empty-sample").addEventListener("click", () => void this.openSample());
    button("use-video").addEventListener("click", async () => {
      const [file] = await chooseFiles({ accept: "video/*" });
      if (file) await watching.open(() => openVideo(file));
    });
    button("pause").addEventListener("click", () => void watching.togglePause());
    button("save").addEventListener("click", () => void this.save());
  }

  /** Takes what was dropped or pasted. */
  async take({ models, pictures, videos, others }: Sorted): Promise<void> {
    if (!models.length && !pictures.length && !videos.length) {
      const what = others.slice(0, 3).join(", ") || t("It");
      notify(
        t("Nothing to open"),
        t(
          "{what} is no model, picture or video. Open a picture, a video, a .param with its .bin, a .pt or an .onnx.",
          { what },
        ),
      );
      return;
    }
    if (pictures.length) await this.takePictures(pictures);
    else if (videos.length) await this.watching.open(() => openVideo(videos[0]));
    if (models.length) await this.addModels(models);
  }

  /** The picture that comes with the model. */
  private async openSample(): Promise<void> {
    const { sample } = this.shelf.current ?? {};
    if (!sample) return;
    await this.watching.open(async () => {
      const response = await fetch(new URL(sample, document.baseURI));
      if (!response.ok) throw new Error(`${sample}: HTTP status ${response.status}`);
      const blob = await response.blob();
      return openPicture(new File([blob], sample.replace(/^.*\//, ""), { type: blob.type }));
    });
  }

  private async takePictures(files: readonly File[]): Promise<void> {
    await this.watching.open(() => openPicture(files[0]));
    if (files.length > 1) (await import("./batch.ts")).openBatch(this, files);
  }

  /** What was shown is gone: another source, or none. */
  private clear(): void {
    this.held = false;
    this.again = undefined;
    this.reply = undefined;
    this.boxes.name = this.source?.name ?? "picture";
    this.overlay.show(undefined);
    this.still.show(undefined);
    this.results.clear();
    for (const each of this.companions) each.cleared?.();
    this.refresh();
    if (this.source) this.changed("frame");
  }

  // Looking

  /** Something that the boxes depend on has changed. */
  changed(what: "frame" | "settings" = "settings"): void {
    this.stalled = false;
    if (what === "settings" && this.source?.live) return; // the next frame is near
    void this.look(what);
  }

  private async look(what: "frame" | "settings"): Promise<void> {
    const { source, link } = this;
    const model = this.shelf.current;
    if (!source || model?.heldBy !== link || this.stalled) return;
    if (this.busy) {
      // Never more than one: what comes next is the newest frame at that time, and those in between are dropped.
      if (this.again !== "frame") this.again = what;
      return;
    }
    this.busy = true;
    try {
      const wanted = what === "frame" || !this.held;
      const frame = wanted ? await source.grab() : undefined;
      if (wanted && !frame) return; // the next one comes
      // Boxes of a stream are shown on the frame that they were found in, not on a later one.
      const giveBack = frame !== undefined && source.kind !== "picture";
      const request: DetectRequest = { model: model.id, frame, giveBack, ...this.settings.read() };
      for (const each of this.companions) each.ask?.(request, source);
      const reply = await link.call("detect", request, frame ? [frame] : []);
      if (this.source !== source || this.link !== link) {
        reply.frame?.close();
        return;
      }
      this.held = true;
      this.tellMachine(reply.backend);
      if (this.shelf.current) await this.show(reply, source);
      else reply.frame?.close();
    } catch (error) {
      if (this.source !== source || this.link !== link) return;
      this.stalled = true;
      this.still.show(undefined);
      tell(
        t("Detection failed"),
        error,
        t("The model does not run like this. Choose another input size or another model."),
      );
      this.refresh();
    } finally {
      this.busy = false;
      const { again } = this;
      this.again = undefined;
      if (again) void this.look(again);
      else if (this.source !== source || this.link !== link) void this.look("frame");
    }
  }

  private async show(reply: DetectReply, source: Source): Promise<void> {
    for (const each of this.companions) await each.seen?.(reply, source);
    if (this.source !== source) {
      reply.frame?.close();
      return;
    }
    this.reply = reply;
    this.draw(reply, source, this.boxes.take(reply));
    // It is shown without being copied, and gone then.
    if (reply.frame) this.still.show(reply.frame);
    reply.frame = undefined;
    this.results.show(reply, source.live);
    // What may be wrong is not to be handed on as if it were right.
    button("save").disabled = isDoubted(this.shelf.current?.facts);
  }

  private draw(reply: DetectReply, source: Source, boxes: DetectReply["boxes"]): void {
    const { width, height } = reply;
    this.overlay.show({ boxes, width, height, mirrored: source.mirrored });
    for (const each of this.companions) each.shown?.(reply, source);
  }

  /** Others of the boxes are to be seen. */
  private reshow(): void {
    const { reply, source } = this;
    if (!reply || !source) return;
    this.draw(reply, source, this.boxes.visible);
    this.results.rewrite();
  }

  /** What is drawn into a picture that is kept, as it is on the stage. */
  get drawn(): Drawn {
    return { boxes: this.boxes.visible, labels: this.boxes.labels, shapes: this.overlay.shown?.shapes };
  }

  private async save(): Promise<void> {
    try {
      const blob = await this.link.call("picture", { ...this.drawn, type: "image/jpeg" });
      download(blob, `${this.source?.name ?? "picture"}-boxes.jpg`);
    } catch (error) {
      tell(t("The picture was not saved"), error);
    }
  }

  private refresh(): void {
    showState(this.source, this.shelf);
  }
}
