/** The Benchmark tab: networks of ncnn's benchmark in this browser, as a table, a picture and JSON. Its worker lives for one run. */
import { version } from "../src/index.ts";
import type { NetworkTiming } from "../src/official.ts";
import { BackendChoice } from "./backend.ts";
import { drawResult } from "./benchmark-picture.ts";
import { capabilities, threadChoices } from "./capabilities.ts";
import { anElement, download, make } from "./dom.ts";
import { WorkerLink } from "./link.ts";
import { type MachineFacts, machineFacts } from "./machine.ts";
import { tell } from "./notices.ts";
import { languageChanged, t } from "./words.ts";

/** Of all kinds, and done in a minute on a phone. */
const few = [
  ...["squeezenet", "squeezenet_int8", "mobilenet_v2", "mobilenet_v3", "shufflenet_v2"],
  ...["efficientnet_b0", "nanodet_m", "yolo-fastestv2", "FastestDet", "yolov5ss_320", "yolov5ss_320_int8"],
];
/** The rest of ncnn's benchmark, in its order. */
const all = [
  ...["squeezenet", "squeezenet_int8", "mobilenet", "mobilenet_int8", "mobilenet_v2", "mobilenet_v3"],
  ...["shufflenet", "shufflenet_v2", "mnasnet", "proxylessnasnet", "efficientnet_b0", "efficientnetv2_b0"],
  ...["regnety_400m", "blazeface", "googlenet", "googlenet_int8", "resnet18", "resnet18_int8", "alexnet"],
  ...["vgg16", "vgg16_int8", "resnet50", "resnet50_int8", "squeezenet_ssd", "squeezenet_ssd_int8"],
  ...["mobilenet_ssd", "mobilenet_ssd_int8", "mobilenet_yolo", "mobilenetv2_yolov3", "yolov4-tiny"],
  ...["nanodet_m", "yolo-fastest-1.1", "yolo-fastestv2", "vision_transformer", "FastestDet"],
  ...["yolov5ss_320", "yolov5ss_320_int8", "yolov5ss_640", "yolov5ss_640_int8"],
];
/** Timed inferences of each. */
const loops = 8;

export interface BenchmarkRow {
  name: string;
  timing?: NetworkTiming;
  problem?: string;
}

export interface BenchmarkRun {
  date: string;
  version: string;
  machine: MachineFacts & { processor?: string };
  threads: number;
  simd: string;
  backend: string;
  results: BenchmarkRow[];
}

export class BenchmarkView {
  private readonly which = make("select", { id: "bench-which" });
  private readonly threads = make("select", { id: "bench-threads" });
  private readonly backend = new BackendChoice("bench-backend", t("Computed by"), "wasm");
  private readonly processor = make("input", { type: "text", id: "bench-processor", maxlength: "60" });
  private readonly start = make("button", { type: "button", id: "bench-start", class: "primary wide" });
  private readonly said = make("p", { class: "hint", role: "status", id: "bench-said" });
  private readonly rows = make("tbody");
  private readonly table = make("div", { class: "scroll", tabindex: "0", hidden: "" });
  private readonly actions = make("div", { class: "row", hidden: "" });
  private link: WorkerLink | undefined;
  private run: BenchmarkRun | undefined;

  constructor() {
    const { choices, initial } = threadChoices();
    this.threads.append(...choices.map((count) => make("option", { value: String(count) }, String(count))));
    this.threads.value = String(initial);
    this.start.addEventListener("click", () => void (this.link ? this.stop() : this.measure()));
    addEventListener(languageChanged, this.write);
    this.write();
  }

