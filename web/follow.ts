/** Things keep a number from frame to frame; what crosses lines or enters regions that are drawn on the picture is counted. */
import type { Counting, CountTotals, DrawnShape } from "../src/index.ts";
import { parseCounting, placesOf } from "../src/steps.ts";
import type { Companion, DetectView } from "./detect.ts";
import { chooseFiles, download, make } from "./dom.ts";
import { tell } from "./notices.ts";
import type { DetectReply, DetectRequest } from "./protocol.ts";
import { type Place, Sketch } from "./sketch.ts";
import type { Source } from "./source.ts";
import type { Tool } from "./tools.ts";
import { languageChanged, t } from "./words.ts";

/** Numbers that change with every frame cannot be read. */
const writtenEvery = 250;
let sessions = 0;

export function follow(view: DetectView): Tool {
  return new Following(view);
}

class Following implements Tool, Companion {
  readonly element = make("div", { class: "tool", id: "following" });
  private readonly view: DetectView;
  private readonly sketch: Sketch;
  private readonly list = make("ul", { class: "places" });
  private readonly totalsBox = make("div", { class: "scroll", tabindex: "0" });
  /** In parts of the picture's width and height, as `detect --count` reads it. */
  private counting: Counting = { units: "fractions", lines: [], regions: [] };
  private session = ++sessions;
  private model: number | undefined;
  private totals: readonly CountTotals[] = [];
  private written = 0;

  constructor(view: DetectView) {
    this.view = view;
    this.sketch = new Sketch(view.overlay, (kind, places) => this.add(kind, places));
    this.write();
    view.companions.add(this);
    addEventListener(languageChanged, this.write);
    this.restart();
  }

  private readonly write = (): void => {
    const action = (id: string, text: string, run: (event: MouseEvent) => void): HTMLElement => {
      const control = make("button", { type: "button", id }, text);
      control.addEventListener("click", run);
      return control;
    };
    const draw =
      (kind: "line" | "region") =>
      ({ detail }: MouseEvent): void => {
        // From the keyboard there is nothing to point with: one across the middle, to be written otherwise.
        if (detail === 0) this.add(kind, standard[kind]);
        else this.sketch.begin(kind);
      };
    this.element.replaceChildren(
      make(
        "p",
        { class: "hint" },
        t("Things keep their number. Draw a line or a region on the picture to count what crosses it."),
      ),
      make(
        "div",
        { class: "row" },
        action("draw-line", t("Draw line"), draw("line")),
        action("draw-region", t("Draw region"), draw("region")),
      ),
      this.sketch.hint,
      this.list,
      this.totalsBox,
      make(
        "div",
        { class: "row" },
        action("count-again", t("Count anew"), () => this.restart()),
        action("save-counts", t("Save counts"), () => this.save()),
        action("open-counting", t("Open lines"), () => void this.open()),
      ),
    );
    this.writePlaces();
    this.writeTotals();
  };

  private add(kind: "line" | "region", places: readonly Place[]): void {
    const { lines = [], regions = [] } = this.counting;
    const taken = new Set([...lines, ...regions].map(({ name }) => name));
    let n = 1;
    const named = (): string => (kind === "line" ? t("line {n}", { n }) : t("region {n}", { n }));
    while (taken.has(named())) n++;
    const at = places.map(([x, y]): Place => [x, y]);
    if (kind === "line") lines.push({ name: named(), from: at[0], to: at[1] });
    else regions.push({ name: named(), polygon: at });
    this.use({ ...this.counting, lines, regions });
  }

  private use(counting: Counting): void {
    this.counting = counting;
    this.writePlaces();
    this.restart();
  }

  private get isCounting(): boolean {
    return Boolean(this.counting.lines?.length || this.counting.regions?.length);
  }

  /** Everything begins at 0. */
  private restart(): void {
    this.session = ++sessions;
    this.totals = [];
    this.writeTotals();
    this.showShapes();
    this.view.changed("settings");
  }

  private showShapes(): void {
    const shapes = (size: { width: number; height: number }): DrawnShape[] =>
      placesOf(this.counting, size).map((place) => {
        const total = this.totals.find(({ name }) => name === place.name);
        const text = total ? `${place.name}: ${countText(total)}` : place.name;
        return { closed: place.closed, places: place.places, text };
      });
    this.view.overlay.setShapes(this.isCounting ? shapes : undefined);
  }

  // What was drawn

  private writePlaces(): void {
    const { lines = [], regions = [] } = this.counting;
    const drop = <T>(all: readonly T[], which: T): T[] => all.filter((each) => each !== which);
    const rows = [
      ...lines.map((line) =>
        this.placeRow(line.name, [line.from, line.to], {
          rename: (name) => Object.assign(line, { name }),
          move: ([from, to]) => Object.assign(line, { from, to }),
          drop: () => this.use({ ...this.counting, lines: drop(lines, line) }),
        }),
      ),
      ...regions.map((region) =>
        this.placeRow(region.name, region.polygon, {
          rename: (name) => Object.assign(region, { name }),
          move: (polygon) => Object.assign(region, { polygon }),
          drop: () => this.use({ ...this.counting, regions: drop(regions, region) }),
        }),
      ),
    ];
    this.list.replaceChildren(...rows);
  }

