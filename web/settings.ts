/** Thresholds, input size and threads of the Detect tab. */

import { sayInAddress } from "./address.ts";
import { capabilities, threadChoices } from "./capabilities.ts";
import { anElement, byId, make } from "./dom.ts";
import { notify } from "./notices.ts";
import type { DetectRequest, ModelFacts } from "./protocol.ts";
import { languageChanged, t } from "./words.ts";

interface Actions {
  /** Boxes may be others now. */
  changed(): void;
  /** Another number of threads is wanted. */
  threads(): void;
}

/** Sides of the input to offer, where the model's stride allows. */
const sides = [256, 288, 320, 352, 384, 416, 448, 480, 512, 576, 640];

export class Settings {
  threads = threadChoices().initial;
  private facts: ModelFacts | undefined;
  /** The side that the user chose, which then holds for all models. */
  private chosenSize: number | undefined;
  private readonly actions: Actions;

  constructor(actions: Actions) {
    this.actions = actions;
    for (const id of ["confidence", "iou"]) {
      const slider = byId(id, HTMLInputElement);
      slider.addEventListener("input", () => {
        anElement(`${id}-value`).textContent = slider.valueAsNumber.toFixed(2);
        actions.changed();
      });
    }
    const size = byId("size", HTMLSelectElement);
    size.addEventListener("change", () => this.setSize(Number(size.value)));
    byId("rectangle", HTMLInputElement).addEventListener("change", () => actions.changed());
    const threads = byId("threads", HTMLSelectElement);
    const { choices } = threadChoices();
    threads.append(...choices.map((count) => make("option", { value: String(count) }, String(count))));
    threads.value = String(this.threads);
    threads.addEventListener("change", () => this.setThreads(Number(threads.value)));
    this.offer(undefined);
    this.hintThreads();
    addEventListener(languageChanged, () => {
      this.offerSizes();
      this.hintThreads();
    });
  }

  read(): Pick<DetectRequest, "size" | "rectangle" | "confidence" | "iou"> {
    return {
      rectangle: byId("rectangle", HTMLInputElement).checked,
      size: Number(byId("size", HTMLSelectElement).value),
      confidence: byId("confidence", HTMLInputElement).valueAsNumber,
      iou: byId("iou", HTMLInputElement).valueAsNumber,
    };
  }

  /** As many of these as there can be. */
  setThreads(threads: number): void {
    const { choices, initial } = threadChoices();
    this.threads = Math.min(threads, choices.length);
    byId("threads", HTMLSelectElement).value = String(this.threads);
    sayInAddress({ threads: this.threads === initial ? undefined : this.threads });
    if (threads > this.threads) {
      notify(
        t("Not {threads} threads", { threads }),
        capabilities.isolated
          ? t("This page can use {threads} here.", { threads: this.threads })
          : t(
              "The page has one thread here, because its host does not isolate it (the headers are in docs/page.md).",
            ),
      );
    }
    this.actions.threads();
  }

  setSize(side: number): void {
    this.chosenSize = side;
    sayInAddress({ size: side });
    this.offerSizes();
    this.actions.changed();
  }

  /** What can be chosen for a model. */
  offer(facts: ModelFacts | undefined): void {
    this.facts = facts;
    this.offerSizes();
    byId("rectangle", HTMLInputElement).disabled = facts?.letterbox === false;
    for (const slider of ["confidence", "iou"]) {
      byId(slider, HTMLInputElement).disabled = facts?.task === "classify";
    }
  }

  /** The sizes that a model can run at, its own among them. */
  private offerSizes(): void {
    const { facts } = this;
    const select = byId("size", HTMLSelectElement);
    const stride = facts?.stride ?? 32;
    const own = facts ? Math.max(facts.width, facts.height) : undefined;
    const fits = (side: number): boolean => side % stride === 0;
    const all = [...new Set([...sides, ...(own ? [own] : [])])].filter(fits).sort((a, b) => a - b);
    select.replaceChildren(
      ...all.map((side) => {
        const text = side === own ? t("{side}, default", { side }) : String(side);
        return make("option", { value: String(side) }, text);
      }),
    );
    const wanted = this.chosenSize ?? own ?? 640;
    select.value = String(all.includes(wanted) ? wanted : (own ?? all[all.length - 1]));
  }

  /** Without isolation there is one thread; the service worker brings isolation with the next visit. */
  private hintThreads(): void {
    const hint = anElement("threads-hint");
    if (capabilities.isolated || capabilities.cores < 2) return;
    hint.hidden = false;
    if (!navigator.serviceWorker?.controller) {
      hint.textContent = t("One thread: this host does not isolate the page.");
      navigator.serviceWorker?.addEventListener("controllerchange", () => this.hintThreads(), { once: true });
      return;
    }
    const reload = make("button", { type: "button", class: "link" }, t("Reload"));
    reload.addEventListener("click", () => location.reload());
    hint.replaceChildren(reload, ` ${t("to use more threads.")}`);
  }
}
