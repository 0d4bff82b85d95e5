/** A conversion under way: its stages, all of them together, the time that is left, and the question before the page is left. */
import { anElement, byId, make } from "./dom.ts";
import type { ConvertProgress } from "./protocol.ts";
import { t } from "./words.ts";

/** An estimate from less than this is none. */
const least = { seconds: 4, part: 0.04 };

export class Converting {
  private readonly title = document.title;
  private readonly what: string;
  private readonly started = Date.now();
  private readonly clock: ReturnType<typeof setInterval>;
  private overall = 0;

  /** `what`: the name of the model. */
  constructor(what: string) {
    this.what = what;
    anElement("stages").replaceChildren();
    addEventListener("beforeunload", askBefore);
    this.tick();
    this.clock = setInterval(() => this.tick(), 1000);
  }

  show({ title: english, done, total, overall }: ConvertProgress): void {
    const title = t(english);
    this.overall = overall;
    this.tick();
    const list = anElement("stages");
    let row = [...list.children].find((each) => each.firstElementChild?.textContent === title);
    if (!row) {
      row = make("li", {}, make("span", {}, title), make("small", {}));
      list.append(row);
    }
    // A stage may come again.
    if (!row.hasAttribute("aria-current")) {
      for (const other of list.children) {
        other.className = "done";
        other.removeAttribute("aria-current");
        other.querySelector("progress")?.remove();
      }
      row.className = "";
      row.setAttribute("aria-current", "step");
      row.append(make("progress", { max: "1", "aria-label": title }));
    }
    const bar = row.querySelector("progress");
    const count = row.querySelector("small");
    if (bar && total) bar.value = done / total;
    if (count && total) count.textContent = t("{done} of {total}", { done, total });
  }

  /** `news`: what the tab is called until somebody looks at it, where that is worth a look. */
  end(news?: string): void {
    clearInterval(this.clock);
    removeEventListener("beforeunload", askBefore);
    document.title = this.title;
    if (!news || !document.hidden) return;
    document.title = news;
    const seen = (): void => {
      document.title = this.title;
    };
    document.addEventListener("visibilitychange", seen, { once: true });
  }

  private tick(): void {
    const { overall } = this;
    const seconds = (Date.now() - this.started) / 1000;
    anElement("elapsed").textContent = minutes(seconds);
    byId("overall", HTMLProgressElement).value = overall;
    const isKnown = seconds > least.seconds && overall > least.part;
    const left = (seconds * (1 - overall)) / overall;
    anElement("left").textContent = isKnown ? t(", about {time} left", { time: roughly(left) }) : "";
    document.title = `${Math.floor(100 * overall)} % ${this.what}: ncnnkit`;
  }
}

const askBefore = (event: BeforeUnloadEvent): void => event.preventDefault();

const minutes = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const roughly = (seconds: number): string =>
  seconds < 10
    ? t("{n} seconds", { n: 10 })
    : seconds < 90
      ? t("{n} seconds", { n: 10 * Math.round(seconds / 10) })
      : t("{n} minutes", { n: Math.round(seconds / 60) });
