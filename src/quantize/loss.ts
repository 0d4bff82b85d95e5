/** How far the outputs of an int8 network are from those of the float one. */
import type { Blobs } from "../ir/tensor.ts";

/** How far outputs are from the float ones; 0 when equal, greater when worse. Sums over pictures. */
export type Loss = (float: Blobs, int8: Blobs) => number;

/** Squared error of all outputs over the energy of the float ones. */
export const relativeError: Loss = (float, int8) => {
  let error = 0;
  let energy = 0;
  for (const [blob, { data }] of Object.entries(float)) {
    const other = int8[blob].data;
    for (let i = 0; i < data.length; i++) {
      error += (data[i] - other[i]) ** 2;
      energy += data[i] ** 2;
    }
  }
  return energy > 0 ? error / energy : error;
};
