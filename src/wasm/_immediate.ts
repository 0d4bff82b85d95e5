/** What stands behind an instruction's opcode: alignment and offset, lanes, constants. */
import type { ByteWriter } from "../base/bytes.ts";
import type { OperandStack } from "./_stack.ts";
import { writeUnsigned } from "./leb128.ts";
import type { Immediate, Instruction } from "./opcodes.ts";
import { writeConstant } from "./types.ts";

/** Writes the immediates of an instruction; what is wrong with them is told by `stack`. */
export function writeImmediate(
  code: ByteWriter,
  row: Instruction,
  immediate: Immediate = {},
  stack: OperandStack,
): void {
  if (row.accessLog2 >= 0) writeMemoryAt(code, row, immediate, stack);
  if (row.laneCount > 0) writeLane(code, row, immediate.lane, row.laneCount, stack);
  if (row.shuffle) writeShuffle(code, row, immediate.lanes, stack);
  if (row.constant) {
    try {
      writeConstant(code, row.constant, immediate.value as number | bigint | Uint8Array);
    } catch (error) {
      stack.fail(`${row.constant}.const: ${(error as Error).message}`);
    }
  }
  for (let i = 0; i < row.zeros; i++) code.u8(0);
}

/** Whether it reads or writes memory, or asks for its size. */
export const accessesMemory = ({ accessLog2, zeros, atomic }: Instruction): boolean =>
  accessLog2 >= 0 || (zeros > 0 && !atomic);

function writeMemoryAt(
  code: ByteWriter,
  row: Instruction,
  { offset = 0, align = row.accessLog2 }: Immediate,
  stack: OperandStack,
): void {
  if (!Number.isInteger(align) || align < 0 || align > row.accessLog2) {
    stack.fail(`${row.name}: align ${align} is log2 of bytes, at most ${row.accessLog2}`);
  }
  if (row.atomic && align !== row.accessLog2) stack.fail(`${row.name}: align must be ${row.accessLog2}`);
  if (!(offset >= 0 && offset <= 0xffffffff && Number.isInteger(offset))) {
    stack.fail(`${row.name}: offset ${offset} is not an unsigned 32-bit number`);
  }
  code.u8(align);
  writeUnsigned(code, offset);
}

function writeLane(
  code: ByteWriter,
  row: Instruction,
  lane: number | undefined,
  count: number,
  stack: OperandStack,
): void {
  if (lane === undefined || !Number.isInteger(lane) || lane < 0 || lane >= count) {
    stack.fail(`${row.name}: lane ${lane} is not in 0..${count - 1}`);
  }
  code.u8(lane);
}

function writeShuffle(
  code: ByteWriter,
  row: Instruction,
  lanes: ArrayLike<number> | undefined,
  stack: OperandStack,
): void {
  if (lanes?.length !== 16) stack.fail(`${row.name}: expects 16 lanes, found ${lanes?.length}`);
  for (let i = 0; i < 16; i++) writeLane(code, row, lanes[i], 32, stack);
}
