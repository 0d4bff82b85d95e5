/** What was found and how long it took, as texts and numbers. */

import { type Box, isObject } from "../src/index.ts";
import { Chart } from "./chart.ts";
import { anElement, byId, make } from "./dom.ts";
import type { DetectReply, Milliseconds, ShownBox } from "./protocol.ts";

/** Numbers that change with every frame cannot be read. */
const numbersEvery = 250;
const rateWindow = 2000;

/** Where the class of a whole picture is. */
const nowhere: Partial<Box> = {};

const short = (value: number): string => value.toFixed(value < 100 ? 1 : 0);

export class Results {
  private readonly chart = new Chart(byId("chart", HTMLCanvasElement));
  private readonly table = byId("boxes", HTMLDetailsElement);
  private readonly times: number[] = [];
  private recent: Milliseconds[] = [];
  private last: Milliseconds = { pre: 0, inference: 0, post: 0 };
  private written = 0;
  private boxes: readonly ShownBox[] = [];

  constructor() {
    this.table.addEventListener("toggle", () => this.writeTable());
  }

  /** `live`: one of a stream of frames. */
  show(reply: DetectReply, live: boolean): void {
    const now = performance.now();
    this.boxes = reply.boxes;
    this.last = reply.reused ? { ...this.last, post: reply.ms.post } : reply.ms;
    if (!reply.reused) this.chart.add(reply.ms);
    this.times.push(now);
    while (this.times[0] < now - rateWindow) this.times.shift();
    this.recent.push(this.last);
    if (live && now - this.written < numbersEvery) return;
    this.written = now;
    this.writeNumbers(live);
    this.writeFound(live);
    this.writeTable();
    this.recent = [];
  }

  clear(): void {
    this.times.length = 0;
    this.boxes = [];
    for (const id of ["rate", "ms-pre", "ms-inference", "ms-post"]) anElement(id).textContent = "–";
    anElement("found").textContent = "";
    this.writeTable();
    this.chart.clear();
  }

  private writeNumbers(live: boolean): void {
    const frames = live ? this.recent : [this.last];
    const mean = (kind: keyof Milliseconds): number =>
      frames.reduce((sum, each) => sum + each[kind], 0) / frames.length;
    for (const kind of ["pre", "inference", "post"] as const) {
      anElement(`ms-${kind}`).textContent = short(mean(kind));
    }
    const { times } = this;
    const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]) : 0;
    const total = this.last.pre + this.last.inference + this.last.post;
    anElement("rate-name").textContent = live ? "frames a second" : "ms this picture";
    anElement("rate").textContent = live ? (rate ? short(rate) : "–") : short(total);
  }

  private writeFound(live: boolean): void {
    const found = anElement("found");
    // A stream would never let a screen reader finish.
    found.setAttribute("aria-live", live ? "off" : "polite");
    const counts = new Map<string, { count: number; color: string }>();
    for (const { label, color } of this.boxes) {
      counts.set(label, { count: (counts.get(label)?.count ?? 0) + 1, color });
    }
    if (!counts.size) {
      found.textContent = "Nothing above this confidence.";
      return;
    }
    found.replaceChildren(
      ...[...counts].map(([label, { count, color }]) => {
        const dot = make("i", { style: `background:${color}`, "aria-hidden": "true" });
        return make("span", { class: "chip" }, dot, count > 1 ? `${label} × ${count}` : label);
      }),
    );
  }

  private writeTable(): void {
    if (!this.table.open) return;
    anElement("rows").replaceChildren(
      ...this.boxes.map((found) => {
        const { label, score } = found;
        const { x, y, width, height } = isObject(found) ? found.box : nowhere;
        const values = [x, y, width, height].map((value) => value?.toFixed(1) ?? "–");
        return make("tr", {}, ...[label, score.toFixed(3), ...values].map((text) => make("td", {}, text)));
      }),
    );
  }
}
