/** What is looked at: opens pictures, videos and the camera, pauses them, and lets them rest while nobody sees the page. */
import type { CameraWish, Facing } from "./camera.ts";
import { Camera, cameras, openCamera } from "./camera.ts";
import { anElement, button } from "./dom.ts";
import { clearNotices, notify, tell, tellCamera } from "./notices.ts";
import type { Source } from "./source.ts";
import { t } from "./words.ts";

export interface WatchingActions {
  /** Another source, or none: what was shown is gone. */
  changed(): void;
  /** A new frame is there. */
  frame(): void;
  /** It goes on, or rests. */
  live(): void;
}

export class Watching {
  source: Source | undefined;
  private readonly actions: WatchingActions;
  private facing: Facing = "environment";
  private opening = 0;
  /** It was going on when the page was left, and goes on when it is seen again. */
  private resting: Source | undefined;
  private lock: WakeLockSentinel | undefined;

  constructor(actions: WatchingActions) {
    this.actions = actions;
    document.addEventListener("visibilitychange", () => void this.rest());
    new MutationObserver(() => void this.rest()).observe(document.body, { attributeFilter: ["data-tab"] });
  }

  async openCamera(wish: Partial<CameraWish> = {}): Promise<void> {
    const facing = wish.facing ?? this.facing;
    const control = button("use-camera");
    control.disabled = true;
    try {
      // Phones have one camera at a time.
      if (this.source?.kind === "camera") this.close();
      await this.open(() => openCamera({ ...wish, facing }), tellCamera);
      this.facing = facing;
      const { source } = this;
      button("flip").hidden = !(source instanceof Camera) || (await cameras()).length < 2;
      if (source instanceof Camera) await this.showControls(source);
    } finally {
      control.disabled = false;
    }
  }

  /** To the camera on the other side. */
  flip(): Promise<void> {
    return this.openCamera({ facing: this.facing === "user" ? "environment" : "user" });
  }

  private async showControls(camera: Camera): Promise<void> {
    const { cameraControls } = await import("./camera-controls.ts");
    const controls = await cameraControls(camera, (deviceId) => void this.openCamera({ deviceId }));
    if (this.source === camera) anElement("source-tools").replaceChildren(...controls);
  }

  async open(
    make: () => Promise<Source>,
    fail: (error: unknown) => void = (error) => tell(t("It could not be opened"), error),
  ): Promise<void> {
    const turn = ++this.opening;
    clearNotices();
    let source: Source;
    try {
      source = await make();
    } catch (error) {
      if (turn === this.opening) fail(error);
      this.actions.live();
      return;
    }
    if (turn !== this.opening) {
      source.close();
      return;
    }
    this.close();
    this.source = source;
    source.onFrame = () => this.actions.frame();
    source.onLive = () => this.showLive();
    source.onEnd = () => {
      if (this.source !== source) return;
      this.close();
      notify(
        t("The camera stopped"),
        t("It was unplugged, or another program took it. Press Camera to start it again."),
      );
    };
    this.place(source);
    this.showLive();
    anElement("panel").scrollTop = 0;
    scrollTo(0, 0); // to the picture and what is found in it, from wherever the model was chosen
    this.actions.changed();
  }

  private place(source: Source): void {
    const stage = anElement("stage");
    source.onResize = () => stage.style.setProperty("--ratio", `${source.width} / ${source.height}`);
    source.onResize();
    stage.classList.toggle("mirrored", source.mirrored);
    anElement("screen").replaceChildren(source.element);
    if (source.controls) stage.append(source.controls);
  }

  close(): void {
    this.source?.controls?.remove();
    this.source?.close();
    this.source = undefined;
    this.resting = undefined;
    anElement("screen").replaceChildren();
    anElement("source-tools").replaceChildren();
    this.showLive();
    this.actions.changed();
  }

  async togglePause(): Promise<void> {
    this.resting = undefined;
    await this.pause(this.source?.live ?? false);
  }

  private async pause(paused: boolean): Promise<void> {
    const { source } = this;
    try {
      await source?.pause?.(paused);
    } catch (error) {
      if (source?.kind === "camera") tellCamera(error);
      else tell(t("It cannot go on"), error);
    }
    this.showLive();
  }

  /** While the page or its tab is not seen, nothing is looked at, and the camera is off. */
  async rest(): Promise<void> {
    const { source } = this;
    const unseen = document.hidden || document.body.dataset.tab !== "detect";
    if (unseen && source?.live) {
      this.resting = source;
      await this.pause(true);
    } else if (!unseen && source && this.resting === source) {
      this.resting = undefined;
      await this.pause(false);
    }
  }

  private showLive(): void {
    void this.keepAwake(this.source?.live ?? false);
    this.actions.live();
  }

  /** A screen that goes dark would end what is being looked at. */
  private async keepAwake(wanted: boolean): Promise<void> {
    if (wanted === (this.lock !== undefined && !this.lock.released)) return;
    if (!wanted) {
      await this.lock?.release();
      this.lock = undefined;
      return;
    }
    try {
      const lock = await navigator.wakeLock?.request("screen");
      const isFirst = this.lock === undefined || this.lock.released;
      if (this.source?.live && isFirst) this.lock = lock;
      else await lock?.release();
    } catch {
      // Not allowed, or the battery is low: the screen goes dark as usual.
    }
  }
}
