/** Detections as the page shows them. */
import type { Detection } from "../src/index.ts";
import { distinctColors } from "../src/steps.ts";
import type { ShownBox } from "./protocol.ts";

/** Each with the colour that it is shown in. */
export function coloured(found: readonly Detection[]): ShownBox[] {
  const colors = distinctColors(found);
  return found.map((each, i) => ({ ...each, color: `rgb(${colors[i].join(" ")})` }));
}
