/** Frames in a browser while they are searched, and in the terminal. */
import sharp from "sharp";
import { expect, test } from "vitest";
import { halfBlocks } from "../../src/cli/preview.ts";
import { openLiveView } from "../../src/node/video/live.ts";

const picture = { width: 4, height: 4, channels: 4 as const, data: new Uint8Array(64).fill(200) };

test("a page, a state, and frames as they come", async () => {
  const view = await openLiveView(0);
  try {
    expect(await (await fetch(view.url)).text()).toContain('<img src="frames"');
    expect(view.wanted).toBe(false);
    const response = await fetch(`${view.url}frames`);
    expect(response.headers.get("content-type")).toBe("multipart/x-mixed-replace; boundary=frame");
    const reader = response.body?.getReader();
    for (let i = 0; i < 100 && !view.wanted; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(view.wanted).toBe(true);
    await view.show(picture, { title: "clip.mp4", lines: ["1 frame"] });
    expect(view.wanted).toBe(false);
    const chunk = (await reader?.read())?.value ?? new Uint8Array();
    const text = new TextDecoder("latin1").decode(chunk);
    expect(text).toMatch(/^--frame\r\ncontent-type: image\/jpeg\r\ncontent-length: \d+\r\n\r\n/);
    const jpeg = chunk.subarray(text.indexOf("\r\n\r\n") + 4);
    expect(await sharp(jpeg).metadata()).toMatchObject({ format: "jpeg", width: 4, height: 4 });
    expect(await (await fetch(`${view.url}state`)).json()).toEqual({ title: "clip.mp4", lines: ["1 frame"] });
    // The end of the frames is the end of the answer.
    const end = reader?.read();
    await view.stop();
    expect((await end)?.done ?? true).toBe(true);
  } finally {
    await view.stop();
  }
});

test("half blocks fit into the terminal", () => {
  const lines = halfBlocks({ ...picture, width: 8, height: 2 }, 4, 10);
  expect(lines).toEqual([`${"\u001b[38;2;200;200;200m\u001b[48;2;200;200;200m▀".repeat(4)}\u001b[0m`]);
  expect(halfBlocks(picture, 80, 2)).toHaveLength(2);
});
