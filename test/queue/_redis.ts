/** A Redis server of the tests' own: Debian's, on a loopback port that is free; nothing where it is not installed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasRedis) console.warn("no redis-server here: tests of the queue are skipped");

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Keeps what it has in its folder by an append-only file, so that a restart loses nothing that was answered. */
export class Redis {
  readonly address: string;
  private readonly port: number;
  private readonly folder: string;
  private server: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
    this.address = `redis://127.0.0.1:${port}`;
  }

  static async start(folder: string): Promise<Redis> {
    const redis = new Redis(await freePort(), folder);
    await redis.begin();
    return redis;
  }

  private async begin(): Promise<void> {
    const options = ["--bind", "127.0.0.1", "--dir", this.folder, "--save", "", "--appendonly", "yes"];
    const args = ["--port", String(this.port), ...options, "--appendfsync", "always"];
    this.server = spawn("redis-server", args, { stdio: "ignore" });
    for (;;) {
      const isUp = await new Promise<boolean>((resolve) => {
        const socket = net
          .connect(this.port, "127.0.0.1", () => resolve(true))
          .on("error", () => resolve(false));
        socket.unref();
        setTimeout(() => socket.destroy(), 500).unref();
      });
      if (isUp) return;
      await sleep(50);
    }
  }

  async restart(): Promise<void> {
    await this.stop("SIGKILL");
    await this.begin();
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { server } = this;
    if (!server || server.exitCode !== null) return;
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill(signal);
    await gone;
  }
}

const child = path.resolve(import.meta.dirname, "_child.ts");
const hooks = path.resolve(import.meta.dirname, "../_typescript.mjs");

/** A command of ncnnkit in a process of its own. */
export class Command {
  out = "";
  err = "";
  readonly process: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals>;

  constructor(...args: readonly string[]) {
    const wide = ["--import", hooks, child, ...args];
    this.process = spawn(process.execPath, wide, { stdio: ["ignore", "pipe", "pipe"], env: process.env });
    this.process.stdout?.on("data", (data) => {
      this.out += data;
    });
    this.process.stderr?.on("data", (data) => {
      this.err += data;
    });
    this.ended = new Promise((resolve) => {
      this.process.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
    });
  }

  /** Once it has said that on stderr. */
  async says(text: string): Promise<void> {
    while (!this.err.includes(text)) {
      if (this.process.exitCode !== null) throw new Error(`it ended: ${this.err}`);
      await sleep(50);
    }
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.process.kill(signal);
    await this.ended;
  }
}
