/** The Convert tab: a checkpoint and pictures in, int8 files and a report out. Its worker lives for one conversion. */
import type { Method } from "../src/index.ts";
import { threadChoices } from "./capabilities.ts";
import { Converted } from "./converted.ts";
import { Converting } from "./converting.ts";
import { anElement, button, byId, chooseFiles, formatBytes, make } from "./dom.ts";
import { Examination } from "./examine.ts";
import { canBeTold, FactsForm, isDoubted } from "./facts.ts";
import { isPicture, modelTypes, pictureTypes, type Sorted, sortFiles } from "./files.ts";
import { WorkerError, WorkerLink } from "./link.ts";
import { machineText } from "./machine.ts";
import { clearNotices, notify, tell } from "./notices.ts";
import type { ModelFacts, ToldFacts } from "./protocol.ts";
import { plural, t } from "./words.ts";

const shownThumbs = 24;
const sides = [256, 320, 352, 416, 480, 512, 640];
const shownNames = 3;

/** The model that is to be converted. */
interface Chosen {
  readonly files: readonly File[];
  told: ToldFacts;
  /** It was looked at. */
  isRead: boolean;
  /** Where boxes can be read from it. */
  facts?: ModelFacts;
}

export class ConvertView {
  private readonly tryModels: (groups: File[][], picture: File | undefined) => void;
  private readonly facts = new FactsForm((told) => void this.retell(told), "convert-");
  private readonly examination = new Examination();
  private readonly result = new Converted();
  private chosen: Chosen | undefined;
  private pictures: File[] = [];
  private link: WorkerLink | undefined;
  private previewed: unknown;
  private previewUrl = "";

