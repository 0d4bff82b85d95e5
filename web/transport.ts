/** Moving through a video: a bar and the time, over the lower edge of the picture. */
import { make } from "./dom.ts";
import { t } from "./words.ts";

export function transportOf(video: HTMLVideoElement): HTMLElement {
  const bar = make("input", { type: "range", min: "0", step: "0.01", "aria-label": t("Position") });
  const clock = make("output", {});
  const show = (): void => {
    const { currentTime, duration } = video;
    bar.max = String(Number.isFinite(duration) ? duration : currentTime);
    bar.value = String(currentTime);
    bar.setAttribute("aria-valuetext", clockText(currentTime));
    clock.textContent = Number.isFinite(duration)
      ? `${clockText(currentTime)} / ${clockText(duration)}`
      : clockText(currentTime);
  };
  for (const event of ["timeupdate", "durationchange", "seeked"]) video.addEventListener(event, show);
  bar.addEventListener("input", () => {
    video.currentTime = bar.valueAsNumber;
  });
  show();
  return make("div", { class: "transport" }, bar, clock);
}

/** Seconds as `1:05`. */
function clockText(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
