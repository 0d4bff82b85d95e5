/** The camera: on only while frames are taken, so that its light says the truth. */
import { ready, VideoSource, videoElement } from "./source.ts";
import { t } from "./words.ts";

export type Facing = "user" | "environment";
/** Which camera; the one that was chosen by hand goes first. */
export interface CameraWish {
  facing: Facing;
  deviceId?: string;
}

/** What TypeScript's DOM does not know yet: https://www.w3.org/TR/image-capture/ */
export interface CameraAbilities extends MediaTrackCapabilities {
  torch?: boolean;
  zoom?: { min: number; max: number; step: number };
}

export class Camera extends VideoSource {
  private stream: MediaStream;
  private readonly wish: CameraWish;
  private turn = 0;

  constructor(element: HTMLVideoElement, stream: MediaStream, wish: CameraWish) {
    super(element, { kind: "camera", name: "camera" });
    [this.stream, this.wish] = [stream, wish];
    this.follow();
  }

  override get live(): boolean {
    return super.live && this.track?.readyState === "live";
  }

  get deviceId(): string | undefined {
    return this.track?.getSettings().deviceId;
  }

  get abilities(): CameraAbilities {
    return this.track?.getCapabilities?.() ?? {};
  }

  /** Light and zoom as they are. */
  get settings(): MediaTrackSettings & { torch?: boolean; zoom?: number } {
    return this.track?.getSettings() ?? {};
  }

  /** Sets the light or the zoom. */
  async set(wanted: { torch?: boolean; zoom?: number }): Promise<void> {
    await this.track?.applyConstraints({ advanced: [wanted as MediaTrackConstraintSet] });
  }

  override async pause(paused: boolean): Promise<void> {
    const turn = ++this.turn;
    if (paused) {
      this.element.pause();
      release(this.stream);
    } else {
      const { facing, deviceId } = this.wish;
      const stream = await streamOf({ facing, deviceId: this.deviceId ?? deviceId });
      if (turn !== this.turn || this.closed) {
        release(stream);
        return;
      }
      this.stream = stream;
      this.element.srcObject = stream;
      this.follow();
      await this.element.play();
    }
    this.onLive?.();
  }

  override close(): void {
    this.turn++;
    release(this.stream);
    super.close();
  }

  private get track(): MediaStreamTrack | undefined {
    return this.stream.getVideoTracks()[0];
  }

  private follow(): void {
    this.mirrored = this.settings.facingMode === "user";
    this.track?.addEventListener("ended", () => this.onEnd?.());
  }
}

function release(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

async function streamOf({ facing, deviceId }: CameraWish): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no camera", "NotFoundError");
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: facing } };
  const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video });
}

/** Throws what `getUserMedia` throws. */
export async function openCamera(wish: CameraWish): Promise<Camera> {
  const stream = await streamOf(wish);
  const video = videoElement();
  video.setAttribute("aria-label", t("Camera"));
  const loaded = ready(video);
  video.srcObject = stream;
  try {
    await loaded;
    await video.play();
  } catch (error) {
    release(stream);
    throw error;
  }
  return new Camera(video, stream, wish);
}

/** Cameras to choose from; their names are known once one was allowed. */
export async function cameras(): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind }) => kind === "videoinput");
}
