/** What is known of the model in use, and its layers, with the time that each takes here. */
import type { Profile } from "../src/steps.ts";
import { capabilities } from "./capabilities.ts";
import type { DetectView } from "./detect.ts";
import { formatBytes, make } from "./dom.ts";
import { tell } from "./notices.ts";
import type { CardLayer, ModelCard } from "./protocol.ts";
import type { Tool } from "./tools.ts";
import { plural, t } from "./words.ts";

export async function modelCard(view: DetectView, ended: () => void): Promise<Tool> {
  const model = view.shelf.current;
  if (!model?.facts) throw new Error(t("Load a model first."));
  const { size } = view.settings.read();
  const card = await view.link.call("card", { id: model.id, size });
  const dialog = make("dialog", { class: "card-dialog", "aria-labelledby": "card-title" });
  const shut = make(
    "button",
    { type: "button", id: "card-close", class: "quiet", "aria-label": t("Close") },
    "×",
  );
  shut.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", ended);
  const title = make("h2", { id: "card-title" }, card.manifest.name);
  const layers = new Layers(view, model.id, card);
  dialog.append(make("header", {}, title, shut), factsOf(card), layers.element);
  return { element: dialog, close: () => dialog.close() };
}

const count = (value: number): string =>
  value >= 1e9
    ? `${(value / 1e9).toFixed(2)} G`
    : value >= 1e6
      ? `${(value / 1e6).toFixed(2)} M`
      : value >= 1e3
        ? `${(value / 1e3).toFixed(1)} k`
        : String(value);

function factsOf({ manifest, heads, ...counts }: ModelCard): HTMLElement {
  const { input, labels, provenance, quantization } = manifest;
  const { accuracy } = quantization ?? {};
  const percent = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : (100 * value).toFixed(1);
  const facts: [name: string, value: string | undefined][] = [
    [t("Input"), `${input.width}×${input.height}, ${input.pixel}`],
    [t("Levels"), `mean ${numbers(input.mean)}; norm ${numbers(input.norm)}`],
    [t("Heads"), heads.join("; ")],
    [t("Classes"), `${labels.length}: ${labels.slice(0, 12).join(", ")}${labels.length > 12 ? " …" : ""}`],
    [t("Weights"), `${count(counts.parameters)}, ${formatBytes(counts.weightBytes)}`],
    [t("Multiplications"), counts.macs === undefined ? undefined : count(counts.macs)],
    // A model that has not run in the library holds none yet.
    [t("Memory"), counts.memoryBytes ? formatBytes(counts.memoryBytes) : undefined],
    [t("Computed by"), counts.backend],
    [t("Quantized"), quantization && `${quantization.method}, ${plural(quantization.images, "picture")}`],
    [t("Fidelity to float"), percent(accuracy?.fidelity)],
    [t("Average precision"), percent(accuracy?.ap)],
    [t("Made from"), provenance.source],
    [t("Made by"), provenance.tool],
    ["SHA-256", provenance.sha256],
  ];
  const list = make("dl", { class: "card-facts" });
  for (const [name, value] of facts) {
    if (value) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  }
  return list;
}

const numbers = (values: readonly number[]): string =>
  values.map((value) => Number(value.toPrecision(4))).join(", ");

class Layers {
  readonly element = make("section", { "aria-labelledby": "layers-title" });
  private readonly view: DetectView;
  private readonly layers: readonly CardLayer[];
  private readonly rows = make("tbody");
  private readonly said = make("p", { class: "hint", role: "status" });

  constructor(view: DetectView, id: number, { layers }: ModelCard) {
    [this.view, this.layers] = [view, layers];
    const time = make("button", { type: "button", id: "time-layers" }, t("Time each layer"));
    time.addEventListener("click", async () => {
      time.disabled = true;
      this.said.textContent = t("Timing…");
      try {
        const { size } = this.view.settings.read();
        this.write(await this.view.link.call("profile", { id, size }));
      } catch (error) {
        this.said.textContent = "";
        tell(t("The layers were not timed"), error);
      }
      time.disabled = false;
    });
    const head = [t("layer"), t("kind"), t("shape"), t("weights"), "MAC", "ms"];
    const table = make(
      "table",
      { id: "layers" },
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
      this.rows,
    );
    this.element.append(
      make("h3", { id: "layers-title" }, plural(layers.length, "layer")),
      ...[make("div", { class: "row" }, time), this.said],
      make(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": "layers-title" },
        table,
      ),
    );
    this.write();
  }

  /** A step may carry out several layers: its time stands with the first of them. */
  private write(profile?: Profile): void {
    const times = new Map<string, { ms: number; label: string }>();
    for (const { nodes, ms, label } of profile?.steps ?? []) {
      if (nodes.length) times.set(nodes[0], { ms: (times.get(nodes[0])?.ms ?? 0) + ms, label });
    }
    const most = Math.max(...[...times.values()].map(({ ms }) => ms), 1e-9);
    this.rows.replaceChildren(
      ...this.layers.map(({ name, type, shape, parameters, macs }) => {
        const timed = times.get(name);
        const texts = [name, type, shape, parameters ? count(parameters) : "", macs ? count(macs) : ""];
        const time = make("td", {}, timed ? timed.ms.toFixed(3) : "");
        if (timed) {
          time.title = timed.label;
          time.style.setProperty("--share", String(timed.ms / most));
          time.classList.add("bar-cell");
        }
        return make("tr", {}, ...texts.map((text) => make("td", {}, text)), time);
      }),
    );
    if (profile) {
      const coarse = capabilities.isolated
        ? ""
        : ` ${t("The clock counts in tenths of a millisecond here.")}`;
      const { total, steps, loops } = profile;
      const known = steps.reduce((sum, { ms }) => sum + ms, 0);
      const text = t(
        "{total} ms in all on one thread, {rest} ms not explained by a layer; medians of {loops} rounds. Layers without a time are part of the one before.",
        {
          ...{ total: total.toFixed(2), rest: Math.max(total - known, 0).toFixed(2), loops },
        },
      );
      this.said.textContent = text + coarse;
    }
  }
}
