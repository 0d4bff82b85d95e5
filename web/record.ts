/** A clip of what is looked at, with the boxes of each frame drawn into it. Made here, kept nowhere but in the file. */
import type { Companion, DetectView } from "./detect.ts";
import { download, make } from "./dom.ts";
import { draw, ownSpot } from "./drawing.ts";
import { tell } from "./notices.ts";
import type { DetectReply, DetectRequest } from "./protocol.ts";
import type { Tool } from "./tools.ts";
import { t } from "./words.ts";

/** The first that the browser writes. */
const types = [
  "video/mp4;codecs=avc1.42E01F",
  "video/webm;codecs=vp9",
  "video/webm;codecs=vp8",
  "video/webm",
];
/** Bits a second. */
const rate = 4_000_000;

export function record(view: DetectView, ended: () => void): Tool {
  const type = types.find((each) => globalThis.MediaRecorder?.isTypeSupported(each));
  if (!type) throw new Error(t("This browser records no videos."));
  return new Recording(view, type, ended);
}

class Recording implements Tool, Companion {
  readonly element = make("p", { class: "tool recording", role: "status" }, "");
  private readonly view: DetectView;
  private readonly ended: () => void;
  private readonly type: string;
  private readonly canvas = make("canvas");
  private readonly parts: Blob[] = [];
  private recorder: MediaRecorder | undefined;
  private readonly name: string;
  private seconds = 0;
  private lastFrame = 0;
  private rest: ReturnType<typeof setTimeout> | undefined;

  constructor(view: DetectView, type: string, ended: () => void) {
    [this.view, this.type, this.ended] = [view, type, ended];
    this.name = view.boxes.name;
    this.element.textContent = t(
      "Recording begins with the next frame. Press Record again to end and save it.",
    );
    view.companions.add(this);
  }

  /** Every frame comes back, to be drawn. */
  ask(request: DetectRequest): void {
    request.giveBack = request.frame !== undefined;
  }

  shown({ frame, width, height }: DetectReply): void {
    const drawing = this.view.overlay.shown;
    if (!frame || !drawing) return;
    const { canvas } = this;
    if (!this.recorder) {
      // Encoders of H.264 take even sides only.
      [canvas.width, canvas.height] = [width & ~1, height & ~1];
      this.begin();
    }
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) return;
    const { mirrored } = drawing;
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? canvas.width : 0, 0);
    context.drawImage(frame, 0, 0, canvas.width, canvas.height);
    context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    draw(context, drawing, ownSpot(drawing));
    this.count();
  }

  private begin(): void {
    const recorder = new MediaRecorder(this.canvas.captureStream(), {
      mimeType: this.type,
      videoBitsPerSecond: rate,
    });
    recorder.addEventListener("dataavailable", ({ data }) => {
      if (data.size) this.parts.push(data);
    });
    recorder.addEventListener("error", () => {
      tell(t("The recording ended"), new Error(t("The browser could not encode it.")));
      this.ended();
    });
    recorder.addEventListener("stop", () => this.save(), { once: true });
    // In pieces, which the browser may put on its disk.
    recorder.start(1000);
    this.recorder = recorder;
  }

  /** Time without frames, while a camera is off or a video rests, is no part of the clip. */
  private count(): void {
    const now = performance.now();
    if (this.recorder?.state === "paused") this.recorder.resume();
    else if (this.lastFrame) this.seconds += Math.min(now - this.lastFrame, 1000) / 1000;
    this.lastFrame = now;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      if (this.recorder?.state === "recording") this.recorder.pause();
    }, 1000);
    const whole = Math.floor(this.seconds);
    const clock = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    const text = t("Recording, {clock}. Press Record again to end and save it.", { clock });
    if (this.element.textContent !== text) {
      this.element.textContent = text;
      this.element.removeAttribute("role"); // said once, not every second
    }
  }

  /** Another source: the clip is complete. */
  cleared(): void {
    if (this.recorder) this.ended();
  }

  close(): void {
    clearTimeout(this.rest);
    this.view.companions.delete(this);
    if (this.recorder && this.recorder.state !== "inactive") this.recorder.stop();
    for (const track of this.recorder?.stream.getTracks() ?? []) track.stop();
  }

  private save(): void {
    if (!this.parts.length) return;
    const type = this.type.replace(/;.*/, "");
    download(new Blob(this.parts, { type }), `${this.name}-boxes.${type === "video/mp4" ? "mp4" : "webm"}`);
    this.parts.length = 0;
  }
}
