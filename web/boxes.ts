/** The boxes one by one: which are shown, which stands out, the table of them, and how they are taken elsewhere. */
import { type Box, isObject } from "../src/index.ts";
import { anElement, button, byId, download, make } from "./dom.ts";
import type { BoxFormat } from "./export.ts";
import { notify, tell } from "./notices.ts";
import type { Overlay } from "./overlay.ts";
import type { DetectReply, Labels, ShownBox } from "./protocol.ts";
import { t } from "./words.ts";

/** Where the class of a whole picture is. */
const nowhere: Partial<Box> = {};

/** The same for a box that is found again: its number, else what and where it is. */
function keyOf(found: ShownBox): string {
  if (found.id !== undefined) return `#${found.id}`;
  const { x, y, width, height } = isObject(found) ? found.box : nowhere;
  return [found.label, x, y, width, height].join(" ");
}

export class Boxes {
  private readonly overlay: Overlay;
  private readonly changed: () => void;
  private readonly table = byId("boxes", HTMLDetailsElement);
  private readonly hiddenLabels = new Set<string>();
  private readonly hiddenKeys = new Set<string>();
  private reply: Pick<DetectReply, "boxes" | "width" | "height"> = { boxes: [], width: 0, height: 0 };
  /** That stands out until another one is chosen. */
  private chosen: string | undefined;
  /** Of what they are, for names of files. */
  name = "picture";
  labels: Labels = "free";

  /** `changed`: others are shown now. */
  constructor(overlay: Overlay, changed: () => void) {
    [this.overlay, this.changed] = [overlay, changed];
    this.table.addEventListener("toggle", () => this.write());
    this.wireStage();
    this.wireRows();
    byId("labels", HTMLSelectElement).addEventListener("change", ({ target }) => {
      this.labels = (target as HTMLSelectElement).value as Labels;
      overlay.setLabels(this.labels);
    });
    button("save-boxes").addEventListener("click", () => void this.save());
    button("copy-boxes").addEventListener("click", () => void this.copy());
  }

  /** Takes what was found; what of it is to be drawn. */
  take(reply: DetectReply): ShownBox[] {
    this.reply = reply;
    return this.visible;
  }

  /** Without what the visitor has hidden. */
  get visible(): ShownBox[] {
    if (!this.hiddenLabels.size && !this.hiddenKeys.size) return this.reply.boxes;
    return this.reply.boxes.filter((found) => !this.isHidden(found));
  }

  private isHidden(found: ShownBox): boolean {
    return this.hiddenLabels.has(found.label) || this.hiddenKeys.has(keyOf(found));
  }

  clear(): void {
    this.reply = { boxes: [], width: 0, height: 0 };
    this.hiddenKeys.clear();
    this.chosen = undefined;
    this.write();
  }

  isLabelHidden(label: string): boolean {
    return this.hiddenLabels.has(label);
  }

  toggleLabel(label: string): void {
    if (!this.hiddenLabels.delete(label)) this.hiddenLabels.add(label);
    this.changed();
  }

  /** Labels that are hidden and not found at present; they can be brought back. */
  get hiddenNames(): string[] {
    return [...this.hiddenLabels];
  }

  // The table

  write(): void {
    const { boxes } = this.reply;
    button("save-boxes").disabled = !boxes.length;
    button("copy-boxes").disabled = !boxes.length;
    this.overlay.mark(boxes.find((found) => keyOf(found) === this.chosen));
    if (!this.table.open) return;
    const rows = anElement("rows");
    // Rows stay the same elements, so that a stream of boxes can be clicked.
    while (rows.children.length > boxes.length) rows.lastElementChild?.remove();
    while (rows.children.length < boxes.length) rows.append(newRow(rows.children.length));
    boxes.forEach((found, i) => {
      this.fill(rows.children[i] as HTMLElement, found);
    });
  }

  private fill(row: HTMLElement, found: ShownBox): void {
    const { label, score, id, color } = found;
    const { x, y, width, height } = isObject(found) ? found.box : nowhere;
    const isChosen = keyOf(found) === this.chosen;
    const isHidden = this.isHidden(found);
    const [first, ...cells] = [...row.children] as HTMLElement[];
    const pick = first.firstElementChild as HTMLElement;
    pick.setAttribute("aria-pressed", String(isChosen));
    (pick.firstElementChild as HTMLElement).style.background = color;
    (pick.lastChild as Text).nodeValue = label;
    if (id === undefined) delete pick.dataset.id;
    else pick.dataset.id = `#${id}`;
    const values = [x, y, width, height].map((value) => value?.toFixed(1) ?? "–");
    [score.toFixed(3), ...values].forEach((text, i) => {
      cells[i].textContent = text;
    });
    const hide = cells[5].firstElementChild as HTMLElement;
    hide.textContent = isHidden ? "+" : "×";
    hide.setAttribute("aria-label", isHidden ? t("Show {label}", { label }) : t("Hide {label}", { label }));
    row.classList.toggle("hidden-box", isHidden);
    row.classList.toggle("chosen", isChosen);
  }

