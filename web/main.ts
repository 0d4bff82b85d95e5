/// <reference types="vite/client" />
/** The page begins: checks the browser, wires the two tabs, and takes files from anywhere. */
import { askedFor } from "./address.ts";
import { capabilities } from "./capabilities.ts";
import { ConvertView } from "./convert.ts";
import { DetectView } from "./detect.ts";
import { anElement, button, make } from "./dom.ts";
import { sortTransfer } from "./files.ts";
import { showFoot } from "./foot.ts";
import { Keeper } from "./keep.ts";
import { takeLaunched } from "./launch.ts";
import { notify, tell, wireNotices } from "./notices.ts";
import { wireSheet } from "./sheet.ts";
import { shippedModels } from "./shelf.ts";
import { wireTools } from "./tools.ts";
import { keepUpToDate } from "./updates.ts";
import { t } from "./words.ts";

const tabs = ["detect", "convert", "benchmark"] as const;
type Tab = (typeof tabs)[number];
let isBenchmarkMade = false;

function showTab(tab: Tab): void {
  document.body.dataset.tab = tab;
  for (const each of tabs) {
    const selected = each === tab;
    anElement(each).hidden = !selected;
    const control = button(`tab-${each}`);
    control.setAttribute("aria-selected", String(selected));
    control.tabIndex = selected ? 0 : -1;
  }
  if (tab === "benchmark" && !isBenchmarkMade) void makeBenchmark();
}

async function makeBenchmark(): Promise<void> {
  isBenchmarkMade = true;
  try {
    const { BenchmarkView } = await import("./benchmark.ts");
    new BenchmarkView();
  } catch (error) {
    isBenchmarkMade = false;
    tell(t("The benchmark was not opened"), error);
  }
}

function wireTabs(): void {
  for (const [at, tab] of tabs.entries()) {
    const control = button(`tab-${tab}`);
    control.addEventListener("click", () => showTab(tab));
    control.addEventListener("keydown", (event) => {
      const to = stepTo(event.key, at, tabs.length);
      if (to === undefined) return;
      event.preventDefault();
      showTab(tabs[to]);
      button(`tab-${tabs[to]}`).focus();
    });
  }
}

/** Where a key leads from one of several controls in a row; nothing for other keys. */
function stepTo(key: string, at: number, count: number): number | undefined {
  const targets: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 };
  const to = targets[key];
  return to === undefined ? undefined : (to + count) % count;
}

/** The sources go by arrow keys, and over the whole screen where the browser has that. */
function wireSources(): void {
  const bar = anElement("sources");
  bar.addEventListener("keydown", (event) => {
    const all = [...bar.querySelectorAll<HTMLButtonElement>("button:enabled:not([hidden])")];
    const to = stepTo(event.key, all.indexOf(event.target as HTMLButtonElement), all.length);
    if (to === undefined) return;
    event.preventDefault();
    all[to].focus();
  });
  const full = button("full");
  const look = bar.parentElement;
  if (!document.fullscreenEnabled || !look) return;
  full.hidden = false;
  full.addEventListener("click", () => {
    const change = document.fullscreenElement ? document.exitFullscreen() : look.requestFullscreen();
    change.catch((error: unknown) => tell(t("No full screen"), error));
  });
  document.addEventListener("fullscreenchange", () => {
    full.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  });
}

/** Instead of all else. */
function sayMissing(missing: readonly string[]): void {
  document.querySelector(".tabs")?.remove();
  anElement("detect").replaceChildren(
    make(
      "div",
      { class: "missing", role: "alert" },
      make("h2", {}, t("This browser is too old for the page")),
      make(
        "p",
        {},
        t(
          "It lacks {what}. Chrome or Edge 111, Firefox 115, Safari 16.4 and newer have all that is needed.",
          { what: missing.join(", ") },
        ),
      ),
    ),
  );
}

/** Files can be dropped or pasted on the whole page; the tab that is open gets them. */
function wireDrops(detect: DetectView, convert: ConvertView): void {
  const veil = anElement("dropping");
  const take = async (transfer: DataTransfer): Promise<void> => {
    try {
      const sorted = await sortTransfer(transfer);
      if (document.body.dataset.tab === "convert") convert.take(sorted);
      else {
        showTab("detect");
        await detect.take(sorted);
      }
    } catch (error) {
      tell(t("It could not be read"), error);
    }
  };
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    void take(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) void take(event.clipboardData);
  });
}

/** `?model=URL` (once or more), `?size=320`, `?threads=1` and `?backend=webgpu` make a link that opens ready to use. */
async function followLink(detect: DetectView): Promise<void> {
  const { models: urls, size, threads, backend } = askedFor();
  if (backend) detect.setBackend(backend);
  if (threads) detect.settings.setThreads(threads);
  if (size) detect.settings.setSize(size);
  const shipped = detect.addShipped(await shippedModels());
  let loaded = 0;
  for (const url of urls.reverse()) loaded += Number(await detect.useUrl(url));
  if (loaded || !shipped.length) return;
  const isUsed = await detect.use(shipped[0]);
  if (isUsed && urls.length) {
    notify(
      t("Another model"),
      t("{name}, which comes with this page, is used instead.", { name: shipped[0].name }),
      {
        news: true,
      },
    );
  }
}

function begin(): void {
  if (capabilities.missing.length) {
    sayMissing(capabilities.missing);
    return;
  }
  void showFoot();
  wireTabs();
  wireSources();
  wireNotices();
  wireSheet();
  const detect = new DetectView();
  const convert = new ConvertView({
    tryModels: (groups, picture) => {
      showTab("detect");
      void detect.tryModels(groups, picture);
    },
  });
  wireDrops(detect, convert);
  wireTools(detect);
  const keeper = new Keeper(detect);
  if (!capabilities.camera) button("use-camera").title = t("This browser gives no camera to this page");
  void keeper.restore().then(() => followLink(detect));
  void takeLaunched((sorted) => {
    showTab("detect");
    return detect.take(sorted);
  });
  if (import.meta.env.PROD && "serviceWorker" in navigator) void keepUpToDate();
}

begin();
