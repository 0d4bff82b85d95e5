/** Errors in files of a dataset. */
import { FormatError, UsageError } from "../index.ts";

/** What is wrong with a dataset's own words is a wrong use of it. */
export function inContext<T>(file: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}
