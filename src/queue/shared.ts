/**
 * The folder that coordinator and workers share: content under its digest, and which shard gave what. Everything appears whole or not at
 * all, and what is not what its name says is as if it were not there.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { deserialize, serialize } from "node:v8";
import { deflateRaw, inflateRaw } from "node:zlib";

const pack = promisify(deflateRaw);
const unpack = promisify(inflateRaw);

export class SharedFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = path.resolve(root);
  }

  private place(kind: "content" | "results", name: string): string {
    return path.join(this.root, ".ncnnkit", kind, name.slice(0, 2), name);
  }

  private async write(file: string, bytes: Uint8Array | string): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID()}`;
    try {
      await writeFile(temporary, bytes, { flush: true });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Keeps plain data of the job `of`, so that none is forgotten with that of another; the result is its digest. */
  async put(value: unknown, of: string): Promise<string> {
    const bytes = await pack(serialize({ of, value }), { level: 1 });
    const digest = createHash("sha256").update(bytes).digest("hex");
    await this.write(this.place("content", digest), bytes);
    return digest;
  }

  /** What was put. Throws where it is missing or broken: it may be there a moment later, on a folder over the network. */
  async get<T>(digest: string): Promise<T> {
    const bytes = await readFile(this.place("content", digest));
    if (createHash("sha256").update(bytes).digest("hex") !== digest) {
      throw new Error(`${this.place("content", digest)} is broken: its content has another digest`);
    }
    return (deserialize(await unpack(bytes)) as { value: T }).value;
  }

  async has(digest: string): Promise<boolean> {
    const there = await stat(this.place("content", digest)).catch(() => undefined);
    return there !== undefined;
  }

  /** Says what came of a shard or batch. */
  async finish(id: string, done: unknown): Promise<void> {
    await this.write(this.place("results", id), JSON.stringify(done));
  }

  /** What came of it; undefined where that is not known. */
  async finished<T>(id: string): Promise<T | undefined> {
    const text = await readFile(this.place("results", id), "utf8").catch(() => "");
    try {
      return text ? (JSON.parse(text) as T) : undefined;
    } catch {
      return undefined;
    }
  }

  async forget({
    contents = [],
    results = [],
  }: {
    contents?: readonly string[];
    results?: readonly string[];
  }): Promise<void> {
    const files = [
      ...contents.map((digest) => this.place("content", digest)),
      ...results.map((id) => this.place("results", id)),
    ];
    for (const file of files) await rm(file, { force: true });
  }
}
