/** `--wide-vectors`, of every command that computes: decided before the command runs, since V8's switch is one for the process. */
import { UnsupportedError, wideVectors } from "../node.ts";
import { enableWideVectors } from "../steps.ts";
import type { Terminal } from "./terminal.ts";

/** Switches them on as `when` says; undefined, of commands without the option, leaves them off. */
export async function chooseWideVectors(when: unknown, terminal: Terminal): Promise<void> {
  if (when === undefined || when === "off") return;
  if (when === "auto") {
    const { use } = await wideVectors(() => terminal.err("trying 256-bit vectors, once on this machine…\n"));
    if (!use) return;
  }
  if (!enableWideVectors()) throw new UnsupportedError("--wide-vectors: this runtime has no switch for them");
}