  private placeRow(
    name: string,
    places: readonly Place[],
    actions: { rename(name: string): void; move(places: Place[]): void; drop(): void },
  ): HTMLElement {
    const field = make("input", { type: "text", value: name, "aria-label": t("Name") });
    field.addEventListener("change", () => {
      const { lines = [], regions = [] } = this.counting;
      const wanted = field.value.trim();
      if (!wanted || [...lines, ...regions].some((each) => each.name === wanted)) field.value = name;
      else {
        actions.rename(wanted);
        this.use({ ...this.counting });
      }
    });
    const text = places.map((place) => place.map((part) => Math.round(part * 100)).join(" ")).join(", ");
    const where = make("input", {
      type: "text",
      value: text,
      "aria-label": t("Corners in percent: x y, x y"),
    });
    where.addEventListener("change", () => {
      const moved = parsePlaces(where.value);
      if (!moved || moved.length < 2 || (moved.length !== 2) !== (places.length !== 2)) where.value = text;
      else {
        actions.move(moved);
        this.use({ ...this.counting });
      }
    });
    const remove = make(
      "button",
      { type: "button", class: "quiet", "aria-label": t("Remove {name}", { name }) },
      "×",
    );
    remove.addEventListener("click", actions.drop);
    return make("li", {}, field, where, remove);
  }

  // Counting

  ask(request: DetectRequest, source: Source): void {
    if (source.kind === "picture") return;
    if (this.model !== request.model) {
      this.model = request.model;
      this.session = ++sessions;
    }
    const counting = this.isCounting ? this.counting : undefined;
    request.follow = { session: this.session, time: source.time, counting };
  }

  shown({ totals = [] }: DetectReply): void {
    this.totals = totals;
    const now = performance.now();
    if (now - this.written < writtenEvery) return;
    this.written = now;
    this.writeTotals();
    if (this.isCounting) this.showShapes();
  }

  private writeTotals(): void {
    const head = [t("where"), t("in"), t("out"), t("inside")].map((text) => make("th", {}, text));
    const rows = this.totals.map((total) => {
      const cells = [total.name, total.in, total.out, total.inside ?? "–"].map((value) =>
        make("td", {}, String(value)),
      );
      return make("tr", {}, ...cells);
    });
    this.totalsBox.replaceChildren(
      ...(rows.length
        ? [
            make(
              "table",
              { id: "totals" },
              make("thead", {}, make("tr", {}, ...head)),
              make("tbody", {}, ...rows),
            ),
          ]
        : []),
    );
  }

  private save(): void {
    const json = { counting: this.counting, totals: this.totals };
    const blob = new Blob([`${JSON.stringify(json, null, 1)}\n`], { type: "application/json" });
    download(blob, `${this.view.boxes.name}-counts.json`);
  }

  /** A file of `detect --count`, or one that was saved here. */
  private async open(): Promise<void> {
    const [file] = await chooseFiles({ accept: ".json" });
    if (!file) return;
    try {
      const text = await file.text();
      const { counting } = JSON.parse(text) as { counting?: object };
      this.use(parseCounting(counting ? JSON.stringify(counting) : text, file.name));
    } catch (error) {
      tell(t("The lines were not opened"), error);
    }
  }

  cleared(): void {
    this.session = ++sessions;
    this.totals = [];
    this.writeTotals();
  }

  close(): void {
    this.view.companions.delete(this);
    removeEventListener(languageChanged, this.write);
    this.sketch.end();
    this.view.overlay.setShapes(undefined);
    this.view.changed("settings");
  }
}

/** Where something stands that was made without a pointer. */
const standard: Readonly<Record<"line" | "region", readonly Place[]>> = {
  line: [
    [0.5, 1], // so that what moves to the right goes in
    [0.5, 0],
  ],
  region: [
    [0.25, 0.25],
    [0.75, 0.25],
    [0.75, 0.75],
    [0.25, 0.75],
  ],
};

const countText = ({ in: into, out, inside }: CountTotals): string =>
  inside === undefined ? `${into} → ← ${out}` : `${inside}`;

/** `x y, x y, …` in percent. */
function parsePlaces(text: string): Place[] | undefined {
  const places = text.split(",").map((place) => place.trim().split(/\s+/).map(Number));
  const isRight = places.every(
    (place) => place.length === 2 && place.every((part) => part >= 0 && part <= 100),
  );
  return isRight ? places.map(([x, y]) => [x / 100, y / 100]) : undefined;
}
