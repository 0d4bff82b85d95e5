/** What a conversion gave: figures, files to keep, the report. */
import { anElement, byId, download, formatBytes, make } from "./dom.ts";
import { withoutOptions } from "./notices.ts";
import type { ConvertReply } from "./protocol.ts";
import { t } from "./words.ts";

const mostNotes = 8;

export class Converted {
  private zipUrl = "";
  private files: ConvertReply["files"] = [];

  constructor() {
    byId("report", HTMLIFrameElement).addEventListener("load", fitReport);
    addEventListener("resize", fitReport);
  }

  show(reply: ConvertReply): void {
    const { name, report, measuredOn, width, height, skipped, assumptions, zip } = reply;
    this.files = reply.files;
    anElement("result-title").textContent = report
      ? t("{name} is int8", { name })
      : t("{name} is converted", { name });
    anElement("result-text").textContent = report
      ? t("Input {width}×{height}. {measuredOn} Times are from this browser.", {
          width,
          height,
          measuredOn: measuredOn ?? "",
        })
      : t("Float, with weights stored as fp16. Add calibration pictures to quantize it.");
    showFigures(reply);
    URL.revokeObjectURL(this.zipUrl);
    this.zipUrl = URL.createObjectURL(zip);
    const link = byId("download", HTMLAnchorElement);
    link.href = this.zipUrl;
    link.download = `${name}.zip`;
    link.textContent = t("Download {name}.zip, {size}", { name, size: formatBytes(zip.size) });
    this.listFiles();
    const notes = [
      ...assumptions.map((text) => t("Assumed: {text}.", { text: withoutOptions(text) })),
      ...skipped.map((text) => t("Skipped {text}", { text })),
    ];
    anElement("result-notes").replaceChildren(
      ...notes.slice(0, mostNotes).map((text) => make("li", {}, text)),
    );
    const frame = byId("report", HTMLIFrameElement);
    frame.hidden = report === undefined;
    frame.srcdoc = report ?? "";
  }

  private listFiles(): void {
    anElement("file-list").replaceChildren(
      ...this.files.map(({ path, blob }) => {
        const save = make("button", { type: "button", class: "link" }, path);
        save.addEventListener("click", () => download(blob, path.replace(/^.*\//, "")));
        return make("li", {}, save, make("small", {}, formatBytes(blob.size)));
      }),
    );
  }

  /** The int8 and the float model as files, ready to be loaded. */
  models(): File[][] {
    return ["int8/", "fp16/"]
      .map((folder) => {
        const list = this.files.filter(
          ({ path }) => path.startsWith(folder) && /\.(json|param|bin)$/.test(path),
        );
        const named = list.map(({ path, blob }) => new File([blob], path.slice(folder.length)));
        return named.sort((a, b) => Number(b.name.endsWith(".json")) - Number(a.name.endsWith(".json")));
      })
      .filter((group) => group.length);
  }
}

function showFigures({ variants }: ConvertReply): void {
  const [float, int8] = [variants[0], variants.at(-1)];
  const fact = (value: string, text: string): HTMLElement =>
    make("div", {}, make("b", {}, value), make("span", {}, text));
  anElement("variants").replaceChildren(
    ...(float && int8
      ? [
          ...(int8.fidelity === undefined || int8.fidelity < 0
            ? []
            : [fact((100 * int8.fidelity).toFixed(1), t("fidelity to fp32, of 100"))]),
          fact(`${(float.milliseconds / int8.milliseconds).toFixed(2)}×`, t("as fast as fp32")),
          fact(
            `${int8.milliseconds.toFixed(1)} ms`,
            t("a picture; fp32 takes {ms}", { ms: float.milliseconds.toFixed(1) }),
          ),
          fact(formatBytes(int8.bytes), t("instead of {size}", { size: formatBytes(float.bytes) })),
        ]
      : []),
  );
}

/** The report has no scripts and scrolls with the page. */
function fitReport(): void {
  const frame = byId("report", HTMLIFrameElement);
  const inside = frame.contentDocument?.documentElement;
  if (!inside || frame.hidden) return;
  frame.style.height = "0";
  frame.style.height = `${inside.scrollHeight + 2}px`;
}
