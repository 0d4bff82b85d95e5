/** What a visitor of the page does, for tests and scripts. */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";

/** The shipped model can be used, or whichever is chosen. */
export const modelReady = (page: Page): Promise<unknown> =>
  page.waitForFunction(() =>
    document.querySelector(".model:has(:checked) .soft")?.textContent?.includes("px"),
  );

/** The sample picture, and what is found in it. */
export async function openSample(page: Page): Promise<void> {
  await modelReady(page);
  await page.click("#empty-sample");
  await page.waitForSelector(".chip");
}

/** Drops files on the page as a file manager does. */
export async function drop(page: Page, files: Record<string, Uint8Array | string>): Promise<void> {
  const coded = Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]);
  await page.evaluate(async (all) => {
    const dataTransfer = new DataTransfer();
    for (const [name, base64] of all) {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const type = name.endsWith(".webm") ? "video/webm" : "";
      dataTransfer.items.add(new File([bytes], name, { type }));
    }
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, coded);
}

/** WebM video of a tenth of a second a frame, made by the browser itself: a picture that moves to the right by `step` pixels. */
export async function recordVideo(
  page: Page,
  picture: string,
  { frames = 10, step = 1, from = 0 } = {},
): Promise<Uint8Array> {
  const source = readFileSync(picture).toString("base64");
  const base64 = await page.evaluate(
    async (how) => {
      const blob = await (await fetch(`data:image/*;base64,${how.source}`)).blob();
      const bitmap = await createImageBitmap(blob);
      const canvas = Object.assign(document.createElement("canvas"), { width: 480, height: 320 });
      const context = canvas.getContext("2d")!;
      const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm" });
      const parts: Blob[] = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      const stopped = new Promise((resolve) => {
        recorder.onstop = resolve;
      });
      recorder.start();
      const width = (bitmap.width * 320) / bitmap.height;
      for (let i = 0; i < how.frames; i++) {
        context.fillStyle = "#888";
        context.fillRect(0, 0, 480, 320);
        context.drawImage(bitmap, how.from + how.step * i, 0, width, 320);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      recorder.stop();
      await stopped;
      const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    },
    { source, frames, step, from },
  );
  return Buffer.from(base64, "base64");
}

/** Answers the file dialog that a click on `selector` opens. */
export async function choose(page: Page, selector: string, files: readonly string[]): Promise<void> {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click(selector)]);
  await chooser.setFiles([...files]);
}
