/** A line or a region, drawn on the picture with finger or mouse. */
import { anElement, make } from "./dom.ts";
import type { Overlay } from "./overlay.ts";
import { t } from "./words.ts";

/** In parts of the picture's width and height. */
export type Place = [x: number, y: number];

export class Sketch {
  /** What to do next. */
  readonly hint = make("p", { class: "hint", role: "status" });
  private readonly overlay: Overlay;
  private readonly done: (kind: "line" | "region", places: readonly Place[]) => void;
  private kind: "line" | "region" | undefined;
  private places: Place[] = [];
  private readonly dots = make("div", { class: "dots", "aria-hidden": "true" });

  constructor(overlay: Overlay, done: (kind: "line" | "region", places: readonly Place[]) => void) {
    [this.overlay, this.done] = [overlay, done];
  }

  begin(kind: "line" | "region"): void {
    this.end();
    this.kind = kind;
    const stage = anElement("stage");
    stage.dataset.drawing = kind;
    stage.append(this.dots);
    stage.addEventListener("click", this.press);
    addEventListener("keydown", this.key);
    stage.scrollIntoView({ block: "nearest" });
    this.say();
  }

  end(): void {
    const stage = anElement("stage");
    delete stage.dataset.drawing;
    stage.removeEventListener("click", this.press);
    removeEventListener("keydown", this.key);
    this.dots.remove();
    this.dots.replaceChildren();
    this.kind = undefined;
    this.places = [];
    this.hint.textContent = "";
  }

  private say(): void {
    this.hint.textContent =
      this.kind === "line"
        ? this.places.length
          ? t("Now its other end.")
          : t("Tap on the picture where the line begins.")
        : this.places.length < 3
          ? t("Tap the corners of the region.")
          : t("Tap the next corner, or the first one again to finish.");
  }

  private readonly key = ({ key }: KeyboardEvent): void => {
    if (key === "Escape") this.end();
    if (key === "Enter" && this.kind === "region" && this.places.length > 2) this.finish();
  };

  private readonly press = (event: MouseEvent): void => {
    const { clientX, clientY } = event;
    const { shown } = this.overlay;
    const at = this.overlay.placeAt(clientX, clientY);
    if (!at || !shown) return;
    event.preventDefault();
    const stage = anElement("stage").getBoundingClientRect();
    const first = this.dots.firstElementChild as HTMLElement | null;
    if (first && this.kind === "region" && this.places.length > 2) {
      const { left, top } = first.getBoundingClientRect();
      if (Math.hypot(left + 8 - clientX, top + 8 - clientY) < 22) {
        this.finish();
        return;
      }
    }
    this.places.push([at[0] / shown.width, at[1] / shown.height]);
    this.dots.append(
      make("i", { style: `left:${clientX - stage.left - 8}px;top:${clientY - stage.top - 8}px` }),
    );
    if (this.kind === "line" && this.places.length === 2) this.finish();
    else this.say();
  };

  private finish(): void {
    const { kind, places } = this;
    this.end();
    if (kind) this.done(kind, places);
  }
}
