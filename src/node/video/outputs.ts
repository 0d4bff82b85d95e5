/** Files that grow while a video is read, under a temporary name until it is done. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import path from "node:path";
import { fileError } from "../files.ts";
import { followed, temporaryName } from "../write.ts";

/** Characters that are gathered before they are written. */
const gathered = 2 ** 16;

export class GrowingFile {
  readonly file: string;
  /** Where it is until it is done, for programs that write it themselves. */
  readonly temporary: string;
  private handle: number | undefined;
  private waiting: string[] = [];
  private length = 0;

  /** The folder has to exist. */
  constructor(file: string) {
    this.file = file;
    this.temporary = path.join(path.dirname(followed(file)), temporaryName());
  }

  /** Throws InputError where it cannot be written. */
  write(text: string): void {
    this.waiting.push(text);
    this.length += text.length;
    if (this.length >= gathered) this.flush();
  }

  private flush(): void {
    try {
      this.handle ??= openSync(this.temporary, "w");
      writeSync(this.handle, this.waiting.join(""));
    } catch (error) {
      throw fileError("write", this.file, error);
    }
    [this.waiting, this.length] = [[], 0];
  }

  /** Gives it its name. */
  finish(): void {
    this.flush();
    this.close();
    this.rename();
  }

  /** The same for what another program wrote. */
  rename(): void {
    try {
      renameSync(this.temporary, followed(this.file));
    } catch (error) {
      throw fileError("write", this.file, error);
    }
  }

  private close(): void {
    if (this.handle !== undefined) closeSync(this.handle);
    this.handle = undefined;
  }

  /** Nothing of it stays. */
  discard(): void {
    this.close();
    rmSync(this.temporary, { force: true });
  }
}
