/** What computes: offered only where the engine has, and this browser runs, more than one. */
import type { Backend } from "../src/index.ts";
import { make } from "./dom.ts";

/** As people call them. */
export const backendNames: Readonly<Record<string, string>> = { wasm: "WebAssembly", webgpu: "WebGPU" };
let offered: readonly Backend[] = [];
const choices = new Set<BackendChoice>();

/** The worker found out what there is; the default first. */
export function offerBackends(found: readonly Backend[]): void {
  offered = found;
  for (const choice of choices) choice.fill();
}

export class BackendChoice {
  readonly select: HTMLSelectElement;
  /** Hidden while there is nothing to choose. */
  readonly field: HTMLElement;

  constructor(id: string, label: string) {
    this.select = make("select", { id });
    this.field = make("label", { class: "field", hidden: "" }, make("span", {}, label), this.select);
    choices.add(this);
    this.fill();
  }

  /** Nothing while it is not known what there is: then the engine chooses. */
  get chosen(): Backend | undefined {
    return offered.find((name) => name === this.select.value);
  }

  fill(): void {
    const { value } = this.select;
    this.select.replaceChildren(
      ...offered.map((name) => make("option", { value: name }, backendNames[name] ?? name)),
    );
    if (offered.some((name) => name === value)) this.select.value = value;
    this.field.hidden = offered.length < 2;
  }
}
