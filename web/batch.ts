/** Many pictures: all are looked at, shown small with their boxes, counted in a table, and taken home in a zip. */
import type { DetectView } from "./detect.ts";
import { anElement, download, make } from "./dom.ts";
import { tell } from "./notices.ts";
import type { SearchedPicture } from "./protocol.ts";
import { openPicture } from "./source.ts";
import { languageChanged, plural, t } from "./words.ts";

/** Longer side of the small pictures, in pixels. */
const thumbSide = 320;

interface Entry {
  file: File;
  found?: SearchedPicture;
  /** Why it was not looked at. */
  problem?: string;
  card: HTMLButtonElement;
  picture: HTMLCanvasElement;
  caption: HTMLElement;
}

let open: Batch | undefined;

/** Shows the pictures in place of others that were there. */
export function openBatch(view: DetectView, files: readonly File[]): void {
  open?.close();
  open = new Batch(view, files);
}

class Batch {
  private readonly view: DetectView;
  private readonly entries: Entry[];
  private readonly title = make("h2", { id: "batch-title" });
  private readonly status = make("p", { class: "hint", role: "status" });
  private readonly grid = make("div", { class: "grid" });
  private readonly rows = make("tbody");
  private readonly head = make("tr");
  private readonly summary = make("summary");
  private readonly zip = make("button", { type: "button", id: "batch-zip", class: "primary" });
  private readonly again = make("button", { type: "button", id: "batch-again" });
  private readonly shut = make("button", { type: "button", id: "batch-close", class: "quiet" });
  /** Another number ends the search that is going on. */
  private turn = 0;

  constructor(view: DetectView, files: readonly File[]) {
    this.view = view;
    this.entries = files.map((file) => this.entryOf(file));
    this.grid.append(...this.entries.map(({ card }) => card));
    this.zip.addEventListener("click", () => void this.save());
    this.again.addEventListener("click", () => void this.search());
    this.shut.addEventListener("click", () => this.close());
    const table = make("table", {}, make("thead", {}, this.head), this.rows);
    const details = make("details", {}, this.summary, make("div", { class: "scroll", tabindex: "0" }, table));
    const actions = make("div", { class: "row" }, this.zip, this.again, this.shut);
    anElement("batch").replaceChildren(this.title, this.status, this.grid, details, actions);
    anElement("batch").hidden = false;
    addEventListener(languageChanged, this.write);
    this.write();
    void this.search();
  }

  close(): void {
    this.turn++;
    removeEventListener(languageChanged, this.write);
    for (const { found } of this.entries) found?.thumb.close();
    anElement("batch").replaceChildren();
    anElement("batch").hidden = true;
    if (open === this) open = undefined;
  }

  private entryOf(file: File): Entry {
    const picture = make("canvas", { width: "4", height: "3", "aria-hidden": "true" });
    const caption = make("small");
    const card = make("button", { type: "button", class: "card", title: file.name }, picture, caption);
    card.addEventListener("click", () => {
      for (const each of this.entries) each.card.classList.toggle("on", each.card === card);
      void this.view.watching.open(() => openPicture(file));
    });
    return { file, card, picture, caption };
  }

  /** Looks at all of them, one after the other, as the settings are now. */
  private async search(): Promise<void> {
    const turn = ++this.turn;
    for (const entry of this.entries) {
      const model = this.view.shelf.current;
      const { link } = this.view;
      if (model?.heldBy !== link) {
        if (turn === this.turn) this.status.textContent = t("Load a model, then search again.");
        break;
      }
      const done = this.entries.indexOf(entry);
      this.status.textContent = t("{done} of {total} looked at", { done, total: this.entries.length });
      try {
        const { confidence, iou, size, rectangle } = this.view.settings.read();
        const request = { ...{ model: model.id, confidence, iou, size, rectangle }, file: entry.file };
        const { labels } = this.view.boxes;
        const found = await link.call("search", { ...request, labels, thumb: thumbSide });
        if (turn !== this.turn) {
          found.thumb.close();
          return;
        }
        entry.found?.thumb.close();
        Object.assign(entry, { found, problem: undefined });
        draw(entry.picture, found.thumb);
      } catch (error) {
        if (turn !== this.turn) return;
        if (link !== this.view.link) {
          this.status.textContent = t("Load a model, then search again.");
          break;
        }
        Object.assign(entry, {
          found: undefined,
          problem: error instanceof Error ? error.message : String(error),
        });
      }
      this.writeEntry(entry);
      if (done === this.entries.length - 1) this.status.textContent = "";
    }
    this.writeTable();
  }

  private readonly write = (): void => {
    this.title.textContent = plural(this.entries.length, "picture");
    this.summary.textContent = t("Table");
    this.zip.textContent = t("Save zip");
    this.again.textContent = t("Search again");
    this.shut.textContent = t("Close");
    for (const entry of this.entries) this.writeEntry(entry);
    this.writeTable();
  };

  private writeEntry({ file, found, problem, card, caption }: Entry): void {
    const said = problem ? t("not read") : found ? plural(found.boxes.length, "box", "boxes") : "…";
    caption.textContent = said;
    card.title = problem ?? file.name;
    card.setAttribute("aria-label", `${file.name}: ${said}`);
  }

  /** A line a picture, a column a class. */
  private writeTable(): void {
    const all = this.entries.flatMap(({ found }) => found?.boxes ?? []);
    const labels = [...new Set(all.map(({ label }) => label))].sort();
    this.head.replaceChildren(
      ...[t("picture"), t("boxes"), ...labels].map((text) => make("th", { scope: "col" }, text)),
    );
    const count = (boxes: typeof all, label: string): number =>
      boxes.filter((each) => each.label === label).length;
    const row = (name: string, boxes: typeof all): HTMLElement =>
      make(
        "tr",
        {},
        ...[name, boxes.length, ...labels.map((label) => count(boxes, label) || "")].map((value) =>
          make("td", {}, String(value)),
        ),
      );
    this.rows.replaceChildren(
      ...this.entries.map(({ file, found }) => row(file.name, found?.boxes ?? [])),
      row(t("in all"), all),
    );
    this.zip.disabled = !this.entries.some(({ found }) => found);
  }

  private async save(): Promise<void> {
    this.zip.disabled = true;
    try {
      const pictures = this.entries.flatMap(({ file, found }) => {
        if (!found) return [];
        const { width, height } = found;
        const boxes = found.boxes.filter(({ label }) => !this.view.boxes.isLabelHidden(label));
        return [{ name: file.name || "picture", file, boxes, width, height }];
      });
      const classes = this.view.shelf.current?.facts?.labels ?? [];
      const { labels } = this.view.boxes;
      const blob = await this.view.link.call("zip", { pictures, labels, classes }, [], (progress) => {
        this.status.textContent = t("{done} of {total} packed", { ...progress });
      });
      this.status.textContent = "";
      download(blob, "pictures-boxes.zip");
    } catch (error) {
      tell(t("The zip was not made"), error);
    }
    this.zip.disabled = false;
  }
}

function draw(canvas: HTMLCanvasElement, thumb: ImageBitmap): void {
  [canvas.width, canvas.height] = [thumb.width, thumb.height];
  canvas.getContext("2d")?.drawImage(thumb, 0, 0);
}
