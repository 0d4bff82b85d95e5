/** What computes: the fastest by default, which is measured; others can be chosen where this browser runs more than one. */
import type { Backend, BackendChoice as Choice } from "../src/index.ts";
import { make } from "./dom.ts";
import { languageChanged, t } from "./words.ts";

/** As people call them. */
export const backendNames: Readonly<Record<string, string>> = { wasm: "WebAssembly", webgpu: "WebGPU" };
let offered: readonly Backend[] = [];
const choices = new Set<BackendChoice>();

/** The worker found out what there is; the default first. */
export function offerBackends(found: readonly Backend[]): void {
  offered = found;
  for (const choice of choices) choice.fill();
}

/** Whether there is more than one. */
export const canChoose = (): boolean => offered.length > 1;

export class BackendChoice {
  readonly select: HTMLSelectElement;
  /** Hidden while there is nothing to choose. */
  readonly field: HTMLElement;
  private readonly usual: Choice;
  private wanted: Choice | undefined;

  /** `usual`: what computes as long as nothing is chosen. */
  constructor(id: string, label: string, usual: Choice) {
    this.usual = usual;
    this.select = make("select", { id });
    this.field = make("label", { class: "field", hidden: "" }, make("span", {}, label), this.select);
    choices.add(this);
    this.fill();
    addEventListener(languageChanged, () => this.fill());
  }

  /** What was chosen, by hand, by link or the last time; the worker falls back where it cannot be had. */
  get chosen(): Choice {
    return this.wanted ?? this.usual;
  }

  /** Other names than those that there are mean nothing. */
  want(name: string): void {
    const known = ["auto", ...Object.keys(backendNames)];
    this.wanted = known.includes(name) ? (name as Choice) : undefined;
    this.select.value = this.chosen;
  }

  fill(): void {
    const names: readonly Choice[] = this.usual === "auto" ? ["auto", ...offered] : offered;
    const nameOf = (name: Choice): string =>
      name === "auto" ? t("The fastest") : (backendNames[name] ?? name);
    this.select.replaceChildren(...names.map((name) => make("option", { value: name }, nameOf(name))));
    this.select.value = names.includes(this.chosen) ? this.chosen : this.usual;
    this.field.hidden = !canChoose();
  }
}
