/** The mask of a detection. */
import type { CandidateMask } from "../heads/candidates.ts";
import type { Box } from "./detection.ts";
import type { Transform } from "./letterbox.ts";
import { type Mask, maskFromBitmap } from "./mask.ts";
import { maskBitmap, maskParts } from "./mask-bitmap.ts";

/** The mask within `box`, which lies in the picture. It may be empty. */
export function maskAt(mask: CandidateMask, box: Box, transform: Transform): Mask {
  const { sourceWidth, sourceHeight } = transform;
  // The pixels whose left top corner lies in the box.
  const [x, y] = [Math.ceil(box.x), Math.ceil(box.y)];
  const part = { x, y, width: Math.ceil(box.x + box.width) - x, height: Math.ceil(box.y + box.height) - y };
  const bitmap = maskBitmap(mask, part, transform, maskParts);
  return maskFromBitmap(bitmap, { width: sourceWidth, height: sourceHeight }, part);
}
