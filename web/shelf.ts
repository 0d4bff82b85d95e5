/** The models that can be chosen: shipped ones, those that were dropped, those by address. One is in use. */

import { button, byId, chooseFiles, formatBytes, make } from "./dom.ts";
import { modelTypes, sortFiles } from "./files.ts";
import type { WorkerLink } from "./link.ts";
import { notify } from "./notices.ts";
import type { LoadProgress, ModelFacts, Precision, ToldFacts } from "./protocol.ts";
import { t } from "./words.ts";

export interface ShelfModel {
  readonly id: number;
  readonly name: string;
  readonly source: readonly File[] | string;
  /** What the visitor says of it. */
  told: ToldFacts;
  /** Known before it is loaded for shipped models only. */
  precision?: Precision;
  /** What it finds, in words, and a picture to try it on; of shipped models. */
  about?: string;
  sample?: string;
  /** It came with the page. */
  readonly shipped: boolean;
  facts?: ModelFacts;
  /** While it comes from an address. */
  progress?: LoadProgress;
  /** The worker that holds it; another one has to load it again. */
  heldBy?: WorkerLink;
}

export class Shelf {
  readonly models: ShelfModel[] = [];
  current: ShelfModel | undefined;
  /** It is not known yet what comes with the page. */
  isWaiting = true;
  /** What is being loaded. */
  loading: ShelfModel | undefined;
  private readonly box: HTMLElement;
  private readonly choose: (model: ShelfModel) => void;
  private readonly drop: (model: ShelfModel) => void;
  private count = 0;

  constructor(
    box: HTMLElement,
    actions: { choose: (model: ShelfModel) => void; drop: (model: ShelfModel) => void },
  ) {
    this.box = box;
    this.choose = actions.choose;
    this.drop = actions.drop;
    this.render();
  }

  add(source: readonly File[] | string, name: string, known: Partial<ShippedModel> = {}): ShelfModel {
    const { precision, about, sample } = known;
    const shipped = known.url !== undefined;
    const model: ShelfModel = {
      ...{ id: ++this.count, name, source, precision, about, sample, shipped, told: {} },
    };
    this.models.push(model);
    this.render();
    return model;
  }

  remove(model: ShelfModel): void {
    const at = this.models.indexOf(model);
    if (at >= 0) this.models.splice(at, 1);
    if (this.current === model) this.current = undefined;
    this.render();
  }

  render(): void {
    const focused = document.activeElement?.id;
    this.box.replaceChildren(...this.models.map((model) => this.row(model)));
    this.box.classList.toggle("waiting", this.isWaiting);
    if (!this.models.length && !this.isWaiting)
      this.box.append(make("p", { class: "soft" }, t("No model yet.")));
    if (focused) document.getElementById(focused)?.focus();
  }

  private row(model: ShelfModel): HTMLElement {
    const id = `model-${model.id}`;
    const radio = make("input", { type: "radio", name: "model", id });
    radio.checked = (this.loading ?? this.current) === model;
    radio.addEventListener("change", () => this.choose(model));
    const precision = model.facts?.precision ?? model.precision;
    const label = make(
      "label",
      { for: id },
      make("b", {}, model.facts?.name ?? model.name),
      make("span", { class: "soft" }, this.describe(model)),
    );
    const remove = make(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": t("Remove {name}", {
          name: [model.facts?.name ?? model.name, precision].filter(Boolean).join(", "),
        }),
      },
      "×",
    );
    remove.addEventListener("click", () => this.drop(model));
    const badge = precision ? [make("i", { class: `badge ${precision}` }, precision)] : [];
    return make("div", { class: "model" }, radio, label, ...badge, remove);
  }

  /** Tells how much of a model has come, without building its row anew. */
  advance(model: ShelfModel, progress: LoadProgress): void {
    model.progress = progress;
    const text = document.querySelector(`label[for="model-${model.id}"] .soft`);
    if (text && this.loading === model) text.textContent = loadingText(progress);
  }

  private describe(model: ShelfModel): string {
    if (this.loading === model) return loadingText(model.progress);
    const { facts } = model;
    const about = model.about && t(model.about);
    if (!facts) return about ?? t("not loaded yet");
    const size = facts.width === facts.height ? `${facts.width} px` : `${facts.width}×${facts.height} px`;
    const weights = `${size}, ${formatBytes(facts.bytes)}${facts.half ? t(", fp16 weights") : ""}`;
    return about ? `${about}; ${weights}` : weights;
  }
}

function loadingText(progress: LoadProgress | undefined): string {
  if (!progress) return t("loading…");
  const { received, total } = progress;
  return total
    ? t("loading, {part} of {all}", { part: formatBytes(received), all: formatBytes(total) })
    : t("loading, {part}", { part: formatBytes(received) });
}

export interface ShippedModel {
  name: string;
  /** Relative to the page. */
  url: string;
  precision?: Precision;
  /** What it finds, in words. */
  about?: string;
  /** A picture to try it on, relative to the page. */
  sample?: string;
}

/** Models that come with the page: `models.json` beside it, which may be missing. */
export async function shippedModels(): Promise<ShippedModel[]> {
  try {
    const response = await fetch(new URL("models.json", document.baseURI));
    if (!response.ok) return [];
    const { models } = (await response.json()) as { models?: unknown };
    return Array.isArray(models) ? models.filter(isShipped) : [];
  } catch {
    return []; // offline, or a host that answers everything with a page
  }
}

function isShipped(entry: unknown): entry is ShippedModel {
  const { name, url, about, sample } = (entry ?? {}) as Partial<Record<keyof ShippedModel, unknown>>;
  const isText = (value: unknown): boolean => value === undefined || typeof value === "string";
  return typeof name === "string" && typeof url === "string" && isText(about) && isText(sample);
}

/** The buttons and the field that bring models. */
export function wireModels(actions: {
  add: (groups: File[][]) => Promise<void>;
  useUrl: (url: string) => Promise<boolean>;
}): void {
  const add = async (folder: boolean): Promise<void> => {
    const files = await chooseFiles(folder ? { folder } : { multiple: true, accept: modelTypes });
    if (!files.length) return;
    const { models } = sortFiles(files);
    if (models.length) await actions.add(models);
    else
      notify(
        t("No model"),
        t(
          "None of these files is a model. Choose a .param with its .bin, a .pt, an .onnx or a model manifest (.json).",
        ),
      );
  };
  button("add-model").addEventListener("click", () => void add(false));
  button("empty-model").addEventListener("click", () => void add(false));
  button("add-folder").addEventListener("click", () => void add(true));
  byId("url-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("url", HTMLInputElement);
    void actions.useUrl(field.value).then((loaded) => {
      if (loaded) field.value = "";
    });
  });
}
