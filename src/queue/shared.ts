/**
 * The folder that coordinator and workers share: content under its digest, and which shard gave what. Everything appears whole or not at
 * all, and what is not what its name says is as if it were not there. What is of one shard or batch lies in one folder, so that all of it
 * can be forgotten, also what a process left that was killed before it could say so.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { deserialize, serialize } from "node:v8";
import { deflateRaw, inflateRaw } from "node:zlib";

const pack = promisify(deflateRaw);
const unpack = promisify(inflateRaw);
const mostTries = 5;

export class SharedFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = path.resolve(root);
  }

  /** The folder of a job by its id, or a file in one by its name, `id/…`. */
  private place(name: string): string {
    return path.join(this.root, ".ncnnkit", name.slice(0, 2), name);
  }

  private async write(file: string, bytes: Uint8Array | string): Promise<void> {
    const temporary = `${file}.${randomUUID()}`;
    for (let tried = 1; ; tried++) {
      try {
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(temporary, bytes, { flush: true });
        return await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        // The folder was forgotten at that moment.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tried === mostTries) throw error;
      }
    }
  }

  /** Keeps plain data in the folder of the job `of`; the result is its name for all who ask for it. */
  async put(value: unknown, of: string): Promise<string> {
    const bytes = await pack(serialize(value), { level: 1 });
    const name = `${of}/${createHash("sha256").update(bytes).digest("hex")}`;
    await this.write(this.place(name), bytes);
    return name;
  }

  /** What was put. Throws where it is missing or broken: it may be there a moment later, on a folder over the network. */
  async get<T>(name: string): Promise<T> {
    const file = this.place(name);
    const bytes = await readFile(file);
    if (createHash("sha256").update(bytes).digest("hex") !== path.basename(file)) {
      throw new Error(`${file} is broken: its content has another digest`);
    }
    return deserialize(await unpack(bytes)) as T;
  }

  async has(name: string): Promise<boolean> {
    const there = await stat(this.place(name)).catch(() => undefined);
    return there !== undefined;
  }

  /** Says what came of a shard or batch. */
  async finish(id: string, done: unknown): Promise<void> {
    await this.write(this.place(`${id}/result`), JSON.stringify(done));
  }

  /** What came of it; undefined where that is not known. */
  async finished<T>(id: string): Promise<T | undefined> {
    const text = await readFile(this.place(`${id}/result`), "utf8").catch(() => "");
    try {
      return text ? (JSON.parse(text) as T) : undefined;
    } catch {
      return undefined;
    }
  }

  /** All of the jobs with these ids, and contents by their names. What somebody is writing to stays, which is no reason to stop. */
  async forget(...names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.place(name), { recursive: true, force: true }).catch(() => {});
  }
}
