/** `POST /detect`: pictures in all the forms that clients send them, options, drawing, refusals. */
import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { decodePicture } from "../../src/node/picture.ts";
import { detections, refusal } from "../../src/node/serve/schemas.ts";
import { load } from "../../src/node.ts";
import { png } from "../cli/_run.ts";
import { picture, startServe, type TestServe } from "./_serve.ts";

let server: TestServe;
beforeAll(async () => {
  server = await startServe({ maxBytes: 200_000, maxPixels: 1_000_000, maxPictures: 3 }, ["tiny", "other"]);
});

const box = { x: 16, y: 40, width: 8, height: 8 };
type Found = {
  model: string;
  images: { name: string; width: number; detections: { label: string; box: unknown }[] }[];
};

test("a picture's bytes give the boxes of model.detect, whatever type they are sent as", async () => {
  for (const type of [
    "image/png",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "IMAGE/JPEG; a=b",
  ]) {
    const answer = await server.detect(picture, "", { "content-type": type });
    expect(answer.status, answer.text).toBe(200);
    const found = answer.json<Found>();
    expect(detections.parse(found)).toEqual(found);
    expect(found).toMatchObject({ model: "tiny", images: [{ name: "picture", width: 64 }] });
    expect(found.images[0].detections).toMatchObject([{ label: "white", box }]);
  }
  const model = await load(`${server.folder}/tiny.json`);
  const [wanted] = await model.detect(await decodePicture(picture, "picture"));
  const { images } = (await server.detect(picture)).json<{ images: { detections: { score: number }[] }[] }>();
  expect(images[0].detections[0].score).toBe(Number(wanted.score.toFixed(5)));
  model.close();
});

test("several pictures by multipart, each under its name; a packed body", async () => {
  const form = new FormData();
  form.append("picture", new Blob([picture]), "one.png");
  form.append("other", new Blob([new Uint8Array(png(32, 16))]), "two.png");
  const answer = await server.ask("detect?model=other", { method: "POST", body: form });
  expect(answer.json<Found>()).toMatchObject({
    model: "other",
    images: [
      { name: "one.png", detections: [{ label: "white" }] },
      { name: "two.png", width: 32, detections: [] },
    ],
  });
  const packed = await server.detect(new Uint8Array(gzipSync(picture)), "", { "content-encoding": "gzip" });
  expect(packed.json<Found>().images[0].detections).toHaveLength(1);
});

test("options: confidence, classes, max, and draw in the format that is accepted", async () => {
  const count = async (query: string) =>
    (await server.detect(picture, query)).json<Found>().images[0].detections.length;
  expect(await count("?confidence=1")).toBe(0);
  expect(await count("?classes=black")).toBe(0);
  expect(await count("?classes=0,black&agnostic=1&iou=0.3")).toBe(1);
  expect(await count("?max=0")).toBe(0);
  for (const [accept, type] of [
    ["*/*", "image/jpeg"],
    ["text/html, image/png;q=0.9", "image/png"],
    ["image/webp", "image/webp"],
  ]) {
    const drawn = await server.detect(picture, "?draw=1", { accept });
    expect([drawn.status, drawn.headers.get("content-type"), drawn.headers.get("x-detections")]).toEqual([
      200,
      type,
      "1",
    ]);
    expect(await decodePicture(drawn.bytes, "drawn")).toMatchObject({ width: 64, height: 64 });
  }
});

const multipart = { "content-type": "multipart/form-data; boundary=b" };
const text = (body: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(body);
const bomb = gzipSync(new Uint8Array(300_000));
const wide = new Uint8Array(png(2000, 1000));

test.each<[string, Uint8Array<ArrayBuffer>, string, Record<string, string>, number, RegExp]>([
  ["an unknown parameter", picture, "?conf=0.5", {}, 400, /no parameter "conf"; there is model, confidence/],
  ["a parameter of the prototype", picture, "?__proto__=1", {}, 400, /no parameter "__proto__"/],
  ["a parameter twice", picture, "?max=1&max=2", {}, 400, /2 times/],
  ["a score above 1", picture, "?confidence=2", {}, 400, /confidence/],
  ["an empty number", picture, "?iou=", {}, 400, /iou/],
  ["an unknown class", picture, "?classes=cat", {}, 400, /classes/],
  ["an unknown model", picture, "?model=large", {}, 400, /model/],
  ["a time that is none", picture, "", { "x-timeout-ms": "soon" }, 400, /x-timeout-ms is "soon"/],
  ["no picture", text("no picture"), "", {}, 422, /^picture: not a picture that can be decoded/],
  ["half a picture", picture.slice(0, 60), "", {}, 422, /^picture: /],
  ["a drawing", text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "", {}, 422, /^picture: /],
  ["an empty body", text(""), "", {}, 400, /the body is empty/],
  ["too many pixels", wide, "", {}, 422, /2000x1000 pixels are too many.*at most 1000000/],
  ["too many bytes", new Uint8Array(200_001), "", {}, 413, /more than 200000 bytes/],
  ["too many bytes once unpacked", new Uint8Array(bomb), "", { "content-encoding": "gzip" }, 413, /unpacked/],
  ["a broken package", picture, "", { "content-encoding": "gzip" }, 400, /the body is no gzip/],
  ["an unknown package", picture, "", { "content-encoding": "zip" }, 415, /content-encoding "zip"/],
  ["text", picture, "", { "content-type": "text/plain" }, 415, /content-type "text\/plain"/],
  ["JSON", text("{}"), "", { "content-type": "application/json" }, 415, /--allow-urls/],
  [
    "multipart without boundary",
    picture,
    "",
    { "content-type": "multipart/form-data" },
    400,
    /multipart body/,
  ],
  ["multipart that is none", picture, "", multipart, 400, /multipart body/],
  [
    "multipart of text",
    text('--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--b--\r\n'),
    "",
    multipart,
    400,
    /the part "a" is no file/,
  ],
  [
    "multipart that breaks off",
    text('--b\r\ncontent-disposition: form-data; name="a"; filename="a"\r\n\r\nb'),
    "",
    multipart,
    400,
    /multipart body/,
  ],
  ["multipart of nothing", text("--b--\r\n"), "", multipart, 400, /multipart body/],
])("refused with one clear line: %s", async (_, body, query, headers, status, reason) => {
  const answer = await server.detect(body, query, { "content-type": "image/png", ...headers });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
  expect(refusal.parse(answer.json()).error).toMatch(reason);
  expect(answer.headers.get("content-type")).toBe("application/json");
});

test("too many pictures, and several to draw", async () => {
  const form = new FormData();
  for (let i = 0; i < 2; i++) form.append("picture", new Blob([picture]), `${i}.png`);
  const two = await server.ask("detect?draw=1", { method: "POST", body: form });
  expect([two.status, two.json().error]).toEqual([
    400,
    expect.stringMatching(/one picture, and 2 were sent/),
  ]);
  for (let i = 2; i < 4; i++) form.append("picture", new Blob([picture]), `${i}.png`);
  const four = await server.ask("detect", { method: "POST", body: form });
  expect([four.status, four.json().error]).toEqual([413, expect.stringMatching(/more than 3 pictures/)]);
});
