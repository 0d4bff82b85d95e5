/** The Convert tab: a checkpoint and pictures in, int8 files and a report out. Its worker lives for one conversion. */
import type { Method } from "../src/index.ts";
import { threadChoices } from "./capabilities.ts";
import { anElement, button, byId, chooseFiles, download, formatBytes, make } from "./dom.ts";
import { chosenFamily, offerFamilies } from "./families.ts";
import { isPicture, modelTypes, pictureTypes, type Sorted, sortFiles } from "./files.ts";
import { WorkerLink } from "./link.ts";
import { machineText } from "./machine.ts";
import { notify, tell, withoutOptions } from "./notices.ts";
import type { ConvertProgress, ConvertReply } from "./protocol.ts";
import { plural } from "./words.ts";

const shownThumbs = 24;
const sides = [256, 320, 352, 416, 480, 512, 640];

export class ConvertView {
  private readonly tryModels: (groups: File[][]) => void;
  private model: File[] = [];
  private pictures: File[] = [];
  private link: WorkerLink | undefined;
  private clock: ReturnType<typeof setInterval> | undefined;
  private started = 0;
  private result: ConvertReply | undefined;
  private zipUrl = "";

  constructor(actions: { tryModels: (groups: File[][]) => void }) {
    this.tryModels = actions.tryModels;
    const size = byId("convert-size", HTMLSelectElement);
    size.append(...sides.map((side) => make("option", { value: String(side) }, `${side} × ${side}`)));
    offerFamilies(byId("convert-family", HTMLSelectElement));
    this.wirePickers();
    byId("convert-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.start();
    });
    button("cancel").addEventListener("click", () => this.link?.close());
    button("again").addEventListener("click", () => this.view("form"));
    button("try").addEventListener("click", () => this.tryModels(this.resultModels()));
    byId("report", HTMLIFrameElement).addEventListener("load", () => this.fitReport());
    addEventListener("resize", () => this.fitReport());
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
    if (models.length > 1)
      notify("Several models", `Only ${models[0][0].name} is converted. Convert the others one by one.`);
    if (models.length) this.model = models[0];
    if (pictures.length) this.addPictures(pictures);
    if (!models.length && !pictures.length) {
      notify(
        "Nothing to convert",
        `${others.slice(0, 3).join(", ") || "It"} is no model and no picture. Give a .pt, an .onnx or a .param with its .bin, and pictures.`,
      );
    }
    this.refresh();
  }

  private addPictures(files: readonly File[]): void {
    const known = new Set(this.pictures.map(({ name, size }) => `${name} ${size}`));
    this.pictures.push(...files.filter(({ name, size }) => !known.has(`${name} ${size}`)));
    this.refresh();
  }

  private refresh(): void {
    const { model, pictures } = this;
    if (model.length) {
      const bytes = model.reduce((sum, file) => sum + file.size, 0);
      const names = model.map(({ name }) => name).join(", ");
      anElement("convert-model").replaceChildren(make("b", {}, names), ` ${formatBytes(bytes)}`);
    }
    anElement("drop-model").classList.toggle("done", model.length > 0);
    anElement("drop-pictures").classList.toggle("done", pictures.length > 0);
    button("clear-pictures").hidden = pictures.length === 0;
    const few = pictures.length < 30 ? "; thirty or more give better scales" : "";
    anElement("convert-pictures").textContent = pictures.length
      ? `${plural(pictures.length, "picture")}${few}.`
      : "Thirty or more photographs like those that the model will see; a hundred is better. Without any, the model is only converted.";
    void this.showThumbs();
    const start = button("convert-start");
    start.disabled = !model.length;
    start.textContent = !model.length
      ? "Choose a model first"
      : pictures.length
        ? "Convert and quantize"
        : "Convert without quantizing";
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
    if (this.link || !this.model.length) return;
    const { model, pictures: calibration } = this;
    const link = new WorkerLink();
    this.link = link;
    this.view("converting");
    const what = calibration.length ? ` with ${plural(calibration.length, "picture")}` : "";
    anElement("converting-what").textContent = `${model[0].name}${what}. The page stays usable meanwhile.`;
    anElement("stages").replaceChildren();
    this.startClock();
    try {
      const side = byId("convert-size", HTMLSelectElement).value;
      const reply = await link.call(
        "convert",
        {
          ...{ model, calibration },
          size: side ? Number(side) : undefined,
          family: chosenFamily(byId("convert-family", HTMLSelectElement)),
          method: byId("method", HTMLSelectElement).value as Method,
          threads: threadChoices().initial,
          machine: machineText(),
        },
        [],
        (progress) => this.progress(progress),
      );
      this.show(reply);
    } catch (error) {
      this.view("form");
      tell(`${model[0].name} was not converted`, error);
    } finally {
      clearInterval(this.clock);
      link.close();
      this.link = undefined;
    }
  }

  private startClock(): void {
    this.started = Date.now();
    const tick = (): void => {
      const seconds = Math.floor((Date.now() - this.started) / 1000);
      anElement("elapsed").textContent =
        `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    tick();
    this.clock = setInterval(tick, 1000);
  }

  private progress({ title, done, total }: ConvertProgress): void {
    const list = anElement("stages");
    let row = [...list.children].find((each) => each.firstElementChild?.textContent === title);
    if (!row) {
      for (const earlier of list.children) {
        earlier.className = "done";
        earlier.removeAttribute("aria-current");
        earlier.querySelector("progress")?.remove();
      }
      row = make("li", { "aria-current": "step" }, make("span", {}, title));
      row.append(make("progress", { max: "1", "aria-label": title }), make("small", {}));
      list.append(row);
    }
    const bar = row.querySelector("progress");
    const count = row.querySelector("small");
    if (bar && total) bar.value = done / total;
    if (count && total) count.textContent = `${done} of ${total}`;
  }

  // What comes out

  private show(reply: ConvertReply): void {
    this.result = reply;
    this.view("result");
    const { name, report, measuredOn, variants, width, height, skipped, assumptions, zip } = reply;
    const [float, int8] = [variants[0], variants.at(-1)];
    anElement("result-title").textContent = report ? `${name} is int8` : `${name} is converted`;
    anElement("result-text").textContent = report
      ? `Input ${width}×${height}. ${measuredOn} Times are from this browser.`
      : "Float, with weights stored as fp16. Add calibration pictures to quantize it.";
    const fact = (value: string, text: string): HTMLElement =>
      make("div", {}, make("b", {}, value), make("span", {}, text));
    anElement("variants").replaceChildren(
      ...(float && int8
        ? [
            ...(int8.fidelity === undefined || int8.fidelity < 0
              ? []
              : [fact((100 * int8.fidelity).toFixed(1), "fidelity to fp32, of 100")]),
            fact(`${(float.milliseconds / int8.milliseconds).toFixed(2)}×`, "as fast as fp32"),
            fact(
              `${int8.milliseconds.toFixed(1)} ms`,
              `a picture; fp32 takes ${float.milliseconds.toFixed(1)}`,
            ),
            fact(formatBytes(int8.bytes), `instead of ${formatBytes(float.bytes)}`),
          ]
        : []),
    );
    URL.revokeObjectURL(this.zipUrl);
    this.zipUrl = URL.createObjectURL(zip);
    const link = byId("download", HTMLAnchorElement);
    link.href = this.zipUrl;
    link.download = `${name}.zip`;
    link.textContent = `Download ${name}.zip, ${formatBytes(zip.size)}`;
    this.listFiles(reply);
    const notes = [
      ...assumptions.map((text) => `Assumed: ${withoutOptions(text)}.`),
      ...skipped.map((text) => `Skipped ${text}`),
    ];
    anElement("result-notes").replaceChildren(...notes.slice(0, 8).map((text) => make("li", {}, text)));
    const frame = byId("report", HTMLIFrameElement);
    frame.hidden = report === undefined;
    frame.srcdoc = report ?? "";
  }

  private listFiles({ files }: ConvertReply): void {
    anElement("file-list").replaceChildren(
      ...files.map(({ path, blob }) => {
        const save = make("button", { type: "button", class: "link" }, path);
        save.addEventListener("click", () => download(blob, path.replace(/^.*\//, "")));
        return make("li", {}, save, make("small", {}, formatBytes(blob.size)));
      }),
    );
  }

  /** The report has no scripts and scrolls with the page. */
  private fitReport(): void {
    const frame = byId("report", HTMLIFrameElement);
    const inside = frame.contentDocument?.documentElement;
    if (!inside || frame.hidden) return;
    frame.style.height = "0";
    frame.style.height = `${inside.scrollHeight + 2}px`;
  }

  /** The int8 and the float model as files, ready to be loaded. */
  private resultModels(): File[][] {
    const files = this.result?.files ?? [];
    return ["int8/", "fp16/"]
      .map((folder) => {
        const list = files.filter(({ path }) => path.startsWith(folder) && /\.(json|param|bin)$/.test(path));
        const named = list.map(({ path, blob }) => new File([blob], path.slice(folder.length)));
        return named.sort((a, b) => Number(b.name.endsWith(".json")) - Number(a.name.endsWith(".json")));
      })
      .filter((group) => group.length);
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
