/** What a file does not say of its model: asked for in the page, with the boxes as a preview until it is known. */
import { anElement, button, byId, make } from "./dom.ts";
import { chosenFamily, offerFamilies } from "./families.ts";
import { WorkerError } from "./link.ts";
import { clearNotices, notify } from "./notices.ts";
import type { Doubt, ModelFacts, ToldFacts } from "./protocol.ts";
import type { ShelfModel } from "./shelf.ts";

/** Without these the boxes may have wrong sizes or wrong names, and nothing shows it. */
const grave: readonly Doubt[] = ["anchors", "names"];
const words: Record<Doubt, string> = {
  anchors: "anchors",
  names: "class names",
  family: "family",
  size: "input size",
};

export const isDoubted = (facts: ModelFacts | undefined): boolean =>
  facts?.doubts.some((doubt) => grave.includes(doubt)) ?? false;

/** Whether the reader refused a model for want of facts, whose options it then names. */
export const canBeTold = (error: unknown): boolean =>
  error instanceof WorkerError && error.expected && /--(anchors|labels|family)\b/.test(error.message);

export class FactsForm {
  private readonly family = byId("family", HTMLSelectElement);
  private readonly anchors = byId("anchors", HTMLTextAreaElement);
  private readonly names = byId("names", HTMLTextAreaElement);
  private model: ShelfModel | undefined;
  private readonly tell: (told: ToldFacts) => void;

  constructor(tell: (told: ToldFacts) => void) {
    this.tell = tell;
    offerFamilies(this.family);
    this.family.addEventListener("change", () => {
      // Another family may have other anchors; those that were told stay.
      if (this.model) tell({ ...this.model.told, family: chosenFamily(this.family) });
    });
    byId("facts", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    button("ask-right").addEventListener("click", () => {
      const { facts, told } = this.model ?? {};
      if (facts) tell({ ...told, anchors: facts.anchors, labels: facts.labels });
    });
    button("ask-tell").addEventListener("click", () => {
      byId("told", HTMLDetailsElement).open = true;
      this.family.focus();
      anElement("facts").scrollIntoView({ block: "start" });
    });
  }

  /** Shows what is known of a model, and asks for the rest. */
  offer(model: ShelfModel): void {
    this.model = model;
    const { facts, told } = model;
    this.family.value = told.family ?? "";
    this.anchors.value = (facts?.anchors ?? told.anchors ?? []).map((list) => list.join(",")).join("\n");
    anElement("anchors-field").hidden = facts !== undefined && !facts.anchors;
    this.names.value = (facts?.labels ?? told.labels ?? []).join("\n");
    if (!facts) byId("told", HTMLDetailsElement).open = true;
    showDoubts(facts);
  }

  private submit(): void {
    const { model } = this;
    if (!model) return;
    clearNotices();
    const isAnchored = this.anchors.value.trim() !== "";
    const anchors = isAnchored ? parseAnchors(this.anchors.value) : undefined;
    if (isAnchored && !anchors) {
      notify(
        "The anchors cannot be read",
        "Write a line for each head, smallest stride first, of widths and heights in pixels: 10,13,16,30,33,23",
      );
      return;
    }
    const labels = this.names.value.trim() ? parseNames(this.names.value) : undefined;
    this.tell({ ...model.told, anchors, labels });
  }
}

function showDoubts(facts: ModelFacts | undefined): void {
  const doubts = facts?.doubts ?? [];
  const isAsking = isDoubted(facts);
  const list = new Intl.ListFormat("en").format(doubts.map((doubt) => words[doubt]));
  anElement("ask").hidden = !isAsking;
  anElement("ask-what").replaceChildren(
    make("b", {}, "These boxes are a preview. "),
    `The file does not say its ${list}, so usual ones stand for them: sizes and names may be wrong. Saving waits until you say.`,
  );
  const preview = anElement("preview");
  preview.hidden = !isAsking;
  preview.textContent = `Preview: ${list} guessed`;
}

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
