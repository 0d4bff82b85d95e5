/** What was found and how long it took, as texts and numbers. */
import type { Boxes } from "./boxes.ts";
import { Chart } from "./chart.ts";
import { anElement, byId, make } from "./dom.ts";
import type { DetectReply, Milliseconds, ShownBox } from "./protocol.ts";
import { t } from "./words.ts";

/** Numbers that change with every frame cannot be read. */
const numbersEvery = 250;
const rateWindow = 2000;

const short = (value: number): string => value.toFixed(value < 100 ? 1 : 0);

export class Results {
  private readonly chart = new Chart(byId("chart", HTMLCanvasElement));
  private readonly list: Boxes;
  private readonly times: number[] = [];
  private recent: Milliseconds[] = [];
  private last: Milliseconds = { pre: 0, inference: 0, post: 0 };
  private written = 0;
  private boxes: readonly ShownBox[] = [];
  private live = false;
  private readonly chips = new Map<string, HTMLElement>();

  constructor(list: Boxes) {
    this.list = list;
    anElement("found").addEventListener("click", ({ target }) => {
      const chip = (target as Element).closest<HTMLElement>(".chip");
      if (chip?.dataset.label !== undefined) this.list.toggleLabel(chip.dataset.label);
    });
  }

  /** `live`: one of a stream of frames. */
  show(reply: DetectReply, live: boolean): void {
    const now = performance.now();
    this.boxes = reply.boxes;
    this.live = live;
    this.last = reply.reused ? { ...this.last, post: reply.ms.post } : reply.ms;
    if (!reply.reused) this.chart.add(reply.ms);
    this.times.push(now);
    while (this.times[0] < now - rateWindow) this.times.shift();
    this.recent.push(this.last);
    if (live && now - this.written < numbersEvery) return;
    this.written = now;
    this.rewrite();
    this.recent = [];
  }

  /** The same anew: other boxes are shown, or the language is another one. */
  rewrite(): void {
    this.writeNumbers(this.live);
    this.writeFound(this.live);
    this.list.write();
  }

  clear(): void {
    this.times.length = 0;
    this.boxes = [];
    this.written = 0;
    for (const id of ["rate", "ms-pre", "ms-inference", "ms-post"]) anElement(id).textContent = "–";
    anElement("found").textContent = "";
    this.list.clear();
    this.chart.clear();
  }

  private writeNumbers(live: boolean): void {
    const frames = live && this.recent.length ? this.recent : [this.last];
    const mean = (kind: keyof Milliseconds): number =>
      frames.reduce((sum, each) => sum + each[kind], 0) / frames.length;
    for (const kind of ["pre", "inference", "post"] as const) {
      anElement(`ms-${kind}`).textContent = short(mean(kind));
    }
    const { times } = this;
    const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]) : 0;
    const total = this.last.pre + this.last.inference + this.last.post;
    anElement("rate-name").textContent = live ? t("frames a second") : t("ms this picture");
    anElement("rate").textContent = live ? (rate ? short(rate) : "–") : short(total);
  }

  /** A button for each class, which hides it. */
  private writeFound(live: boolean): void {
    const found = anElement("found");
    // A stream would never let a screen reader finish.
    found.setAttribute("aria-live", live ? "off" : "polite");
    const counts = new Map<string, { count: number; color: string }>();
    for (const { label, color } of this.boxes) {
      const known = counts.get(label);
      counts.set(label, { count: (known?.count ?? 0) + 1, color: known?.color ?? color });
    }
    for (const label of this.list.hiddenNames) {
      if (!counts.has(label)) counts.set(label, { count: 0, color: "transparent" });
    }
    if (!counts.size) {
      found.textContent = t("Nothing above this confidence.");
      return;
    }
    // What is under a finger stays the same element, however often the numbers change.
    for (const [label, chip] of this.chips) if (!counts.has(label)) this.chips.delete(label) && chip.remove();
    const chips = [...counts].map(([label, { count, color }]) => this.chip(label, count, color));
    if (chips.some((chip, i) => found.childNodes[i] !== chip) || found.childNodes.length > chips.length) {
      found.replaceChildren(...chips);
    }
  }

  private chip(label: string, count: number, color: string): HTMLElement {
    let chip = this.chips.get(label);
    if (!chip) {
      const attributes = { type: "button", class: "chip", "data-label": label };
      chip = make("button", attributes, make("i", { "aria-hidden": "true" }), "");
      this.chips.set(label, chip);
    }
    const isShown = !this.list.isLabelHidden(label);
    chip.setAttribute("aria-pressed", String(isShown));
    chip.title = isShown ? t("Hide {label}", { label }) : t("Show {label}", { label });
    const [dot, text] = chip.childNodes;
    (dot as HTMLElement).style.background = color;
    text.nodeValue = count > 1 ? `${label} × ${count}` : label;
    return chip;
  }
}
