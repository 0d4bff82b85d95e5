/** What is looked at: a picture, a video file or the camera. All show themselves and give frames. */
import { make } from "./dom.ts";
import { stemOf } from "./files.ts";
import { transportOf } from "./transport.ts";
import { t } from "./words.ts";

export interface Source {
  readonly kind: "picture" | "video" | "camera";
  /** File name without extension, for saving. */
  readonly name: string;
  /** What is shown on the stage. */
  readonly element: HTMLElement;
  readonly width: number;
  readonly height: number;
  /** Frames come by themselves, and the next one will come soon. */
  readonly live: boolean;
  /** Shown as in a mirror. */
  readonly mirrored: boolean;
  /** Of the newest frame, in seconds: in its video, or since the page was opened. */
  readonly time: number;
  /** What moves through a video, to stand on the stage. */
  readonly controls?: HTMLElement;
  /** The current frame; nothing when there is none at the moment. */
  grab(): Promise<ImageBitmap | undefined>;
  /** Called for each new frame. */
  onFrame?: () => void;
  /** Called when its width and height change: a phone was turned. */
  onResize?: () => void;
  /** Called when the source ends by itself. */
  onEnd?: () => void;
  /** Called when it goes on or rests by itself. */
  onLive?: () => void;
  /** A camera that is paused is switched off. */
  pause?(paused: boolean): Promise<void>;
  close(): void;
}

/** Longer sides are shrunk: pictures to what the worker takes, videos to what detectors can use. */
const maxPictureSide = 4096;
const maxVideoSide = 1280;

function shrunk(width: number, height: number, maxSide: number): ImageBitmapOptions {
  const scale = maxSide / Math.max(width, height);
  if (scale >= 1) return { colorSpaceConversion: "none" };
  return {
    colorSpaceConversion: "none",
    resizeWidth: Math.max(Math.round(width * scale), 1),
    resizeHeight: Math.max(Math.round(height * scale), 1),
    resizeQuality: "medium",
  };
}

/** Throws an Error that names the file when it is no picture. */
export async function openPicture(file: File): Promise<Source> {
  const url = URL.createObjectURL(file);
  const image = make("img", { alt: file.name || t("pasted picture"), draggable: "false" });
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(
      t("{name}: this is not a picture that the browser can show. Save it as JPEG or PNG and open that.", {
        name: file.name,
      }),
    );
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  return {
    kind: "picture",
    name: stemOf(file.name) || "picture",
    element: image,
    ...{ width, height, live: false, mirrored: false, time: 0 },
    grab: () => createImageBitmap(file, shrunk(width, height, maxPictureSide)),
    close: () => URL.revokeObjectURL(url),
  };
}

interface VideoFacts {
  kind: "video" | "camera";
  name: string;
}

/** A video element whose frames are looked at; each is shown with what was found in it, not with what comes after it. */
export class VideoSource implements Source {
  readonly kind: "video" | "camera";
  readonly name: string;
  readonly element: HTMLVideoElement;
  readonly controls?: HTMLElement;
  mirrored = false;
  time = 0;
  onFrame?: () => void;
  onResize?: () => void;
  onEnd?: () => void;
  onLive?: () => void;
  protected closed = false;

  constructor(element: HTMLVideoElement, { kind, name }: VideoFacts) {
    [this.element, this.kind, this.name] = [element, kind, name];
    if (kind === "video") this.controls = transportOf(element);
    this.watch();
    element.addEventListener("resize", () => this.onResize?.());
    element.addEventListener("seeked", () => this.onFrame?.());
    for (const event of ["play", "pause", "ended"]) element.addEventListener(event, () => this.onLive?.());
  }

  get width(): number {
    return this.element.videoWidth;
  }
  get height(): number {
    return this.element.videoHeight;
  }
  get live(): boolean {
    return !this.closed && !this.element.paused && !this.element.ended;
  }

  /** Calls `onFrame` for every frame that the browser presents; frames that come while one is looked at are lost. */
  private watch(): void {
    const next = (now: number, time?: number): void => {
      if (this.closed) return;
      this.time = this.kind === "camera" ? now / 1000 : (time ?? this.element.currentTime);
      this.onFrame?.();
      this.watch();
    };
    if ("requestVideoFrameCallback" in this.element) {
      this.element.requestVideoFrameCallback((now, { mediaTime }) => next(now, mediaTime));
    } else requestAnimationFrame((now) => next(now));
  }

  async grab(): Promise<ImageBitmap | undefined> {
    const { width, height } = this;
    if (this.closed || !width || this.element.readyState < HTMLMediaElement.HAVE_CURRENT_DATA)
      return undefined;
    try {
      return await createImageBitmap(this.element, shrunk(width, height, maxVideoSide));
    } catch (error) {
      // Between two frames there may be none at hand; the next one comes.
      if (error instanceof DOMException && error.name === "InvalidStateError") return undefined;
      throw error;
    }
  }

  async pause(paused: boolean): Promise<void> {
    if (paused) this.element.pause();
    else await this.element.play();
    this.onFrame?.();
  }

  close(): void {
    this.closed = true;
    this.element.pause();
    URL.revokeObjectURL(this.element.src);
    this.element.removeAttribute("src");
    this.element.srcObject = null;
    this.element.load();
  }
}

export function videoElement(): HTMLVideoElement {
  const video = make("video", { playsinline: "", disablepictureinpicture: "" });
  video.muted = true;
  return video;
}

export const ready = (video: HTMLVideoElement): Promise<void> =>
  new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error(video.error?.message || "unknown format")), {
      once: true,
    });
  });

export async function openVideo(file: File): Promise<Source> {
  const url = URL.createObjectURL(file);
  const video = videoElement();
  const loaded = ready(video);
  video.src = url;
  try {
    await loaded;
  } catch (error) {
    URL.revokeObjectURL(url);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      t(
        "{name}: the browser cannot play this video ({reason}). Save it as MP4 (H.264) or WebM and open that.",
        { name: file.name, reason },
      ),
    );
  }
  await video.play().catch(() => {}); // without leave to play, there is a button
  return new VideoSource(video, { kind: "video", name: stemOf(file.name) });
}
