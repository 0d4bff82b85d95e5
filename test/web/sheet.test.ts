/** On an upright phone the controls lie in a sheet that is drawn with a finger, the mouse or keys; nothing lies over anything. */
import type { CDPSession, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { axeFindings, faults } from "./inspect.ts";
import { openShipped } from "./shipped.ts";
import { canRun, overflow, useSite } from "./site.ts";
import { drop, openSample } from "./visitor.ts";

interface Edges {
  top: number;
  bottom: number;
  height: number;
}
const edges = (page: Page, selector: string): Promise<Edges> =>
  page.$eval(selector, (element) => {
    const { top, bottom, height } = element.getBoundingClientRect();
    return { top, bottom, height };
  });
const rest = (page: Page): Promise<string | null> => page.getAttribute("body", "data-sheet");
/** It moves to where it rests, unless little motion is wanted. */
const settled = async (page: Page, name: string): Promise<number> => {
  await page.waitForFunction((wanted) => document.body.dataset.sheet === wanted, name);
  await page.waitForTimeout(300);
  return (await edges(page, "#panel")).height;
};
const middleOfGrip = async (page: Page): Promise<[number, number]> => {
  const { top, height } = await edges(page, "#grip");
  return [page.viewportSize()!.width / 2, top + height / 2];
};

describe.runIf(canRun)("the sheet of controls", () => {
  const site = useSite();

  const openPicture = async (options = {}): Promise<Page> => {
    const page = await openShipped(site, "", options);
    await openSample(page);
    return page;
  };

  test.each([
    [390, 844],
    [320, 640],
    [320, 568],
    [768, 1024],
  ])("picture, result and confidence together at %i×%i, wherever it rests", async (width, height) => {
    const page = await openPicture({ viewport: { width, height } });
    for (const key of ["Home", "ArrowUp"]) {
      await page.focus("#grip");
      await page.keyboard.press(key);
      await page.waitForTimeout(300);
      const [stage, found, confidence, bar] = await Promise.all(
        ["#stage", "#found", "#confidence", "#sources"].map((part) => edges(page, part)),
      );
      expect(stage.height).toBeGreaterThan(140);
      expect(stage.bottom).toBeLessThanOrEqual(found.top);
      expect(found.bottom).toBeLessThanOrEqual(confidence.bottom);
      expect(confidence.bottom).toBeLessThanOrEqual(bar.top);
      expect(bar.bottom).toBeLessThanOrEqual(height);
      expect(await overflow(page)).toBe(0);
    }
    await page.keyboard.press("End");
    await page.waitForTimeout(300);
    expect(await faults(page)).toEqual([]);
    expect(await axeFindings(page)).toEqual([]);
    await page.context().close();
  });

  test("keys move it, and say where it is", async () => {
    const page = await openPicture({ reducedMotion: "reduce" });
    await page.focus("#grip");
    const grip = page.locator("#grip");
    const half = await settled(page, "half");
    expect(await grip.getAttribute("aria-valuetext")).toBe("Picture and controls share the room");
    await page.keyboard.press("ArrowUp");
    const high = (await edges(page, "#panel")).height; // at once
    expect(high).toBeGreaterThan(half + 100);
    expect(await grip.getAttribute("aria-valuenow")).toBe("70");
    await page.keyboard.press("ArrowUp");
    expect(await rest(page)).toBe("high");
    await page.locator("#threads").scrollIntoViewIfNeeded();
    await page.focus("#grip");
    await page.keyboard.press("Enter");
    expect(await page.$eval("#panel", ({ scrollTop }) => scrollTop)).toBe(0); // to what was found
    expect(await settled(page, "low")).toBeLessThan(half - 50);
    await page.keyboard.press("End");
    await settled(page, "high");
    await page.selectOption("#language", "zh");
    await page.waitForFunction(
      () => document.querySelector("#grip")?.getAttribute("aria-valuetext") === "控件为主",
    );
    await page.context().close();
  });

  test("the mouse draws it, and it comes to rest; a press steps on", async () => {
    const page = await openPicture();
    const before = await settled(page, "half");
    const [x, y] = await middleOfGrip(page);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y - 60, { steps: 4 });
    expect(await rest(page)).toBe("dragged");
    expect((await edges(page, "#panel")).height).toBeCloseTo(before + 60, 0);
    await page.mouse.move(x, y - 150, { steps: 4 });
    await page.waitForTimeout(150); // held, not thrown
    await page.mouse.up();
    await settled(page, "high");
    const [, top] = await middleOfGrip(page);
    await page.mouse.click(x, top);
    await settled(page, "low");
    await page.context().close();
  });

  test("a finger throws it", async () => {
    const page = await openPicture({ hasTouch: true });
    await settled(page, "half");
    const fingers = await page.context().newCDPSession(page);
    const [x, y] = await middleOfGrip(page);
    await swipe(fingers, x, [y, y + 20, y + 45, y + 75]);
    await settled(page, "low");
    const [, low] = await middleOfGrip(page);
    await swipe(fingers, x, [low, low - 20, low - 45, low - 75]);
    await settled(page, "half");
    await page.context().close();
  });

  test("messages have their own place, and the foot of the page is the end of the sheet", async () => {
    const page = await openPicture();
    await drop(page, { "broken.param": "7767517\n3 x\n" });
    await page.waitForSelector(".notice");
    const [notices, stage] = [await edges(page, "#notices"), await edges(page, "#stage")];
    expect(notices.top).toBeGreaterThan(0);
    expect(notices.bottom).toBeLessThanOrEqual(stage.top);
    expect(stage.height).toBeGreaterThan(95);
    expect(await faults(page)).toEqual([]);
    await page.locator("#language").scrollIntoViewIfNeeded();
    expect((await edges(page, "#language")).bottom).toBeLessThanOrEqual((await edges(page, "#sources")).top);
    // On a wider screen there is no sheet, and the foot is where it belongs.
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.waitForSelector("main + #foot");
    expect(await page.isVisible("#grip")).toBe(false);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.waitForSelector("#panel > #foot");
    await page.click("#tab-convert");
    await page.waitForSelector("main + #foot");
    expect(await page.isVisible("#language")).toBe(true);
    await page.context().close();
  });
});

/** A finger that goes through these heights, fast. */
async function swipe(fingers: CDPSession, x: number, heights: readonly number[]): Promise<void> {
  const [first, ...more] = heights;
  const touch = (type: "touchStart" | "touchMove", y: number): Promise<unknown> =>
    fingers.send("Input.dispatchTouchEvent", { type, touchPoints: [{ x, y }] });
  await touch("touchStart", first);
  for (const y of more) await touch("touchMove", y);
  await fingers.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}
