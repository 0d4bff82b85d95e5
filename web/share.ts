/** Hands the picture with its boxes to another program, or puts it on the clipboard. */
import type { DetectView } from "./detect.ts";
import { button, download } from "./dom.ts";
import { t } from "./words.ts";

export async function share(view: DetectView): Promise<void> {
  const name = `${view.boxes.name}-boxes`;
  const make = (type: string): Promise<Blob> => view.link.call("picture", { ...view.drawn, type });
  const data = { files: [new File([await make("image/jpeg")], `${name}.jpg`, { type: "image/jpeg" })] };
  if (navigator.canShare?.(data)) {
    await navigator.share(data);
    return;
  }
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": make("image/png") })]);
    say(t("Picture copied"));
  } catch {
    download(data.files[0], data.files[0].name);
  }
}

/** On the button itself, for a while. */
function say(text: string): void {
  const control = button("tool-share");
  control.textContent = text;
  setTimeout(() => {
    control.textContent = t("Share");
  }, 2000);
}