  constructor(actions: { tryModels: (groups: File[][], picture: File | undefined) => void }) {
    this.tryModels = actions.tryModels;
    const size = byId("convert-size", HTMLSelectElement);
    size.append(...sides.map((side) => make("option", { value: String(side) }, `${side} × ${side}`)));
    this.wirePickers();
    byId("convert-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.start();
    });
    button("cancel").addEventListener("click", () => this.link?.close());
    button("again").addEventListener("click", () => this.view("form"));
    button("try").addEventListener("click", () => this.tryModels(this.result.models(), this.pictures[0]));
    this.refresh();
  }

  // What goes in

  private wirePickers(): void {
    button("pick-convert-model").addEventListener("click", async () => {
      const files = await chooseFiles({ multiple: true, accept: modelTypes });
      if (files.length) this.take(sortFiles(files));
    });
    button("pick-pictures").addEventListener("click", async () => {
      this.addPictures(await chooseFiles({ multiple: true, accept: pictureTypes }));
    });
    button("pick-picture-folder").addEventListener("click", async () => {
      this.addPictures((await chooseFiles({ folder: true })).filter(isPicture));
    });
    button("clear-pictures").addEventListener("click", () => {
      this.pictures = [];
      this.refresh();
    });
  }

  /** Takes what was dropped, pasted or chosen. */
  take({ models, pictures, others }: Sorted): void {
    if (this.link) return;
    if (!this.isShown("form")) this.view("form");
    clearNotices();
    if (models.length > 1)
      notify(
        t("Several models"),
        t("Only {name} is converted. Convert the others one by one.", { name: models[0][0].name }),
      );
    if (models.length) void this.choose({ files: models[0], told: {}, isRead: false });
    if (pictures.length) this.addPictures(pictures);
    if (!models.length && !pictures.length) {
      notify(
        t("Nothing to convert"),
        t(
          "{what} is no model and no picture. Give a .pt, an .onnx or a .param with its .bin, and pictures.",
          {
            what: others.slice(0, 3).join(", ") || t("It"),
          },
        ),
      );
    }
    this.refresh();
  }

  /** Looks at a model, so that what its file does not say is asked before anything is computed. */
  private async choose(chosen: Chosen): Promise<void> {
    this.chosen = chosen;
    this.refresh();
    try {
      const facts = await this.examination.look(chosen.files, chosen.told);
      if (this.chosen !== chosen) return;
      chosen.facts = facts;
      this.facts.offer(chosen);
    } catch (error) {
      if (this.chosen !== chosen || isAbort(error)) return;
      const [{ name }] = chosen.files;
      this.facts.offer(chosen);
      if (canBeTold(error)) {
        tell(
          t("{name} has to be explained", { name }),
          error,
          t(
            "Its file does not say enough to find boxes, so int8 could not be checked. Choose its family, or write its anchors, below; without pictures it is converted as it is.",
          ),
        );
      } else if (error instanceof WorkerError && error.name === "UnsupportedError") {
        tell(
          t("No boxes can be read from {name}", { name }),
          error,
          t(
            "So int8 could not be checked. Without pictures it is converted as it is, as far as ncnn has its layers.",
          ),
        );
      } else {
        this.chosen = undefined;
        tell(t("{name} cannot be converted", { name }), error);
      }
    }
    chosen.isRead = true;
    this.refresh();
  }

  /** What does not fit leaves it as it was. */
  private async retell(told: ToldFacts): Promise<void> {
    const before = this.chosen;
    if (!before) return;
    const after: Chosen = { files: before.files, told, isRead: true };
    this.chosen = after;
    try {
      after.facts = await this.examination.look(after.files, told);
    } catch (error) {
      if (this.chosen !== after) return;
      this.chosen = before;
      tell(t("That does not fit {name}", { name: before.files[0].name }), error);
    }
    if (this.chosen) this.facts.offer(this.chosen);
    this.refresh();
  }

  private addPictures(files: readonly File[]): void {
    const known = new Set(this.pictures.map(({ name, size }) => `${name} ${size}`));
    this.pictures.push(...files.filter(({ name, size }) => !known.has(`${name} ${size}`)));
    this.refresh();
  }

  private refresh(): void {
    const { chosen, pictures } = this;
    const picked = anElement("convert-model");
    if (chosen) picked.replaceChildren(...describe(chosen));
    else
      picked.replaceChildren(
        ...[
          t("A checkpoint"),
          " ",
          make("code", {}, ".pt"),
          t(", an export"),
          " ",
          make("code", {}, ".onnx"),
        ],
        ...[
          t(", or float"),
          " ",
          make("code", {}, ".param"),
          ` ${t("with")} `,
          make("code", {}, ".bin"),
          ".",
        ],
      );
    anElement("convert-facts").hidden = !chosen;
    anElement("drop-model").classList.toggle("done", chosen !== undefined);
    anElement("drop-pictures").classList.toggle("done", pictures.length > 0);
    button("clear-pictures").hidden = pictures.length === 0;
    const few = pictures.length < 30 ? t("; thirty or more give better scales") : "";
    anElement("convert-pictures").textContent = pictures.length
      ? `${plural(pictures.length, "picture")}${few}.`
      : t(
          "Thirty or more photographs like those that the model will see; a hundred is better. Without any, the model is only converted.",
        );
    void this.showThumbs();
    void this.showPreview();
    const start = button("convert-start");
    const isWaiting = pictures.length > 0 && chosen !== undefined && isDoubted(chosen.facts);
    start.disabled = !chosen?.isRead || isWaiting;
    start.textContent = !chosen
      ? t("Choose a model first")
      : !chosen.isRead
        ? t("Reading the model…")
        : isWaiting
          ? t("Say what the model is first")
          : pictures.length
            ? t("Convert and quantize")
            : t("Convert without quantizing");
  }

  /** Boxes of a doubted model in the first picture, to judge by. */
  private async showPreview(): Promise<void> {
    const { chosen, pictures } = this;
    const image = byId("convert-preview", HTMLImageElement);
    const { facts } = chosen ?? {};
    const isWanted = facts !== undefined && isDoubted(facts) && pictures.length > 0;
    if (isWanted && this.previewed === facts) return;
    this.previewed = isWanted ? facts : undefined;
    image.hidden = true;
    if (!isWanted) return;
    try {
      const blob = await this.examination.preview(pictures[0], facts);
      if (this.chosen?.facts !== facts) return;
      URL.revokeObjectURL(this.previewUrl);
      this.previewUrl = URL.createObjectURL(blob);
      image.src = this.previewUrl;
      image.hidden = false;
    } catch (error) {
      if (!isAbort(error)) tell("No preview", error);
    }
  }

  private async showThumbs(): Promise<void> {
    const list = anElement("thumbs");
    const shown = this.pictures.slice(0, shownThumbs);
    const key = `${shown.map(({ name }) => name).join("/")} ${this.pictures.length}`;
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren();
    for (const file of shown) {
      const canvas = make("canvas", { width: "72", height: "54" });
      try {
        const bitmap = await createImageBitmap(file, { resizeWidth: 72, resizeQuality: "low" });
        canvas.getContext("2d")?.drawImage(bitmap, 0, (54 - bitmap.height) / 2);
        bitmap.close();
      } catch {
        continue; // the conversion says which pictures it could not read
      }
      if (list.dataset.key !== key) return;
      list.append(make("li", {}, canvas));
    }
    const more = this.pictures.length - shown.length;
    if (more > 0) list.append(make("li", { class: "more" }, `+${more}`));
  }

  // Converting

  private async start(): Promise<void> {
    const { chosen, pictures: calibration } = this;
    if (this.link || !chosen) return;
    this.examination.close();
    const [{ name }] = chosen.files;
    const link = new WorkerLink();
    this.link = link;
    this.view("converting");
    const what = calibration.length ? ` ${t("with")} ${plural(calibration.length, "picture")}` : "";
    anElement("converting-what").textContent = `${name}${what}. ${t("The page stays usable meanwhile.")}`;
    const converting = new Converting(name);
    let news: string | undefined;
    try {
      const side = byId("convert-size", HTMLSelectElement).value;
      const reply = await link.call(
        "convert",
        {
          ...{ model: chosen.files, calibration, told: chosen.told },
          size: side ? Number(side) : undefined,
          method: byId("method", HTMLSelectElement).value as Method,
          threads: threadChoices().initial,
          machine: machineText(),
        },
        [],
        (progress) => converting.show(progress),
      );
      this.result.show(reply);
      this.view("result");
      news = `Done: ${reply.name}`;
    } catch (error) {
      this.view("form");
      tell(t("{name} was not converted", { name }), error);
      news = `Stopped: ${name}`;
    } finally {
      converting.end(news);
      link.close();
      this.link = undefined;
    }
  }

  private isShown(part: "form" | "converting" | "result"): boolean {
    return !anElement(part === "form" ? "convert-form" : part).hidden;
  }

  private view(part: "form" | "converting" | "result"): void {
    anElement("convert-form").hidden = part !== "form";
    anElement("converting").hidden = part !== "converting";
    anElement("result").hidden = part !== "result";
    anElement("convert").dataset.state = part;
    const title = document.getElementById(`${part}-title`);
    if (title) {
      scrollTo({ top: 0 });
      title.focus({ preventScroll: true });
    }
  }
}

const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

function describe({ files, facts }: Chosen): (Node | string)[] {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const names = make("b", {}, files.map(({ name }) => name).join(", "));
  if (!facts) return [names, ` ${formatBytes(bytes)}`];
  const { width, height, labels } = facts;
  const some = labels.slice(0, shownNames).join(", ");
  const more = labels.length > shownNames ? ", …" : "";
  return [
    names,
    ` ${formatBytes(bytes)}; ${t("input")} ${width}×${height}; ${plural(labels.length, "class", "classes")}: ${some}${more}`,
  ];
}
