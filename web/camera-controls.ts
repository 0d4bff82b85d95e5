/** What this camera can do besides: another camera, light, zoom. Fetched when there is a camera. */
import type { Camera } from "./camera.ts";
import { cameras } from "./camera.ts";
import { make } from "./dom.ts";
import { tell } from "./notices.ts";
import { t } from "./words.ts";

/** Nothing where there is nothing to choose. */
export async function cameraControls(
  camera: Camera,
  choose: (deviceId: string) => void,
): Promise<HTMLElement[]> {
  const controls: HTMLElement[] = [];
  const all = await cameras();
  const own = camera.deviceId;
  if (all.length > 1) {
    const select = make("select", { id: "camera" });
    select.append(
      ...all.map(({ deviceId, label }, i) =>
        make("option", { value: deviceId }, label || t("Camera {n}", { n: i + 1 })),
      ),
    );
    select.value = own ?? "";
    select.addEventListener("change", () => choose(select.value));
    controls.push(make("label", { class: "field" }, make("span", {}, t("Camera")), select));
  }
  const { zoom, torch } = camera.abilities;
  const set = async (wanted: { zoom?: number; torch?: boolean }): Promise<void> => {
    try {
      await camera.set(wanted);
    } catch (error) {
      tell(t("The camera did not take that"), error);
    }
  };
  if (zoom && zoom.max > zoom.min) controls.push(zoomOf(zoom, camera.settings.zoom ?? zoom.min, set));
  if (torch) {
    const light = make("input", { type: "checkbox", id: "torch" });
    light.addEventListener("change", () => void set({ torch: light.checked }));
    controls.push(make("label", { class: "check" }, light, make("span", {}, t("Light"))));
  }
  return controls;
}

function zoomOf(
  { min, max, step }: { min: number; max: number; step: number },
  now: number,
  set: (wanted: { zoom: number }) => Promise<void>,
): HTMLElement {
  const range = { min: String(min), max: String(max), step: String(step || "any") };
  const slider = make("input", { type: "range", id: "zoom", ...range });
  slider.value = String(now);
  const shown = make("output", { for: "zoom" });
  const write = (): void => {
    shown.textContent = `${(slider.valueAsNumber / Math.max(min, 1e-6)).toFixed(1)}×`;
  };
  write();
  slider.addEventListener("input", () => {
    write();
    void set({ zoom: slider.valueAsNumber });
  });
  return make("label", { class: "slide" }, make("span", {}, t("Zoom")), shown, slider);
}
