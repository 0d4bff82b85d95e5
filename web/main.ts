/// <reference types="vite/client" />
/** The page begins: checks the browser, wires the two tabs, and takes files from anywhere. */
import { capabilities } from "./capabilities.ts";
import { ConvertView } from "./convert.ts";
import { DetectView } from "./detect.ts";
import { anElement, button } from "./dom.ts";
import { sortTransfer } from "./files.ts";
import { showFoot } from "./foot.ts";
import { Keeper } from "./keep.ts";
import { takeLaunched } from "./launch.ts";
import { notify, tell, wireNotices } from "./notices.ts";
import { shippedModels } from "./shelf.ts";
import { wireTools } from "./tools.ts";
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
  for (const tab of tabs) {
    const control = button(`tab-${tab}`);
    control.addEventListener("click", () => showTab(tab));
    control.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const step = key === "ArrowRight" ? 1 : tabs.length - 1;
      const other = tabs[(tabs.indexOf(tab) + step) % tabs.length];
      showTab(other);
      button(`tab-${other}`).focus();
    });
  }
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
      tell("It could not be read", error);
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

/** `?model=URL` (once or more), `?size=320` and `?threads=1` make a link that opens ready to use. */
async function followLink(detect: DetectView): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const number = (name: string): number | undefined => {
    const value = Number(asked.get(name));
    return Number.isInteger(value) && value > 0 ? value : undefined;
  };
  const [size, threads] = [number("size"), number("threads")];
  if (threads) detect.settings.setThreads(threads);
  if (size) detect.settings.setSize(size);
  const urls = asked.getAll("model");
  for (const url of urls.reverse()) await detect.useUrl(url);
  const shipped = (await shippedModels()).map(({ name, url, precision }) =>
    detect.addShipped(new URL(url, document.baseURI).href, name, precision),
  );
  if (!urls.length && shipped.length) await detect.use(shipped[0]);
}

function begin(): void {
  if (capabilities.missing.length) {
    notify(
      "This browser is too old for the page",
      `It lacks ${capabilities.missing.join(", ")}. Chrome or Edge 111, Firefox 115, Safari 16.4 and newer have all that is needed.`,
    );
    anElement("detect").hidden = true;
    return;
  }
  void showFoot();
  wireTabs();
  wireNotices();
  const detect = new DetectView();
  const convert = new ConvertView({
    tryModels: (groups) => {
      showTab("detect");
      void detect.addModels(groups);
    },
  });
  wireDrops(detect, convert);
  wireTools(detect);
  const keeper = new Keeper(detect);
  if (!capabilities.camera) button("use-camera").title = "This browser gives no camera to this page";
  void keeper.restore().then(() => followLink(detect));
  void takeLaunched((sorted) => {
    showTab("detect");
    return detect.take(sorted);
  });
  if (import.meta.env.PROD && "serviceWorker" in navigator) {
    navigator.serviceWorker.register("./sw.js").catch((error: unknown) => {
      console.warn("no service worker, so the page does not work offline:", error);
    });
  }
}

begin();
