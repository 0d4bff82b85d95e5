/**
 * Cast: between element types. Blobs hold float32 or int8 here, so a cast to float16 or bfloat16 rounds to what these
 * can hold.
 */
import { UnsupportedError } from "../base/errors.ts";
import { bitsToF32, f32ToBits, fp16ToNumber, numberToFp16 } from "../base/fp16.ts";
import { defineOp, int } from "../ir/op.ts";

const castTypes = { auto: 0, float32: 1, float16: 2, int8: 3, bfloat16: 4 } as const;

export const cast = defineOp({
  type: "Cast",
  typeIndex: 64,
  int8Inputs: true,
  params: { type_from: int(0), type_to: int(1) },
  shape: ([input], { type_from, type_to }) => {
    if (type_to === castTypes.int8 && type_from !== castTypes.int8) {
      throw new UnsupportedError("Cast to int8 (1=3) is not supported: use Quantize, which has a scale");
    }
    return [input];
  },
  reference: ([{ shape, data }], { type_to }) => {
    if (type_to === castTypes.auto || type_to === castTypes.int8) return [{ shape, data }];
    const round =
      type_to === castTypes.float16
        ? (x: number) => fp16ToNumber(numberToFp16(x))
        : type_to === castTypes.bfloat16
          ? (x: number) => bitsToF32(f32ToBits(x) & 0xffff0000)
          : (x: number) => x;
    return [{ shape, data: Float32Array.from(data, (x) => round(x)) }];
  },
});
