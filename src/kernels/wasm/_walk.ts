/** The loop nest of kernels that visit every pixel and channel vector of a picture. */
import { i32 } from "../../wasm/expressions.ts";
import { addTo, type Func, forRange, type Local } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";

/** A picture that a walk steps over: base address, strides, and bytes of one channel vector. */
export interface WalkPointer {
  readonly base: Local;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly vectorBytes: number;
}

/**
 * For rows [begin, end), pixels [0, width) and channel vectors in steps of `step`: calls `body` with the addresses of each
 * pointer and the number of vectors to handle (`step`, and what is left).
 */
export function walk(
  f: Func,
  size: { width: number; vectors: number; step?: number },
  pointers: readonly WalkPointer[],
  body: (addresses: readonly Local[], vectors: number, y: Local, x: Local) => void,
  atPixel?: (y: Local, x: Local) => void,
): void {
  const y = temp(f, "walkY", "i32");
  const x = temp(f, "walkX", "i32");
  const addresses = pointers.map((_, i) => temp(f, `walkAt${i}`, "i32"));
  const step = size.step ?? 1;
  const forward = (vectors: number): void => {
    body(addresses, vectors, y, x);
    pointers.forEach((pointer, i) => addTo(f, addresses[i], vectors * pointer.vectorBytes));
  };
  forRange(f, y, f.params.begin, f.params.end, 1, () => {
    forRange(f, x, i32.of(0), i32.of(size.width), 1, () => {
      pointers.forEach((pointer, i) => {
        f.get(pointer.base);
        f.get(y);
        f.i32(pointer.rowBytes);
        f.op("i32.mul");
        f.op("i32.add");
        f.get(x);
        f.i32(pointer.pixelBytes);
        f.op("i32.mul");
        f.op("i32.add");
        f.set(addresses[i]);
      });
      atPixel?.(y, x);
      const blocks = Math.floor(size.vectors / step);
      if (blocks === 1) forward(step);
      else if (blocks > 1) {
        forRange(f, temp(f, "walkBlock", "i32"), i32.of(0), i32.of(blocks), 1, () => forward(step));
      }
      if (size.vectors % step > 0) forward(size.vectors % step);
    });
  });
}
