/** The thread of pool.test.ts: does what it is told. */
import { threadId } from "node:worker_threads";
import { InputError } from "../../src/base/errors.ts";
import { answerCalls, Moved } from "../../src/node/pool.ts";

export interface Told {
  do:
    | "echo"
    | "move"
    | "sleep"
    | "throw"
    | "throw own"
    | "exit"
    | "crash"
    | "hang"
    | "function"
    | "never"
    | "id";
  value?: unknown;
}

answerCalls<{ fail?: string; base: number }, Told, unknown>(async ({ fail, base }) => {
  if (fail) throw new InputError(fail);
  return async (told) => {
    switch (told.do) {
      case "echo":
        return [base, told.value];
      case "move": {
        const bytes = told.value as Uint8Array<ArrayBuffer>;
        bytes[0] += 1;
        return new Moved(bytes, [bytes.buffer]);
      }
      case "sleep":
        await new Promise((resolve) => setTimeout(resolve, told.value as number));
        return told.value;
      case "throw":
        throw new TypeError("a defect");
      case "throw own":
        throw new InputError("a.jpg: no picture");
      case "exit":
        return process.exit(3);
      case "crash":
        setTimeout(() => {
          throw new Error("outside of the call");
        }, 0);
        return new Promise(() => {});
      case "hang":
        for (;;);
      case "function":
        return () => 1;
      case "never":
        return new Promise(() => {});
      case "id":
        return threadId;
    }
  };
});
