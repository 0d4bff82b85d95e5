/** Models and settings that are remembered on this device, where the visitor wants that: in the browser's private files. */
import type { DetectView } from "./detect.ts";
import { anElement, byId, formatBytes, make } from "./dom.ts";
import { tell } from "./notices.ts";
import type { ToldFacts } from "./protocol.ts";
import type { ShelfModel } from "./shelf.ts";
import { languageChanged, t } from "./words.ts";

const keptAs = "ncnnkit-remember";
const folderName = "ncnnkit-models";
/** Controls whose values are remembered. */
const controls = ["confidence", "iou", "rectangle", "labels", "format"];

interface Kept {
  settings: Record<string, string>;
  threads?: number;
  backend?: string;
}

/** What is said of a model beside its files. */
interface Index {
  name: string;
  told: ToldFacts;
  /** In the order in which they were chosen. */
  files: string[];
  /** Of a model by address. */
  url?: string;
}

export class Keeper {
  private readonly view: DetectView;
  /** Folders of models that are kept. */
  private readonly folders = new Map<ShelfModel, string>();
  private readonly box = byId("remember", HTMLInputElement);
  private working: Promise<void> = Promise.resolve();

  constructor(view: DetectView) {
    this.view = view;
    this.box.checked = localStorage.getItem(keptAs) !== null;
    this.box.addEventListener("change", () => {
      if (this.box.checked) this.changed();
      else void this.queue(() => this.forget());
    });
    for (const id of [...controls, "threads", "backend"])
      anElement(id).addEventListener("change", () => this.keepSettings());
    view.onModels = () => this.changed();
    addEventListener(languageChanged, () => void this.tellSize());
  }

  /** Brings back what was remembered; the models are chosen from, none is loaded. */
  async restore(): Promise<void> {
    const text = localStorage.getItem(keptAs);
    if (text === null) return;
    try {
      const { settings, threads, backend } = JSON.parse(text) as Kept;
      for (const id of controls) setValue(anElement(id), settings[id]);
      if (threads && threads !== this.view.settings.threads) {
        setValue(anElement("threads"), String(threads));
      }
      if (backend && backend !== this.view.backend.chosen) this.view.setBackend(backend);
      await this.restoreModels();
    } catch (error) {
      tell(t("What was remembered could not be read"), error);
    }
    await this.tellSize();
  }

  private async restoreModels(): Promise<void> {
    const root = await rootFolder(false);
    if (!root) return;
    for await (const [name, handle] of root.entries()) {
      if (handle.kind !== "directory") continue;
      const folder = handle as FileSystemDirectoryHandle;
      try {
        const index = JSON.parse(await (await fileOf(folder, "index")).text()) as Index;
        const files = await Promise.all(
          index.files.map(async (file, i) => new File([await fileOf(folder, String(i))], file)),
        );
        const model = this.view.shelf.add(index.url ?? files, index.name);
        model.told = index.told;
        this.folders.set(model, name);
      } catch {
        await root.removeEntry(name, { recursive: true }); // was never completed
      }
    }
  }

  /** Models came or went. */
  private changed(): void {
    if (!this.box.checked) return;
    this.keepSettings();
    void this.queue(() => this.keepModels());
  }

  private keepSettings(): void {
    if (!this.box.checked) return;
    const settings = Object.fromEntries(controls.map((id) => [id, controlValue(anElement(id))]));
    const { settings: own, backend } = this.view;
    const kept: Kept = { settings, threads: own.threads, backend: backend.chosen };
    localStorage.setItem(keptAs, JSON.stringify(kept));
  }

  private async keepModels(): Promise<void> {
    const root = await rootFolder(true);
    if (!root) throw new Error(t("This browser gives the page no files of its own."));
    const { models } = this.view.shelf;
    for (const [model, name] of this.folders) {
      if (models.includes(model)) continue;
      this.folders.delete(model);
      await root.removeEntry(name, { recursive: true });
    }
    for (const model of models) {
      if (this.folders.has(model) || !model.facts || model.shipped) continue;
      const name = crypto.randomUUID();
      const folder = await root.getDirectoryHandle(name, { create: true });
      this.folders.set(model, name);
      const files = typeof model.source === "string" ? [] : model.source;
      for (const [i, file] of files.entries()) await write(folder, String(i), file);
      const index: Index = {
        ...{ name: model.name, told: model.told, files: files.map((file) => file.name) },
        ...(typeof model.source === "string" && { url: model.source }),
      };
      // Last, so that what is there is complete.
      await write(folder, "index", JSON.stringify(index));
    }
    await navigator.storage.persist?.();
  }

  private async forget(): Promise<void> {
    localStorage.removeItem(keptAs);
    this.folders.clear();
    const root = await navigator.storage?.getDirectory?.();
    await root?.removeEntry(folderName, { recursive: true }).catch(() => {}); // nothing was kept
  }

  /** One thing at a time. */
  private queue(work: () => Promise<void>): Promise<void> {
    this.working = this.working
      .then(work)
      .catch((error: unknown) => tell(t("It could not be remembered"), error))
      .then(() => this.tellSize());
    return this.working;
  }

  private async tellSize(): Promise<void> {
    const place = anElement("remembered");
    if (!this.box.checked) {
      place.replaceChildren();
      return;
    }
    const bytes = await sizeOf(await rootFolder(false));
    const remove = make("button", { type: "button", id: "forget", class: "link" }, t("Delete"));
    remove.addEventListener("click", () => {
      this.box.checked = false;
      void this.queue(() => this.forget());
    });
    place.replaceChildren(t("{size} on this device.", { size: formatBytes(bytes) }), " ", remove);
  }
}

function controlValue(control: HTMLElement): string {
  if (control instanceof HTMLInputElement && control.type === "checkbox") return String(control.checked);
  return (control as HTMLInputElement | HTMLSelectElement).value;
}

function setValue(control: HTMLElement, value: string | undefined): void {
  if (value === undefined) return;
  if (control instanceof HTMLInputElement && control.type === "checkbox") control.checked = value === "true";
  else (control as HTMLInputElement | HTMLSelectElement).value = value;
  for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
}

async function rootFolder(create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage?.getDirectory?.();
    return await root?.getDirectoryHandle(folderName, { create });
  } catch {
    return undefined; // a private window, or nothing was kept
  }
}

async function fileOf(folder: FileSystemDirectoryHandle, name: string): Promise<File> {
  return (await folder.getFileHandle(name)).getFile();
}

async function write(folder: FileSystemDirectoryHandle, name: string, content: Blob | string): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const stream = await handle.createWritable();
  await stream.write(content);
  await stream.close();
}

async function sizeOf(folder: FileSystemDirectoryHandle | undefined): Promise<number> {
  let bytes = 0;
  if (!folder) return bytes;
  for await (const handle of folder.values()) {
    if (handle.kind === "directory") bytes += await sizeOf(handle as FileSystemDirectoryHandle);
    else bytes += (await (handle as FileSystemFileHandle).getFile()).size;
  }
  return bytes;
}
