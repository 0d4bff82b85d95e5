/** What a file does not say of its model: asked for in the page, with the boxes as a preview until it is known. */
import { anElement, button, byId, make } from "./dom.ts";
import { chosenFamily, offerFamilies } from "./families.ts";
import { WorkerError } from "./link.ts";
import { clearNotices, notify } from "./notices.ts";
import type { Doubt, ModelFacts, ToldFacts } from "./protocol.ts";
import type { ShelfModel } from "./shelf.ts";
import { language, later, t } from "./words.ts";

/** Without these the boxes may have wrong sizes or wrong names, and nothing shows it. */
const grave: readonly Doubt[] = ["anchors", "names"];
const words: Record<Doubt, string> = {
  anchors: later("anchors"),
  names: later("class names"),
  family: later("family"),
  size: later("input size"),
};

export const isDoubted = (facts: ModelFacts | undefined): boolean =>
  facts?.doubts.some((doubt) => grave.includes(doubt)) ?? false;

/** Whether the reader refused a model for want of facts, whose options it then names. */
export const canBeTold = (error: unknown): boolean =>
  error instanceof WorkerError && error.expected && /--(anchors|labels|family)\b/.test(error.message);

/** Where the form is: in the Detect tab, or with this before each id in another. */
type Prefix = "" | "convert-";

export class FactsForm {
  private readonly prefix: Prefix;
  private readonly family: HTMLSelectElement;
  private readonly anchors: HTMLTextAreaElement;
  private readonly names: HTMLTextAreaElement;
  private readonly more: HTMLDetailsElement;
  private model: Pick<ShelfModel, "facts" | "told"> | undefined;
  private readonly tell: (told: ToldFacts) => void;

  constructor(tell: (told: ToldFacts) => void, prefix: Prefix = "") {
    this.prefix = prefix;
    this.tell = tell;
    this.family = byId(`${prefix}family`, HTMLSelectElement);
    this.anchors = byId(`${prefix}anchors`, HTMLTextAreaElement);
    this.names = byId(`${prefix}names`, HTMLTextAreaElement);
    this.more = byId(`${prefix}told`, HTMLDetailsElement);
    offerFamilies(this.family);
    this.family.addEventListener("change", () => {
      // Another family may have other anchors; those that were told stay.
      if (this.model) tell({ ...this.model.told, family: chosenFamily(this.family) });
    });
    button(`${prefix}use-told`).addEventListener("click", () => this.submit());
    button(`${prefix}ask-right`).addEventListener("click", () => {
      const { facts, told } = this.model ?? {};
      if (facts) tell({ ...told, anchors: facts.anchors, labels: facts.labels });
    });
    button(`${prefix}ask-tell`).addEventListener("click", () => {
      this.more.open = true;
      this.family.focus();
      anElement(`${prefix}facts`).scrollIntoView({ block: "start" });
    });
  }

  /** Shows what is known of a model, and asks for the rest. */
  offer(model: Pick<ShelfModel, "facts" | "told">): void {
    this.model = model;
    const { facts, told } = model;
    this.family.value = told.family ?? "";
    this.anchors.value = (facts?.anchors ?? told.anchors ?? []).map((list) => list.join(",")).join("\n");
    anElement(`${this.prefix}anchors-field`).hidden = facts !== undefined && !facts.anchors;
    this.names.value = (facts?.labels ?? told.labels ?? []).join("\n");
    if (!facts) this.more.open = true;
    this.showDoubts(facts);
  }

  private submit(): void {
    const { model } = this;
    if (!model) return;
    clearNotices();
    const isAnchored = this.anchors.value.trim() !== "";
    const anchors = isAnchored ? parseAnchors(this.anchors.value) : undefined;
    if (isAnchored && !anchors) {
      notify(
        t("The anchors cannot be read"),
        t(
          "Write a line for each head, smallest stride first, of widths and heights in pixels: 10,13,16,30,33,23",
        ),
      );
      return;
    }
    const labels = this.names.value.trim() ? parseNames(this.names.value) : undefined;
    this.tell({ ...model.told, anchors, labels });
  }

  private showDoubts(facts: ModelFacts | undefined): void {
    const isAsking = isDoubted(facts);
    const list = listOf(facts?.doubts ?? []);
    const waiting =
      this.prefix === "" ? t("Saving waits until you say.") : t("Quantizing waits until you say.");
    anElement(`${this.prefix}ask`).hidden = !isAsking;
    anElement(`${this.prefix}ask-what`).replaceChildren(
      make("b", {}, `${t("These boxes are a preview.")} `),
      `${t("The file does not say its {list}, so usual ones stand for them: sizes and names may be wrong.", { list })} ${waiting}`,
    );
    if (this.prefix !== "") return;
    const preview = anElement("preview");
    preview.hidden = !isAsking;
    preview.textContent = t("Preview: {list} guessed", { list });
  }
}

const listOf = (doubts: readonly Doubt[]): string =>
  new Intl.ListFormat(language()).format(doubts.map((doubt) => t(words[doubt])));

/** A line a head of widths and heights; nothing where it is something else. */
function parseAnchors(text: string): number[][] | undefined {
  const lines = text.split(/[\n;]/).filter((line) => line.trim());
  const lists = lines.map((line) =>
    line
      .replace(/[[\]]/g, " ")
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(Number),
  );
  const isRight = lists.every((list) => list.length > 0 && list.length % 2 === 0 && list.every((n) => n > 0));
  return lists.length && isRight ? lists : undefined;
}

/** One a line, or with commas in a single line. */
function parseNames(text: string): string[] {
  const lines = text.trim().split("\n");
  return (lines.length === 1 ? lines[0].split(",") : lines).map((name) => name.trim());
}
