/** Pictures by address: `http(s)://host/…`, and `s3://bucket/key` where a client of S3 is installed. */
import { setTimeout as sleep } from "node:timers/promises";
import { InputError, UnsupportedError } from "../index.ts";
import { decodePicture, type FilePicture } from "./picture.ts";
import { Refusal } from "./serve/refusal.ts";
import { fetchPicture } from "./serve/urls.ts";

/** Most bytes that a picture may have. */
const mostBytes = 64 * 2 ** 20;
/** Milliseconds for one attempt, and before each further one. */
const patience = 60_000;
const waits = [500, 2000];

/** Environment variable with the only hosts that pictures may come from, with commas between; without it any may be named. */
const hostsVariable = "NCNNKIT_PICTURE_HOSTS";

/** Something that another attempt may cure; the whole picture is not given up for it. */
export class AwayError extends Error {
  override readonly name = "AwayError";
}

/**
 * Fetches and decodes a picture. Throws InputError where the address gives none, however often it is asked, or may not be asked; AwayError
 * where host or network do not answer.
 */
export async function readRemote(address: string): Promise<FilePicture> {
  for (let tried = 0; ; tried++) {
    try {
      return await decodePicture(await fetchBytes(address), address);
    } catch (error) {
      if (!(error instanceof AwayError) || tried === waits.length) throw error;
      await sleep(waits[tried]);
    }
  }
}

async function fetchBytes(address: string): Promise<Uint8Array> {
  if (/^s3:/i.test(address)) return fromS3(address);
  if (!URL.canParse(address)) throw new InputError(`${address}: this is no address`);
  const { host } = new URL(address);
  const allowed = process.env[hostsVariable]?.split(",").map((each) => each.trim());
  try {
    // Whoever named the address chose its host, which may well be a server at home.
    const rules = { hosts: allowed ?? [host], isPublic: () => true };
    return (await fetchPicture(address, rules, mostBytes, AbortSignal.timeout(patience))).bytes;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const isAway = error.status >= 502 && !/the host answered (?:4(?!08|29)|[123])/.test(error.message);
    throw isAway ? new AwayError(error.message) : new InputError(error.message, { cause: error });
  }
}

type S3 = typeof import("@aws-sdk/client-s3");
let client: Promise<{ s3: S3; client: InstanceType<S3["S3Client"]> }> | undefined;

/** Region, keys and endpoint are what the environment and the files of AWS's tools say. */
function s3Client() {
  client ??= import("@aws-sdk/client-s3").then(
    (s3) => ({
      s3,
      client: new s3.S3Client({ forcePathStyle: process.env.AWS_S3_FORCE_PATH_STYLE === "true" }),
    }),
    (cause) => {
      throw new UnsupportedError(
        "s3:// needs the package @aws-sdk/client-s3, which is not installed: npm install @aws-sdk/client-s3",
        { cause },
      );
    },
  );
  return client;
}

async function fromS3(address: string): Promise<Uint8Array> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/i.exec(address) ?? [];
  if (!bucket) throw new InputError(`${address}: expected s3://bucket/key`);
  const { s3, client } = await s3Client();
  try {
    const { Body, ContentLength = 0 } = await client.send(
      new s3.GetObjectCommand({ Bucket: bucket, Key: key }),
    );
    if (ContentLength > mostBytes) {
      throw new InputError(`${address}: ${ContentLength} bytes, expected at most ${mostBytes}`);
    }
    return (await Body?.transformToByteArray()) ?? new Uint8Array();
  } catch (error) {
    if (error instanceof InputError) throw error;
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    const status = $metadata?.httpStatusCode ?? 0;
    const text = `${address}: ${name}: ${message}`;
    if (status >= 400 && status < 500 && status !== 408 && status !== 429)
      throw new InputError(text, { cause: error });
    throw new AwayError(text, { cause: error });
  }
}
