/** What a file does not say of its model is asked for in the page, in Chromium. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../cli/_run.ts";
import { dataPath, describeDataIf } from "../data.ts";
import {
  canRun,
  commandLineBoxes,
  expectSame,
  modelLoaded,
  nextBoxes,
  openBoxes,
  overflow,
  pageSize as size,
  useSite,
} from "./site.ts";
import { choose } from "./visitor.ts";

const float = ["models/yolov5ss.param", "models/yolov5ss.bin"].map(dataPath);
const pictures = [dataPath("coco/images/val2017/000000000139.jpg")];
const folder = temporaryFolder();

describeDataIf(canRun, "facts that a file does not say", () => {
  const site = useSite();

  test("anchors and names that the file does not say are asked for; the boxes are a preview until then", async () => {
    const page = await site.open(`plain/?size=${size}`, { viewport: { width: 390, height: 844 } });
    await choose(page, "#add-model", float);
    await modelLoaded(page, 1);
    await openBoxes(page);
    await choose(page, "#use-picture", pictures);
    const guessed = await nextBoxes(page);
    expect(await page.textContent("#preview")).toMatch(/^Preview: anchors.* class names.* guessed$/);
    expect(await page.textContent("#ask")).toContain("does not say its anchors");
    expect(await page.isVisible("#ask-right")).toBe(true);
    expect(await page.isDisabled("#save")).toBe(true);
    expect(await overflow(page)).toBe(0);

    await page.click("#ask-tell");
    const anchors = await page.inputValue("#anchors");
    const names = await page.inputValue("#names");
    expect(names.split("\n")).toHaveLength(80);
    // What does not fit is refused, and the model is as it was.
    await page.fill("#names", "cat, dog");
    await page.click("#told button");
    await page.waitForSelector(".notice");
    expect(await page.textContent(".notice")).toMatch(/found 2 names.*80 classes/);
    expect(await page.isVisible("#preview")).toBe(true);
    await page.fill("#anchors", "10,13,x");
    await page.click("#told button");
    await page.waitForFunction(() =>
      document.querySelector(".notice")?.textContent?.includes("a line for each head"),
    );

    const doubled = anchors.replace(/\d+/g, (side) => String(2 * Number(side)));
    await page.fill("#anchors", doubled);
    await page.fill("#names", names.replaceAll("chair", "Stuhl"));
    await page.click("#told button");
    const told = await nextBoxes(page, guessed.text);
    const list = doubled.replaceAll("\n", " ");
    const labels = path.join(folder, "names.txt");
    writeFileSync(labels, names.replaceAll("chair", "Stuhl"));
    expectSame(
      told.boxes,
      await commandLineBoxes(float[0], pictures[0], "--anchors", list, "--labels", labels),
    );
    expect(told.text).toContain("Stuhl");
    expect(await page.isVisible("#preview")).toBe(false);
    expect(await page.isVisible("#ask")).toBe(false);
    expect(await page.isDisabled("#save")).toBe(false);
    await page.context().close();
  });

  test("before int8 is made of it, a model is explained, with a preview to judge by", async () => {
    const page = await site.open("plain/", { viewport: { width: 390, height: 844 } });
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", float);
    await page.waitForFunction(() =>
      document.querySelector("#convert-model")?.textContent?.includes("80 classes"),
    );
    expect(await page.textContent("#convert-start")).toBe("Convert without quantizing");
    await choose(page, "#pick-pictures", pictures);
    await page.waitForSelector("#convert-preview:not([hidden])");
    expect(await page.textContent("#convert-ask")).toContain("does not say its anchors");
    expect(await page.isDisabled("#convert-start")).toBe(true);
    expect(await overflow(page)).toBe(0);
    await page.click("#convert-told summary");
    await page.fill("#convert-names", "cat, dog");
    await page.click("#convert-use-told");
    await page.waitForSelector(".notice");
    expect(await page.textContent(".notice")).toMatch(/found 2 names.*80 classes/);
    await page.click("#convert-ask-right");
    await page.waitForFunction(
      () => !(document.querySelector("#convert-start") as HTMLButtonElement).disabled,
    );
    expect(await page.textContent("#convert-start")).toBe("Convert and quantize");
    expect(await page.isVisible("#convert-ask")).toBe(false);
    await page.context().close();
  });

  test("a model that cannot run without anchors stays, to be told them", async () => {
    const page = await site.open("plain/?size=256", { viewport: { width: 390, height: 844 } });
    await choose(page, "#use-picture", pictures);
    await choose(page, "#add-model", fourLevels());
    await page.waitForSelector(".notice");
    expect(await page.textContent(".notice")).toMatch(/four has to be explained.*anchors of 4 heads/s);
    expect(await page.textContent("#busy")).toBe("The model has to be explained");
    expect(await page.locator(".chip").count()).toBe(0);
    await page.fill("#anchors", "10,13,16,30,33,23\n30,61,62,45,59,119");
    await page.click("#told button");
    await page.waitForFunction(() =>
      document.querySelector(".notice")?.textContent?.includes("anchors: found"),
    );
    await page.fill("#anchors", Array<string>(4).fill("10,13,16,30,33,23").join("\n"));
    await page.fill("#names", "thing");
    await page.click("#told button");
    await page.waitForSelector(".chip");
    expect(await page.textContent("#found")).toContain("thing");
    expect(await page.isVisible("#preview")).toBe(false);
    await page.context().close();
  });
});

/** A network whose last convolutions are heads of one class at four strides: more than YOLOv5's own anchors are for. */
function fourLevels(): string[] {
  const lines = ["Input in 0 1 in"];
  const numbers: number[] = [];
  const convolution = (from: string, to: string, channels: [number, number], side: number): void => {
    const count = channels[0] * channels[1] * side * side;
    lines.push(`Convolution ${to} 1 1 ${from} ${to} 0=${channels[1]} 1=${side} 3=${side} 5=1 6=${count}`);
    numbers.push(0, ...Array<number>(count).fill(0), ...Array<number>(channels[1]).fill(2));
  };
  for (const [i, side] of [8, 2, 2, 2].entries()) {
    const [before, blob] = [i ? `s${i - 1}b` : "in", `s${i}`];
    convolution(before, blob, [i ? 4 : 3, 4], side);
    if (i < 3) lines.push(`Split split${i} 1 2 ${blob} ${blob}a ${blob}b`);
    convolution(i < 3 ? `${blob}a` : blob, `head${i}`, [4, 18], 1);
  }
  const blobs = lines.reduce((sum, line) => sum + Number(line.split(" ")[3]), 0);
  const files = ["four.param", "four.bin"].map((name) => path.join(folder, name));
  writeFileSync(files[0], `7767517\n${lines.length} ${blobs}\n${lines.join("\n")}\n`);
  writeFileSync(files[1], Buffer.from(Float32Array.from(numbers).buffer));
  return files;
}
