/** What is looked at: a picture, a video file or the camera. All show themselves and give frames. */
import { make } from "./dom.ts";
import { stemOf } from "./files.ts";

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
  /** The current frame; nothing when there is none at the moment. */
  grab(): Promise<ImageBitmap | undefined>;
  /** Called for each new frame. */
  onFrame?: () => void;
  /** Called when its width and height change: a phone was turned. */
  onResize?: () => void;
  /** Called when the source ends by itself. */
  onEnd?: () => void;
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
  const image = make("img", { alt: file.name || "pasted picture", draggable: "false" });
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(
      `${file.name}: this is not a picture that the browser can show. Save it as JPEG or PNG and open that.`,
    );
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  return {
    kind: "picture",
    name: stemOf(file.name) || "picture",
    element: image,
    ...{ width, height, live: false, mirrored: false },
    grab: () => createImageBitmap(file, shrunk(width, height, maxPictureSide)),
    close: () => URL.revokeObjectURL(url),
  };
}

class VideoSource implements Source {
  readonly kind: "video" | "camera";
  readonly name: string;
  readonly element: HTMLVideoElement;
  readonly mirrored: boolean;
  onFrame?: () => void;
  onResize?: () => void;
  onEnd?: () => void;
  private readonly release: () => void;
  private closed = false;

  constructor(
    element: HTMLVideoElement,
    facts: { kind: "video" | "camera"; name: string; mirrored: boolean; release: () => void },
  ) {
    this.element = element;
    this.kind = facts.kind;
    this.name = facts.name;
    this.mirrored = facts.mirrored;
    this.release = facts.release;
    this.watch();
    element.addEventListener("resize", () => this.onResize?.());
    element.addEventListener("seeked", () => this.onFrame?.());
  }

  get width(): number {
    return this.element.videoWidth;
  }
  get height(): number {
    return this.element.videoHeight;
  }
  get live(): boolean {
    return !this.element.paused && !this.element.ended;
  }

  /** Calls `onFrame` for every frame that the browser presents; frames that come while one is looked at are lost. */
  private watch(): void {
    const next = (): void => {
      if (this.closed) return;
      this.onFrame?.();
      this.watch();
    };
    if ("requestVideoFrameCallback" in this.element) this.element.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
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
    this.release();
    this.element.removeAttribute("src");
    this.element.srcObject = null;
    this.element.load();
  }
}

function videoElement(): HTMLVideoElement {
  const video = make("video", { playsinline: "", disablepictureinpicture: "" });
  video.muted = true;
  return video;
}

const ready = (video: HTMLVideoElement): Promise<void> =>
  new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error(video.error?.message || "unknown format")), {
      once: true,
    });
  });

export async function openVideo(file: File): Promise<Source> {
  const url = URL.createObjectURL(file);
  const video = videoElement();
  video.loop = true;
  video.controls = true;
  const loaded = ready(video);
  video.src = url;
  try {
    await loaded;
  } catch (error) {
    URL.revokeObjectURL(url);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${file.name}: the browser cannot play this video (${reason}). Save it as MP4 (H.264) or WebM and open that.`,
    );
  }
  await video.play().catch(() => {}); // without leave to play, the controls are there
  const name = stemOf(file.name);
  return new VideoSource(video, {
    ...{ kind: "video", name, mirrored: false },
    release: () => URL.revokeObjectURL(url),
  });
}

export type Facing = "user" | "environment";

/** Throws what `getUserMedia` throws. */
export async function openCamera(facing: Facing): Promise<Source> {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no camera", "NotFoundError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: { ideal: facing }, width: { ideal: 1280 }, height: { ideal: 720 } },
  });
  const [track] = stream.getVideoTracks();
  const video = videoElement();
  video.setAttribute("aria-label", "Camera");
  const loaded = ready(video);
  video.srcObject = stream;
  const release = (): void => {
    for (const each of stream.getTracks()) each.stop();
  };
  try {
    await loaded;
    await video.play();
  } catch (error) {
    release();
    throw error;
  }
  const source = new VideoSource(video, {
    ...{ kind: "camera", name: "camera", release },
    mirrored: track.getSettings().facingMode === "user",
  });
  track.addEventListener("ended", () => source.onEnd?.());
  return source;
}

/** Whether there is another camera to turn to; known once one was allowed. */
export async function hasSeveralCameras(): Promise<boolean> {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind }) => kind === "videoinput").length > 1;
}