  private wireRows(): void {
    const rows = anElement("rows");
    const boxOf = (event: Event): ShownBox | undefined => {
      const row = (event.target as Element).closest<HTMLElement>("tr[data-i]");
      return row ? this.reply.boxes[Number(row.dataset.i)] : undefined;
    };
    for (const kind of ["pointerover", "focusin"]) {
      rows.addEventListener(kind, (event) => this.overlay.mark(boxOf(event)));
    }
    for (const kind of ["pointerleave", "focusout"]) rows.addEventListener(kind, () => this.markChosen());
    rows.addEventListener("click", (event) => {
      const found = boxOf(event);
      if (!found) return;
      if ((event.target as Element).closest(".quiet")) this.toggleBox(found);
      else this.choose(found);
    });
  }

  private toggleBox(found: ShownBox): void {
    const key = keyOf(found);
    if (this.hiddenLabels.delete(found.label)) this.hiddenKeys.delete(key);
    else if (!this.hiddenKeys.delete(key)) this.hiddenKeys.add(key);
    this.changed();
  }

  private markChosen(): void {
    this.overlay.mark(this.reply.boxes.find((found) => keyOf(found) === this.chosen));
  }

  /** Lets it stand out, or no longer. */
  private choose(found: ShownBox): void {
    const key = keyOf(found);
    this.chosen = this.chosen === key ? undefined : key;
    this.write();
    this.markChosen();
  }

  // The picture

  private wireStage(): void {
    const stage = anElement("stage");
    const at = ({ clientX, clientY }: PointerEvent | MouseEvent): ShownBox | undefined =>
      stage.dataset.drawing ? undefined : this.overlay.boxAt(clientX, clientY);
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const found = at(event);
      stage.classList.toggle("over-box", found !== undefined);
      if (found) this.overlay.mark(found);
      else this.markChosen();
    });
    stage.addEventListener("pointerleave", () => this.markChosen());
    stage.addEventListener("click", (event) => {
      if ((event.target as Element).closest("button, input, label, .transport")) return;
      const found = at(event);
      if (!found) return;
      this.table.open = true;
      this.chosen = undefined;
      this.choose(found);
      this.write();
      const row = anElement("rows").children[this.reply.boxes.indexOf(found)];
      row?.scrollIntoView({ block: "nearest" });
    });
  }

  // Elsewhere

  private async text(): Promise<{ text: string; format: BoxFormat; ending: string } | undefined> {
    const format = byId("format", HTMLSelectElement).value as BoxFormat;
    const { width, height } = this.reply;
    try {
      const { boxesText, boxFormats } = await import("./export.ts");
      const text = boxesText(format, { name: this.name, boxes: this.visible, width, height });
      return { text, format, ending: boxFormats[format].ending };
    } catch (error) {
      tell(t("The boxes were not saved"), error);
      return undefined;
    }
  }

  private async save(): Promise<void> {
    const made = await this.text();
    if (!made) return;
    const type = made.format === "json" || made.format === "coco" ? "application/json" : "text/plain";
    download(new Blob([made.text], { type }), `${this.name}-boxes.${made.ending}`);
  }

  private async copy(): Promise<void> {
    const made = await this.text();
    if (!made) return;
    const control = button("copy-boxes");
    try {
      await navigator.clipboard.writeText(made.text);
    } catch {
      notify(
        t("The boxes were not copied"),
        t("The browser does not let this page copy. Save them instead."),
      );
      return;
    }
    control.textContent = t("Copied");
    setTimeout(() => {
      control.textContent = t("Copy");
    }, 2000);
  }
}

/** A row whose texts come later: what it is, score, place, and a button that hides it. */
function newRow(i: number): HTMLElement {
  const pick = make("button", { type: "button", class: "pick" }, make("i", { "aria-hidden": "true" }), "");
  const hide = make("button", { type: "button", class: "quiet" });
  const cells = Array.from({ length: 5 }, () => make("td"));
  return make("tr", { "data-i": String(i) }, make("td", {}, pick), ...cells, make("td", {}, hide));
}
