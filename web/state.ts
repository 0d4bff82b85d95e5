/** What the Detect tab says of its state: which source, which model, what to do next. */
import { anElement, button, make } from "./dom.ts";
import { withoutOptions } from "./notices.ts";
import type { Shelf } from "./shelf.ts";
import type { Source } from "./source.ts";
import { t } from "./words.ts";

export function showState(source: Source | undefined, shelf: Shelf): void {
  const { loading, current } = shelf;
  const ready = current?.facts;
  document.body.dataset.state = source?.kind ?? (loading ? "loading" : "empty");
  const isNear = current !== undefined || loading !== undefined || shelf.isWaiting;
  document.body.classList.toggle("has-model", isNear);
  anElement("empty").hidden = source !== undefined;
  const busy = anElement("busy");
  busy.textContent = loading
    ? t("Loading {name}…", { name: loading.name })
    : source && !ready
      ? current
        ? t("The model has to be explained")
        : t("Load a model to see boxes")
      : "";
  busy.hidden = busy.textContent === "" || (!source && !loading);
  const sample = ready && current?.sample;
  button("empty-sample").hidden = !sample;
  button("empty-model").hidden = isNear;
  const pause = button("pause");
  pause.hidden = source?.pause === undefined;
  pause.setAttribute("aria-pressed", String(source !== undefined && !source.live));
  if (source?.kind !== "camera") button("flip").hidden = true;
  for (const kind of ["camera", "picture", "video"]) {
    button(`use-${kind}`).classList.toggle("on", source?.kind === kind);
  }
  if (!source) button("save").disabled = true;
  const assumptions = current?.facts?.assumptions ?? [];
  anElement("assumptions").replaceChildren(
    ...(assumptions.length
      ? [
          make(
            "details",
            { class: "hint" },
            make("summary", {}, t("Some facts were assumed")),
            make("ul", {}, ...assumptions.map((text) => make("li", {}, withoutOptions(text)))),
          ),
        ]
      : []),
  );
}
