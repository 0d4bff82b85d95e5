/** Messages to the user: what went wrong, and what to do. */
import { anElement, make } from "./dom.ts";
import { WorkerError } from "./link.ts";
import { later, t } from "./words.ts";

/** At most as many as can be read; older ones give way. */
const mostShown = 3;

/** What a message may have besides its words. */
interface More {
  /** Behind a summary. */
  details?: string;
  /** A button that does something about it. */
  action?: { readonly text: string; run(): void };
  /** No error: it waits politely, and stays when the errors go. */
  news?: boolean;
}

/** Shows a message over the page, and says it to who does not see it, until it is dismissed; the same text is shown once. */
export function notify(title: string, text: string, { details, action, news }: More = {}): void {
  const box = anElement("notices");
  const key = `${title}\n${text}\n${details ?? ""}`;
  if ([...box.children].some((child) => child instanceof HTMLElement && child.dataset.key === key)) return;
  const close = make("button", { type: "button", class: "quiet", "aria-label": `Dismiss: ${title}` }, "×");
  const words = make("div", {}, make("b", {}, title), make("p", {}, text));
  if (details) {
    words.append(make("details", {}, make("summary", {}, t("What the reader says")), make("p", {}, details)));
  }
  if (action) {
    const act = make("button", { type: "button", class: "link" }, action.text);
    act.addEventListener("click", () => action.run());
    words.append(act);
  }
  const kind = news ? { class: "notice news", role: "status" } : { class: "notice bad", role: "alert" };
  const notice = make("div", kind, words, close);
  notice.dataset.key = key;
  close.addEventListener("click", () => notice.remove());
  box.append(notice);
  while (box.children.length > mostShown) box.firstElementChild?.remove();
  box.scrollTop = notice.offsetTop;
}

export function clearNotices(): void {
  for (const notice of anElement("notices").querySelectorAll(".bad")) notice.remove();
}

/** The newest message goes with Escape; what lies below messages can be scrolled out from there (`--covered` in style/). */
export function wireNotices(): void {
  const box = anElement("notices");
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--covered", `${box.offsetHeight}px`);
  }).observe(box);
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") box.lastElementChild?.remove();
  });
}

/** Tells of anything that was thrown; a cancelled operation is no news. `advice`: what to do, where the page knows better. */
export function tell(title: string, error: unknown, advice?: string): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  console.error(error);
  const message = withoutOptions(error instanceof Error ? error.message : String(error));
  const words = advice ?? wordsFor(error);
  if (words) notify(title, words, { details: message });
  else notify(title, message);
}

/**
 * What an error means to who does not know the formats, by its class; nothing for those whose own message says what to do, such as a
 * file that is missing.
 */
const meanings: Record<string, string> = {
  FormatError: later(
    "The file is damaged, cut short, or not what its name says. Download or export it again, then choose it anew.",
  ),
  GraphError: later(
    "Its parts do not fit together. Check that .param and .bin are of the same export, or export the model again.",
  ),
  UnsupportedError: later(
    "It uses something that this page cannot run. The details name it; an export to ONNX, or of another version, may go without.",
  ),
};

function wordsFor(error: unknown): string | undefined {
  const { message } = error instanceof Error ? error : { message: "" };
  // Of a host that answers without leave, browsers say no more than of one that does not answer.
  const unreached = /^cannot fetch (\S+): (?!HTTP)/.exec(message)?.[1];
  if (unreached && new URL(unreached).origin !== location.origin) {
    const { host } = new URL(unreached);
    return t(
      "{host} cannot be reached, or does not let other pages read its files (CORS). Its owner has to allow it, with the header access-control-allow-origin; or download the files and choose them here.",
      { host },
    );
  }
  if (error instanceof WorkerError && error.expected)
    return error.name in meanings ? t(meanings[error.name]) : undefined;
  if (error instanceof RangeError && /memory|allocation/i.test(error.message))
    return t("There is not enough memory for it. Try a smaller input size, or close other tabs.");
  // A part that is fetched when it is needed: the host has another version by now, or cannot be reached.
  if (error instanceof Error && /dynamically imported module|importing a module script/i.test(error.message))
    return t("A part of this page could not be fetched. Look after the network, then reload the page.");
  return undefined;
}

/** Options of the command line mean nothing here. */
export const withoutOptions = (text: string): string => text.replace(/; [^;]*--[a-z][^;]*/g, "");

/** Why there is no camera, by the name of what `getUserMedia` threw. */
const cameraReasons: Record<string, string> = {
  NotAllowedError: later(
    "The browser was not allowed to use it. Allow the camera for this page in the address bar or in the system's settings, then try again.",
  ),
  NotFoundError: later("No camera was found on this device. Pictures and videos work without one."),
  NotReadableError: later("Another program seems to be using it. Close that, then try again."),
  OverconstrainedError: later("There is no camera that faces this way."),
  SecurityError: later("Cameras are switched off for this page."),
};

export function tellCamera(error: unknown): void {
  if (!globalThis.isSecureContext) {
    notify(t("No camera"), t("Browsers give cameras only to pages served over https, or from localhost."));
  } else if (error instanceof DOMException && error.name in cameraReasons) {
    notify(t("No camera"), t(cameraReasons[error.name]));
  } else tell(t("No camera"), error);
}
