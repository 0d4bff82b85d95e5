/** Models that keep tensors in files of their own. */
import { InputError } from "../base/errors.ts";
import type { ExternalData } from "../formats/onnx/index.ts";
import type { Folder, NamedBytes } from "./source.ts";

/** Most files that a model may spread its tensors over. */
const maxExternalFiles = 256;

/**
 * Runs `read` again whenever a file turns out to be missing: reading is quick, and which files there are is told by the model.
 * Throws InputError when there is no such file in the folder.
 */
export async function readWithExternalFiles<T>(
  file: NamedBytes,
  folder: Folder,
  read: (external: ExternalData) => T,
): Promise<T> {
  const files = new Map<string, Uint8Array>();
  for (;;) {
    let wanted: string | undefined;
    const external = (name: string): Uint8Array => {
      const bytes = files.get(name);
      if (bytes) return bytes;
      wanted = name;
      throw new InputError(`${file.name}: its tensors are in ${folder.describe(name)}, which is missing`);
    };
    try {
      return read(external);
    } catch (error) {
      const isNew = wanted !== undefined && files.size < maxExternalFiles;
      const bytes = isNew ? await folder.read(wanted as string) : undefined;
      if (wanted === undefined || !bytes) throw error;
      files.set(wanted, bytes);
    }
  }
}
