/** Elements of the page. */

/** The element with this id, of this kind. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} with id ${id}`);
}

export const button = (id: string): HTMLButtonElement => byId(id, HTMLButtonElement);
export const anElement = (id: string): HTMLElement => byId(id, HTMLElement);

/** A new element with attributes and children; texts are only ever texts. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Lets the user choose files; nothing when the dialog is cancelled. */
export function chooseFiles(options: {
  accept?: string;
  multiple?: boolean;
  folder?: boolean;
}): Promise<File[]> {
  const input = make("input", { type: "file" });
  if (options.accept) input.accept = options.accept;
  input.multiple = options.multiple ?? false;
  if (options.folder) input.webkitdirectory = true;
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve([...(input.files ?? [])]));
    input.addEventListener("cancel", () => resolve([]));
    input.click();
  });
}

/** Offers a file to keep. */
export function download(blob: Blob, name: string): void {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function formatBytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
