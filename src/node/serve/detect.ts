/** `/detect` in a worker thread: pictures out of the body, decoded, looked at, told as JSON or drawn. */
import { Busboy } from "@fastify/busboy";
import type { Model } from "../../index.ts";
import { drawDetections, InputError, NcnnkitError } from "../../index.ts";
import { detectionJson, lettered, taskOf } from "../../steps.ts";
import { fontLetterer } from "../lettering.ts";
import { decodePicture, encodePicture, type FilePicture } from "../picture.ts";
import { inFilePixels } from "../results.ts";
import { joined } from "./body.ts";
import type { DetectQuestion, Limits, Reply, SentBody, SentPicture } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import { unpacked } from "./unpack.ts";

type Found = Awaited<ReturnType<Model["detect"]>>;

/** Most seconds that decoding of one picture may take, whatever is left of the request's time. */
const longestDecode = 10;

/** Answers a question for detections. Throws Refusal. */
export async function detect(question: DetectQuestion, model: Model): Promise<Reply> {
  const { body, limits, draw, deadline } = question;
  const times = { decode: 0, run: 0, encode: 0 };
  let mark = performance.now();
  const lap = (part: keyof typeof times): void => {
    const now = performance.now();
    times[part] += now - mark;
    mark = now;
  };
  const pictures = await picturesOf(body, limits);
  if (draw && pictures.length > 1) {
    throw new Refusal(400, `draw gives one picture, and ${pictures.length} were sent; send them one by one`);
  }
  const images: unknown[] = [];
  let drawn: Uint8Array | undefined;
  let count = 0;
  for (const sent of pictures) {
    const picture = await decoded(sent, limits, deadline);
    lap("decode");
    const found = await detectIn(model, picture, question.options);
    lap("run");
    count += found.length;
    if (draw) {
      const options = await lettered(picture, found, fontLetterer);
      drawn = await encodePicture(drawDetections(picture, found, options), `drawn.${draw}`);
    } else images.push(imageJson(sent.name, picture, found));
    lap("encode");
  }
  const { name, heads } = model.manifest;
  const bytes =
    drawn ?? new TextEncoder().encode(JSON.stringify({ model: name, task: taskOf(heads), images }));
  lap("encode");
  const headers: Record<string, string> = { "content-type": draw ? `image/${draw}` : "application/json" };
  if (draw) headers["x-detections"] = String(count);
  return { status: 200, headers, pieces: [new Uint8Array(bytes)], times, pictures: pictures.length };
}

async function picturesOf(body: SentBody, limits: Limits): Promise<readonly SentPicture[]> {
  if ("pictures" in body) return body.pictures;
  const bytes = unpacked(body.bytes, body.encoding, limits.bytes);
  if (!/^multipart\//i.test(body.type)) return [{ name: "picture", bytes }];
  const pictures = await parts(bytes, body.type, limits.pictures);
  if (!pictures.length) throw new Refusal(400, "multipart body: no file in it; send pictures as files");
  return pictures;
}

/** The files of a multipart body. */
function parts(bytes: Uint8Array<ArrayBuffer>, type: string, most: number): Promise<SentPicture[]> {
  const pictures: SentPicture[] = [];
  return new Promise((resolve, reject) => {
    const broken = (why: string): void => reject(new Refusal(400, `multipart body: ${why}`));
    const tooMany = (): void => reject(tooManyPictures(most));
    try {
      const failed = (error: unknown): void => broken(error instanceof Error ? error.message : String(error));
      const reader = new Busboy({
        headers: { "content-type": type },
        limits: { files: most, parts: most + 1 },
      });
      reader.on("field", (field) =>
        broken(`the part ${JSON.stringify(field)} is no file: give it a file name`),
      );
      reader.on("file", (field, stream, name) => {
        const pieces: Buffer[] = [];
        stream.on("error", failed);
        stream.on("data", (piece: Buffer) => pieces.push(piece));
        stream.on("end", () => pictures.push({ name: name || field, bytes: joined(pieces) }));
      });
      reader.on("filesLimit", tooMany).on("partsLimit", tooMany);
      reader.on("error", failed);
      reader.on("finish", () => resolve(pictures));
      reader.end(bytes);
    } catch (error) {
      broken((error as Error).message);
    }
  });
}

const tooManyPictures = (most: number): Refusal =>
  new Refusal(413, `more than ${most} pictures, which is the most that are taken in one request`);

async function decoded({ name, bytes }: SentPicture, limits: Limits, deadline: number): Promise<FilePicture> {
  const left = (deadline - Date.now()) / 1000;
  if (left <= 0) throw new Refusal(504, `the time of the request was over before ${name} was decoded`);
  const seconds = Math.max(1, Math.ceil(Math.min(left, longestDecode)));
  try {
    return await decodePicture(bytes, name, { pixels: limits.pixels, seconds });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new Refusal(422, error.message);
  }
}

async function detectIn(
  model: Model,
  picture: FilePicture,
  options: DetectQuestion["options"],
): Promise<Found> {
  try {
    return await model.detect(picture, options);
  } catch (error) {
    if (error instanceof NcnnkitError) throw new Refusal(400, error.message);
    throw error;
  }
}

function imageJson(name: string, picture: FilePicture, found: Found): unknown {
  const { fileWidth: width, fileHeight: height, warning } = picture;
  return { name, width, height, warning, detections: inFilePixels(found, picture).map(detectionJson) };
}