  private readonly write = (): void => {
    const field = (text: string, control: HTMLElement): HTMLElement =>
      make("label", { class: "field" }, make("span", {}, text), control);
    const value = this.which.value || "few";
    this.which.replaceChildren(
      make("option", { value: "few" }, t("a few networks, about a minute")),
      make("option", { value: "all" }, t("all of ncnn's benchmark, several minutes")),
    );
    this.which.value = value;
    this.processor.placeholder = t("as you want it on the result");
    this.start.textContent = this.link ? t("Stop") : t("Start");
    const head = [t("network"), t("size"), t("median ms"), t("least ms"), "GMAC/s"];
    this.table.replaceChildren(
      make(
        "table",
        { id: "bench-table" },
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
        this.rows,
      ),
    );
    const action = (id: string, text: string, work: () => void): HTMLElement => {
      const control = make("button", { type: "button", id }, text);
      control.addEventListener("click", work);
      return control;
    };
    this.actions.replaceChildren(
      action("bench-picture", t("Save picture"), () => void this.picture()),
      action("bench-json", t("Save JSON"), () => this.json()),
    );
    anElement("benchmark").replaceChildren(
      make(
        "div",
        { class: "intro" },
        make("h2", { id: "benchmark-title" }, t("How fast is this browser?")),
        make(
          "p",
          { class: "soft" },
          t(
            "The networks of ncnn's benchmark, with invented weights, on this machine. Nothing is sent anywhere. Close other programs and tabs for steady times.",
          ),
        ),
      ),
      make(
        "div",
        { class: "bench-form" },
        field(t("Networks"), this.which),
        field(t("Threads"), this.threads),
        this.backend.field,
        field(t("Processor"), this.processor),
        this.start,
      ),
      this.said,
      this.table,
      this.actions,
    );
  };

  private async measure(): Promise<void> {
    const link = new WorkerLink();
    this.link = link;
    this.write();
    const names = this.which.value === "all" ? all : few;
    const threads = Number(this.threads.value);
    this.backend.want(this.backend.select.value);
    const backend = this.backend.chosen;
    this.rows.replaceChildren();
    this.table.hidden = false;
    this.actions.hidden = true;
    try {
      await link.call("start", { threads, backend });
      const { simd } = await link.call("machine", undefined);
      const processor = this.processor.value.trim();
      const machine = { ...(await machineFacts()), ...(processor && { processor }) };
      const date = new Date().toISOString();
      this.run = { date, version, machine, threads, simd, backend, results: [] };
      await link.call("benchmark", { names, loops, threads, backend }, [], (row) =>
        this.take(row, names.length),
      );
      this.said.textContent = this.statement();
    } catch (error) {
      this.said.textContent = this.run?.results.length ? this.statement() : "";
      tell(t("The benchmark ended"), error);
    } finally {
      link.close();
      this.link = undefined;
      this.actions.hidden = !this.run?.results.length;
      this.write();
    }
  }

  private stop(): void {
    this.link?.close();
  }

  private take(row: BenchmarkRow, total: number): void {
    const { run } = this;
    if (!run) return;
    if (!row.timing && !row.problem) {
      const n = run.results.length + 1;
      this.said.textContent = t("{name}, {n} of {total}…", { name: row.name, n, total });
      return;
    }
    run.results.push(row);
    const { timing } = row;
    const cells = timing
      ? [
          timing.shapes[0].slice(1).join("×"),
          ms(timing.median),
          ms(timing.min),
          (timing.macs / timing.median / 1e6).toFixed(1),
        ]
      : [t("does not run here"), "", "", ""];
    const line = make("tr", {}, ...[row.name, ...cells].map((text) => make("td", {}, text)));
    if (row.problem) line.title = row.problem;
    this.rows.append(line);
  }

  /** What it was measured on. */
  private statement(): string {
    return this.run ? statementOf(this.run) : "";
  }

  private async picture(): Promise<void> {
    if (!this.run) return;
    const blob = await drawResult(this.run, statementOf(this.run));
    download(blob, "ncnnkit-benchmark.png");
  }

  private json(): void {
    const text = `${JSON.stringify({ tool: "ncnnkit", isolated: capabilities.isolated, ...this.run }, null, 1)}\n`;
    download(new Blob([text], { type: "application/json" }), "ncnnkit-benchmark.json");
  }
}

export const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);

function statementOf({ machine, threads, simd, backend, version: made }: BenchmarkRun): string {
  const { browser, cores, system, processor } = machine;
  return [
    processor ?? system,
    t("{cores} processors", { cores }),
    browser,
    `ncnnkit ${made}`,
    `${backend}, ${t("{threads} threads", { threads })}, ${simd}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
