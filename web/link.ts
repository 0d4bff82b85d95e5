/** The page's end of the worker: calls that are promises. */
import type { Calls, Kind, ReplyMessage } from "./protocol.ts";

/** An error that the worker told; `expected` for those of the library, which explain themselves. */
export class WorkerError extends Error {
  readonly expected: boolean;
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
    this.expected = /^(Format|Graph|Unsupported|Input|Usage)Error$/.test(name);
  }
}

interface Waiting {
  resolve(reply: unknown): void;
  reject(error: Error): void;
  progress?(value: unknown): void;
}

export class WorkerLink {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private calls = 0;
  private ended: Error | undefined;

  constructor() {
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "ncnnkit" });
    this.worker.onmessage = ({ data }: MessageEvent<ReplyMessage>) => this.take(data);
    this.worker.onerror = (event) => {
      const reason = event.message || "its script could not be loaded";
      this.close(new Error(`The worker stopped: ${reason}. Reload the page.`));
    };
  }

  call<K extends Kind>(
    kind: K,
    request: Calls[K]["request"],
    transfer: Transferable[] = [],
    progress?: (value: Calls[K]["progress"]) => void,
  ): Promise<Calls[K]["reply"]> {
    if (this.ended) return Promise.reject(this.ended);
    const call = ++this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, {
        resolve: (reply) => resolve(reply as Calls[K]["reply"]),
        reject,
        progress: (value) => progress?.(value as Calls[K]["progress"]),
      });
      this.worker.postMessage({ call, kind, request }, transfer);
    });
  }

  private take(message: ReplyMessage): void {
    const waiting = this.waiting.get(message.call);
    if (!waiting) return;
    if ("progress" in message) {
      waiting.progress?.(message.progress);
      return;
    }
    this.waiting.delete(message.call);
    if ("error" in message) waiting.reject(new WorkerError(message.error.name, message.error.message));
    else waiting.resolve(message.reply);
  }

  /** Ends the worker at once, whatever it is doing; open calls fail with `reason`. */
  close(reason: Error = new DOMException("cancelled", "AbortError")): void {
    this.ended ??= reason;
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }
}
