/** Two models on the same frame: a picture is divided between them, a stream is shown twice. */
import { isObject } from "../src/index.ts";
import type { Companion, DetectView } from "./detect.ts";
import { anElement, make } from "./dom.ts";
import { draw, masksOf } from "./drawing.ts";
import { tell } from "./notices.ts";
import type { DetectReply, DetectRequest } from "./protocol.ts";
import type { ShelfModel } from "./shelf.ts";
import type { Source } from "./source.ts";
import type { Tool } from "./tools.ts";
import { languageChanged, t } from "./words.ts";

/** Boxes of one label that overlap by as much are the same thing. */
const same = 0.5;

export function compare(view: DetectView): Tool {
  return new Comparison(view);
}

class Comparison implements Tool, Companion {
  readonly element = make("div", { class: "tool", id: "comparing" });
  private readonly view: DetectView;
  private readonly select = make("select", { id: "other-model" });
  private readonly table = make("tbody");
  private readonly alike = make("p", { class: "hint", role: "status" });
  private readonly divider = make("input", { type: "range", min: "0", max: "1", step: "0.01", value: "0.5" });
  private readonly sides = make("div", { class: "sides" }, make("b"), make("b"));
  private readonly pair = make("canvas", { class: "pair-view", role: "img" });
  private request: DetectRequest | undefined;
  private other: DetectReply | undefined;
  /** Milliseconds of the last inference of both, where there was one meanwhile. */
  private ms: (number | undefined)[] = [];
  private closed = false;
  /** The model that cannot run beside the other. */
  private failed: ShelfModel | undefined;

  constructor(view: DetectView) {
    this.view = view;
    this.divider.className = "divider";
    this.divider.addEventListener("input", () => this.divide());
    this.select.addEventListener("change", () => this.again());
    this.write();
    this.offer();
    view.companions.add(this);
    addEventListener(languageChanged, this.write);
    this.cleared(); // until there is something to compare
    anElement("stage").append(this.pair, this.sides, this.divider);
    this.again();
  }

  private readonly write = (): void => {
    this.divider.setAttribute("aria-label", t("Where one model ends and the other begins"));
    this.pair.setAttribute("aria-label", t("The same frame with the boxes of both models"));
    const head = [t("model"), t("boxes"), "ms"].map((text) => make("th", {}, text));
    this.element.replaceChildren(
      make("label", { class: "field" }, make("span", {}, t("Beside")), this.select),
      make(
        "div",
        { class: "scroll", tabindex: "0" },
        make("table", {}, make("thead", {}, make("tr", {}, ...head)), this.table),
      ),
      this.alike,
    );
  };

  /** The models that are there; at first one of another precision than that in use. */
  private offer(): void {
    const { current, models } = this.view.shelf;
    const value = this.select.value;
    const others = models.filter((each) => each !== current);
    const text = (each: ShelfModel): string => {
      const precision = each.facts?.precision ?? each.precision;
      return `${each.facts?.name ?? each.name}${precision ? ` (${precision})` : ""}`;
    };
    this.select.replaceChildren(
      ...others.map((each) => make("option", { value: String(each.id) }, text(each))),
    );
    const own = current?.facts?.precision;
    const first = others.find((each) => (each.facts?.precision ?? each.precision) !== own) ?? others[0];
    const isThere = others.some((each) => String(each.id) === value);
    this.select.value = isThere ? value : String(first?.id ?? "");
    if (!others.length) this.alike.textContent = t("Load another model to compare with.");
  }

  private get model(): ShelfModel | undefined {
    return this.view.shelf.models.find(({ id }) => String(id) === this.select.value);
  }

  private again(): void {
    this.failed = undefined;
    this.view.changed("settings");
    if (this.view.source?.kind === "picture") void this.view.changed("settings");
  }

  ask(request: DetectRequest): void {
    this.request = request;
  }

  async seen(reply: DetectReply): Promise<void> {
    const { request, view } = this;
    this.other = undefined;
    if (this.model === view.shelf.current || !this.model) this.offer();
    const { model } = this;
    if (!request || !model || model === this.failed) return;
    try {
      await this.hold(model);
      const { follow: _, frame: __, ...settings } = request;
      const { width = 0, height = 0 } = model.facts ?? {};
      const own = view.shelf.current?.facts;
      const isOwnSize = own && request.size === Math.max(own.width, own.height);
      const size = isOwnSize ? Math.max(width, height) : request.size;
      this.other = await view.link.call("detect", { ...settings, model: model.id, size, giveBack: false });
    } catch (error) {
      this.failed = model;
      tell(t("{name} does not run beside the other", { name: model.name }), error);
    }
    if (!this.closed) this.tellOf(reply, model);
  }

