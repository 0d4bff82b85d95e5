/** Messages to the user: what went wrong, and what to do. */
import { anElement, make } from "./dom.ts";
import { WorkerError } from "./link.ts";

/** Shows a message until it is dismissed; the same text is shown once. */
export function notify(title: string, text: string, bad = true): void {
  const box = anElement("notices");
  const key = `${title}\n${text}`;
  if ([...box.children].some((child) => child instanceof HTMLElement && child.dataset.key === key)) return;
  const close = make("button", { type: "button", class: "quiet", "aria-label": "Dismiss" }, "×");
  const notice = make(
    "div",
    { class: bad ? "notice bad" : "notice", role: bad ? "alert" : "status" },
    make("div", {}, make("b", {}, title), make("p", {}, text)),
    close,
  );
  notice.dataset.key = key;
  close.addEventListener("click", () => notice.remove());
  box.append(notice);
  while (box.children.length > 3) box.firstElementChild?.remove();
}

export function clearNotices(): void {
  anElement("notices").replaceChildren();
}

/** Tells of anything that was thrown; a cancelled operation is no news. */
export function tell(title: string, error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  console.error(error);
  notify(title, explain(error));
}

function explain(error: unknown): string {
  if (error instanceof WorkerError && error.expected) return withoutOptions(error.message);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError && /memory|allocation/i.test(message))
    return "There is not enough memory for it. Try a smaller input size, or close other tabs.";
  return message;
}

/** Options of the command line mean nothing here. */
export const withoutOptions = (text: string): string => text.replace(/; [^;]*--[a-z][^;]*/g, "");

/** Why there is no camera, by the name of what `getUserMedia` threw. */
const cameraReasons: Record<string, string> = {
  NotAllowedError:
    "The browser was not allowed to use it. Allow the camera for this page in the address bar or in the system's settings, then try again.",
  NotFoundError: "No camera was found on this device. Pictures and videos work without one.",
  NotReadableError: "Another program seems to be using it. Close that, then try again.",
  OverconstrainedError: "There is no camera that faces this way.",
  SecurityError: "Cameras are switched off for this page.",
};

export function tellCamera(error: unknown): void {
  if (!globalThis.isSecureContext) {
    notify("No camera", "Browsers give cameras only to pages served over https, or from localhost.");
  } else if (error instanceof DOMException && error.name in cameraReasons) {
    notify("No camera", cameraReasons[error.name]);
  } else tell("No camera", error);
}
