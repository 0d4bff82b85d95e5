/** What a stage of a deployment is. */
import type { Job } from "./job.ts";

export interface Stage {
  readonly name: string;
  /** Reads what earlier stages have left in the job, and leaves its own there. */
  run(job: Job): Promise<void>;
}