  /** Loads it where it is not yet. */
  private async hold(model: ShelfModel): Promise<void> {
    const { link, shelf } = this.view;
    if (model.heldBy === link) return;
    const { id, source, told } = model;
    model.facts = await link.call("load", { id, source, told });
    model.heldBy = link;
    shelf.render();
  }

  private tellOf(reply: DetectReply, model: ShelfModel): void {
    const { other, view } = this;
    if (!other) return;
    this.ms = [reply, other].map(({ reused, ms }, i) => (reused ? this.ms[i] : ms.inference));
    const row = (name: string, { boxes }: DetectReply, ms?: number): HTMLElement =>
      make(
        "tr",
        {},
        ...[name, String(boxes.length), ms?.toFixed(1) ?? "–"].map((text) => make("td", {}, text)),
      );
    const names = [view.shelf.current, model].map((each) => each?.facts?.name ?? "");
    this.table.replaceChildren(row(names[0], reply, this.ms[0]), row(names[1], other, this.ms[1]));
    const shared = alike(reply, other);
    this.alike.textContent = t(
      "{shared} found by both, {first} by the first only, {second} by the second only.",
      {
        shared,
        first: reply.boxes.length - shared,
        second: other.boxes.length - shared,
      },
    );
    names.forEach((name, i) => {
      this.sides.children[i].textContent = name;
    });
  }

  shown(reply: DetectReply, source: Source): void {
    const isStream = source.kind !== "picture";
    this.pair.hidden = !isStream || !this.other;
    this.divider.hidden = isStream || !this.other;
    this.sides.hidden = !this.other;
    if (isStream && reply.frame) this.drawPair(reply.frame);
    else this.divide();
  }

  private divide(): void {
    const { other, view } = this;
    const { source } = view;
    if (!other || source?.kind !== "picture") return;
    const { width, height } = other;
    const boxes = other.boxes.filter(({ label }) => !view.boxes.isLabelHidden(label));
    view.overlay.showBeside({ boxes, width, height, mirrored: false }, this.divider.valueAsNumber);
    anElement("stage").style.setProperty("--divide", String(this.divider.valueAsNumber));
  }

  /** Side by side, or one above the other, whichever shows more. */
  private drawPair(frame: ImageBitmap): void {
    const { pair, other, view } = this;
    const first = view.overlay.shown;
    if (!other || !first) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(pair.clientWidth * ratio), Math.round(pair.clientHeight * ratio)];
    pair.width = width;
    pair.height = height;
    const context = pair.getContext("2d", { alpha: false });
    if (!context || !width || !height) return;
    const wide = width / height > (1.4 * frame.width) / frame.height;
    const part = wide ? { width: width / 2, height } : { width, height: height / 2 };
    const boxes = other.boxes.filter(({ label }) => !view.boxes.isLabelHidden(label));
    const second = { ...first, boxes, marked: undefined, masks: masksOf(boxes, other) };
    [first, second].forEach((drawing, i) => {
      const scale = Math.min(part.width / drawing.width, part.height / drawing.height) * 0.985;
      const left = (wide ? i * part.width : 0) + (part.width - drawing.width * scale) / 2;
      const top = (wide ? 0 : i * part.height) + (part.height - drawing.height * scale) / 2;
      context.save();
      context.translate(drawing.mirrored ? left + drawing.width * scale : left, top);
      context.scale(drawing.mirrored ? -1 : 1, 1);
      context.drawImage(frame, 0, 0, drawing.width * scale, drawing.height * scale);
      context.restore();
      draw(context, drawing, { left, top, scale, unit: ratio });
    });
    this.sides.classList.toggle("stacked", !wide);
  }

  cleared(): void {
    this.other = undefined;
    this.pair.hidden = true;
    this.divider.hidden = true;
    this.sides.hidden = true;
    this.table.replaceChildren();
  }

  close(): void {
    this.closed = true;
    this.view.companions.delete(this);
    removeEventListener(languageChanged, this.write);
    for (const each of [this.pair, this.sides, this.divider]) each.remove();
    this.again();
  }
}

/** How many things both found. */
function alike(first: DetectReply, second: DetectReply): number {
  const left = [...second.boxes];
  let shared = 0;
  for (const found of first.boxes) {
    const at = left.findIndex((other) => {
      if (other.label !== found.label) return false;
      if (!isObject(found) || !isObject(other)) return true;
      const [a, b] = [found.box, other.box];
      const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
      const both = Math.max(width, 0) * Math.max(height, 0);
      return both / (a.width * a.height + b.width * b.height - both) >= same;
    });
    if (at < 0) continue;
    left.splice(at, 1);
    shared++;
  }
  return shared;
}
