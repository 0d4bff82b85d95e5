/** Pictures by address: over HTTP, and from a server that speaks S3. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import S3rver from "s3rver";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { AwayError, readRemote } from "../../src/node/remote.ts";
import { png, put, run, temporaryFolder, tinyFiles } from "../cli/_run.ts";

const folder = temporaryFolder();
const picture = png(32, 24, (x) => x > 8);
let asked = 0;
const server = createServer((request, response) => {
  asked++;
  if (request.url === "/a.png") response.end(picture);
  else if (request.url === "/busy.png" && asked % 2) response.writeHead(503).end();
  else if (request.url === "/busy.png") response.end(picture);
  else if (request.url === "/away.png") response.writeHead(500).end();
  else response.writeHead(404).end();
});
let host = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

test("over HTTP: what is not there is the picture's fault, who does not answer is asked again", async () => {
  expect(await readRemote(`${host}/a.png`)).toMatchObject({ width: 32, height: 24 });
  await expect(readRemote(`${host}/missing.png`)).rejects.toThrow(/InputError|answered 404/);
  asked = 0;
  expect(await readRemote(`${host}/busy.png`)).toMatchObject({ width: 32 });
  await expect(readRemote(`${host}/away.png`)).rejects.toThrow(AwayError);
  vi.stubEnv("NCNNKIT_PICTURE_HOSTS", "example.org");
  await expect(readRemote(`${host}/a.png`)).rejects.toThrow(/not among the hosts/);
  vi.unstubAllEnvs();
});

test("detect takes addresses, alone and in a list", async () => {
  const model = put(folder, { "tiny.json": tinyFiles()["tiny.json"], ...tinyFiles() });
  writeFileSync(path.join(folder, "a.png"), picture);
  const local = await run("detect", model, path.join(folder, "a.png"));
  expect(local.out.split("\n").length).toBeGreaterThan(1);
  expect((await run("detect", model, `${host}/a.png`)).out).toBe(local.out);
});

test("from S3", async () => {
  const data = path.join(folder, "s3");
  mkdirSync(data);
  const s3rver = new S3rver({ port: 0, address: "127.0.0.1", silent: true, directory: data });
  const { port } = await s3rver.run();
  const credentials = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  try {
    await client.send(new CreateBucketCommand({ Bucket: "scans" }));
    await client.send(new PutObjectCommand({ Bucket: "scans", Key: "b/a.png", Body: picture }));
    vi.stubEnv("AWS_ENDPOINT_URL_S3", endpoint);
    vi.stubEnv("AWS_REGION", "us-east-1");
    vi.stubEnv("AWS_ACCESS_KEY_ID", credentials.accessKeyId);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", credentials.secretAccessKey);
    vi.stubEnv("AWS_S3_FORCE_PATH_STYLE", "true");
    expect(await readRemote("s3://scans/b/a.png")).toMatchObject({ width: 32, height: 24 });
    await expect(readRemote("s3://scans/b/none.png")).rejects.toThrow(/none\.png: NoSuchKey/);
    await expect(readRemote("s3://scans")).rejects.toThrow("expected s3://bucket/key");
    expect(readFileSync(path.join(folder, "a.png"))).toEqual(Buffer.from(picture));
  } finally {
    vi.unstubAllEnvs();
    client.destroy();
    await s3rver.close();
  }
});
