/**
 * On an upright phone, results and settings lie in a sheet below the picture, as tall as one draws it: by its grip with a finger or
 * the mouse, or by keys. The picture takes what is left, so nothing is ever covered. Where the sheet is one, the style decides
 * (`style/sheet.css` shows the grip).
 */
import { anElement } from "./dom.ts";
import { languageChanged, later, t } from "./words.ts";

/** Where the sheet comes to rest: percent of the height of the tab, and what that is good for. */
const rests: readonly { share: number; name: string }[] = [
  { share: 30, name: later("The picture is large") },
  { share: 46, name: later("Picture and controls share the room") },
  { share: 70, name: later("The controls are large") },
];
const [lowest, usual, highest] = [0, 1, rests.length - 1];
/** Pixels: what moves less was a tap. */
const tapSlop = 6;
/** Pixels per millisecond: above this the sheet goes on in the direction in which it was thrown. */
const throwSpeed = 0.5;

class Sheet {
  private readonly grip = anElement("grip");
  private readonly panel = anElement("panel");
  private at = usual;

  constructor() {
    this.rest(usual);
    this.grip.addEventListener("pointerdown", (event) => this.drag(event));
    this.grip.addEventListener("keydown", (event) => this.key(event));
    addEventListener(languageChanged, () => this.tell());
    // The foot of the page is at the end of what scrolls: of the sheet, where it is one.
    const [foot, main] = [anElement("foot"), this.panel.closest("main")];
    new ResizeObserver(() => {
      const isSheet = this.grip.offsetHeight > 0;
      if (isSheet && foot.parentElement !== this.panel) this.panel.append(foot);
      else if (!isSheet && foot.parentElement === this.panel) main?.after(foot);
    }).observe(this.grip);
  }

  private rest(at: number): void {
    this.at = Math.min(Math.max(at, lowest), highest);
    document.documentElement.style.setProperty("--sheet", `${rests[this.at].share}%`);
    document.body.dataset.sheet = ["low", "half", "high"][this.at];
    if (this.at === lowest) this.panel.scrollTop = 0; // to what was found
    this.tell();
  }

  private tell(): void {
    const { share, name } = rests[this.at];
    this.grip.setAttribute("aria-valuenow", String(share));
    this.grip.setAttribute("aria-valuetext", t(name));
  }

  private key(event: KeyboardEvent): void {
    const { at } = this;
    const targets: Record<string, number> = {
      ...{ ArrowUp: at + 1, ArrowRight: at + 1, PageUp: at + 1, ArrowDown: at - 1, ArrowLeft: at - 1 },
      ...{ PageDown: at - 1, Home: lowest, End: highest, Enter: this.next, " ": this.next },
    };
    const to = targets[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.rest(to);
  }

  /** Upwards, then back to the lowest. */
  private get next(): number {
    return (this.at + 1) % rests.length;
  }

  private drag(down: PointerEvent): void {
    if (down.button !== 0) return;
    const { grip, panel } = this;
    const room = panel.parentElement?.clientHeight ?? innerHeight;
    const before = panel.offsetHeight;
    let moved = 0;
    let last = { y: down.clientY, at: down.timeStamp, speed: 0 };
    grip.setPointerCapture(down.pointerId);
    const ends = new AbortController();
    const { signal } = ends;
    const on = (
      type: "pointermove" | "pointerup" | "pointercancel",
      act: (event: PointerEvent) => void,
    ): void =>
      grip.addEventListener(type, (event) => event.pointerId === down.pointerId && act(event), { signal });
    on("pointermove", ({ clientY, timeStamp }) => {
      moved = Math.max(moved, Math.abs(clientY - down.clientY));
      if (moved < tapSlop) return;
      document.body.dataset.sheet = "dragged";
      const speed = (last.y - clientY) / Math.max(timeStamp - last.at, 1);
      last = { y: clientY, at: timeStamp, speed };
      document.documentElement.style.setProperty("--sheet", `${before + down.clientY - clientY}px`);
    });
    on("pointercancel", () => {
      ends.abort();
      this.rest(this.at);
    });
    on("pointerup", ({ timeStamp }) => {
      ends.abort();
      if (moved < tapSlop) {
        this.rest(this.next);
        return;
      }
      const share = (100 * panel.offsetHeight) / room;
      const distances = rests.map((each) => Math.abs(each.share - share));
      const nearest = distances.indexOf(Math.min(...distances));
      const isThrown = Math.abs(last.speed) > throwSpeed && timeStamp - last.at < 100;
      const beyond = last.speed > 0 ? rests.findIndex((each) => each.share > share) : this.below(share);
      this.rest(isThrown && beyond >= 0 ? beyond : nearest);
    });
  }

  /** The rest next to a share, downwards; -1 where there is none. */
  private below(share: number): number {
    return rests.filter((each) => each.share < share).length - 1;
  }
}

export function wireSheet(): void {
  new Sheet();
}
