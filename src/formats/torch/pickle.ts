/**
 * A pickle machine for torch checkpoints, protocols 2 to 5. It moves data between a stack, a memo and containers; it
 * has no way to run anything: names that are not in `globals.ts` are refused where they are mentioned.
 * Source: CPython Lib/pickletools.py (opcode table) and Lib/pickle.py (`_Unpickler`), 3.12.
 *
 * Cost is linear: an opcode takes at least one byte and at most adds one value or moves values it popped; calls that
 * could multiply data (`_codecs.encode`, `OrderedDict(pairs)`) are kept as records or refused. Containers are counted.
 */
import { ByteReader } from "../../base/bytes.ts";
import { FormatError, UnsupportedError } from "../../base/errors.ts";
import { ArgumentError, findGlobal, type Global, refusal, storageFromId } from "./globals.ts";
import { describe, type PyDict, PyGlobal, PyObject, PySet, type PyValue } from "./values.ts";

/** Lists, tuples, dicts and objects; the largest YOLOv5 checkpoint has about a tenth. */
const maxContainers = 1_000_000;
const maxPickleBytes = 32 * 2 ** 20;
/** Values on the stack and in the memo. */
const maxValues = 2_000_000;
const maxOpenMarks = 1000;
const maxGlobalName = 200;
const maxLongBytes = 16;

interface Machine {
  readonly reader: ByteReader;
  stack: PyValue[];
  /** Stacks below the open MARKs. */
  readonly marks: PyValue[][];
  readonly memo: Map<number, PyValue>;
  readonly globals: Map<PyGlobal, Global>;
  containers: number;
  done: boolean;
  fail(message: string): never;
  refuse(message: string): never;
}

/** The value of a pickle. Throws FormatError for malformed data and UnsupportedError for what is not allowed. */
export function readPickle(bytes: Uint8Array, what: string): PyValue {
  if (bytes.length > maxPickleBytes) {
    throw new FormatError(`${what}: ${bytes.length} bytes of pickle, expected at most ${maxPickleBytes}`);
  }
  let at = 0;
  let mnemonic = "start";
  const machine: Machine = {
    reader: new ByteReader(bytes, what),
    stack: [],
    marks: [],
    memo: new Map(),
    globals: new Map(),
    containers: 0,
    done: false,
    fail: (message) => {
      throw new FormatError(`${what}: ${message} (opcode ${mnemonic}, byte ${at})`);
    },
    refuse: (message) => {
      throw new UnsupportedError(`${what}: ${message} (opcode ${mnemonic}, byte ${at})`);
    },
  };
  while (!machine.done) {
    at = machine.reader.offset;
    mnemonic = "?";
    const code = machine.reader.u8("pickle opcode");
    const opcode = opcodes.get(code);
    if (!opcode) machine.fail(`unknown opcode 0x${code.toString(16).padStart(2, "0")}`);
    mnemonic = opcode[0];
    opcode[1](machine);
  }
  if (machine.stack.length !== 1 || machine.marks.length) {
    machine.fail(`the pickle ends with ${machine.stack.length} values, expected 1`);
  }
  if (machine.reader.remaining)
    machine.fail(`${machine.reader.remaining} bytes follow the end of the pickle`);
  return machine.stack[0];
}

const push = (m: Machine, value: PyValue): void => {
  if (m.stack.length >= maxValues) m.fail(`more than ${maxValues} values on the stack`);
  m.stack.push(value);
};
const pushContainer = (m: Machine, value: PyValue): void => {
  if (++m.containers > maxContainers) m.fail(`more than ${maxContainers} lists, dicts and objects`);
  push(m, value);
};
const mark = (m: Machine): void => {
  if (m.marks.length >= maxOpenMarks) m.fail(`more than ${maxOpenMarks} open MARKs`);
  m.marks.push(m.stack);
  m.stack = [];
};
function pop(m: Machine): PyValue {
  const value = m.stack.pop();
  return value === undefined ? m.fail("the stack is empty") : value;
}
function top(m: Machine): PyValue {
  const value = m.stack.at(-1);
  return value === undefined ? m.fail("the stack is empty") : value;
}
/** The values above the last MARK, which is taken off. */
function popMark(m: Machine): PyValue[] {
  const items = m.stack;
  m.stack = m.marks.pop() ?? m.fail("no MARK is open");
  return items;
}
function popTuple(m: Machine, count: number): void {
  if (m.stack.length < count) m.fail(`${count} values expected, the stack has ${m.stack.length}`);
  pushContainer(m, m.stack.splice(m.stack.length - count));
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseUtf8 = new TextDecoder();

function text(m: Machine, length: number): PyValue {
  const raw = m.reader.raw(length, "string");
  try {
    return strictUtf8.decode(raw);
  } catch {
    return m.fail("string is not valid UTF-8");
  }
}
const bytesOf = (m: Machine, length: number): PyValue => m.reader.raw(length, "bytes");

function long(m: Machine, length: number): PyValue {
  if (length < 0 || length > maxLongBytes)
    m.fail(`integer of ${length} bytes, expected at most ${maxLongBytes}`);
  const raw = m.reader.raw(length, "integer");
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(raw[i]);
  value = BigInt.asIntN(8 * length, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Text up to a line feed, as GLOBAL has it. */
function line(m: Machine): string {
  const { bytes, offset, end } = m.reader;
  const stop = bytes.subarray(offset, Math.min(end, offset + maxGlobalName)).indexOf(10);
  if (stop < 0) m.fail(`name without an end within ${maxGlobalName} bytes`);
  const raw = m.reader.raw(stop, "name");
  m.reader.skip(1, "line feed");
  return looseUtf8.decode(raw);
}

function pushGlobal(m: Machine, module: PyValue, name: PyValue): void {
  if (typeof module !== "string" || typeof name !== "string") {
    m.fail(`global name is ${describe(module)} . ${describe(name)}, expected two strings`);
  }
  const found = findGlobal(module, name);
  if (!found) {
    const shown = JSON.stringify(`${module}.${name}`.slice(0, maxGlobalName)).slice(1, -1);
    m.refuse(refusal(module, shown));
  }
  const value = new PyGlobal(found.name);
  m.globals.set(value, found.global);
  pushContainer(m, value);
}

/** Runs a constructor of the allow-list, with the place added to its complaint. */
function guarded<T>(m: Machine, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof ArgumentError) m.fail(error.message);
    throw error;
  }
}

function reduce(m: Machine): void {
  const args = pop(m);
  const callee = pop(m);
  const global = callee instanceof PyGlobal ? m.globals.get(callee) : undefined;
  if (!(callee instanceof PyGlobal) || global?.kind !== "function") {
    m.refuse(`calling ${describe(callee)} is not allowed`);
  }
  if (!Array.isArray(args)) m.fail(`arguments are ${describe(args)}, expected a tuple`);
  pushContainer(
    m,
    guarded(m, () => global.call(args, callee.name)),
  );
}

function newObject(m: Machine): void {
  const args = pop(m);
  const cls = pop(m);
  if (!(cls instanceof PyGlobal) || m.globals.get(cls)?.kind !== "class") {
    m.refuse(`instantiating ${describe(cls)} is not allowed`);
  }
  pushContainer(m, new PyObject(cls.name, args));
}

/** Python would call `__setstate__` or update attributes; here the state is put beside the object. */
function build(m: Machine): void {
  const state = pop(m);
  const object = top(m);
  if (object instanceof PyObject) object.state = state;
  // An OrderedDict with attributes (`_metadata` of a state_dict): they are not needed.
  else if (!(object instanceof Map)) m.refuse(`setting the state of ${describe(object)} is not allowed`);
}

function persistentId(m: Machine): void {
  const id = pop(m);
  const type = Array.isArray(id) && id[1] instanceof PyGlobal ? id[1].name : undefined;
  pushContainer(
    m,
    guarded(m, () => storageFromId(id, type)),
  );
}

function listAt(m: Machine): PyValue[] {
  const list = top(m);
  return Array.isArray(list) ? list : m.fail(`appending to ${describe(list)}`);
}
function append(m: Machine, items: readonly PyValue[]): void {
  const list = listAt(m);
  for (const item of items) list.push(item);
}
function setItems(m: Machine, items: readonly PyValue[]): void {
  const dict = top(m);
  if (!(dict instanceof Map)) m.fail(`setting items of ${describe(dict)}`);
  if (items.length % 2) m.fail(`${items.length} keys and values, expected an even number`);
  for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
}
function dictOf(m: Machine, items: readonly PyValue[]): void {
  const dict: PyDict = new Map();
  pushContainer(m, dict);
  setItems(m, items);
}
function addItems(m: Machine, items: readonly PyValue[]): void {
  const set = top(m);
  if (!(set instanceof PySet)) m.fail(`adding to ${describe(set)}`);
  for (const item of items) set.items.push(item);
}

function get(m: Machine, index: number): void {
  const value = m.memo.get(index);
  push(m, value === undefined ? m.fail(`memo entry ${index} is not set`) : value);
}
function put(m: Machine, index: number): void {
  if (m.memo.size >= maxValues) m.fail(`more than ${maxValues} memo entries`);
  m.memo.set(index, top(m));
}

function protocol(m: Machine): void {
  const version = m.reader.u8("protocol");
  if (version < 2 || version > 5) m.refuse(`pickle protocol ${version}, expected 2 to 5`);
}
function frame(m: Machine): void {
  m.reader.payFor(m.reader.u64("frame length"), 1, "frame");
}
const refused =
  (what: string) =>
  (m: Machine): never =>
    m.refuse(`${what} is not allowed`);

/** Opcode → mnemonic and action; the protocol that introduced it in comments. */
const opcodes: ReadonlyMap<number, readonly [mnemonic: string, run: (m: Machine) => void]> = new Map([
  // Protocol 0 and 1, as far as protocol 2 writers use them.
  [0x28, ["MARK", mark]],
  [0x2e, ["STOP", stop]],
  [0x30, ["POP", (m: Machine) => void pop(m)]],
  [0x31, ["POP_MARK", (m: Machine) => void popMark(m)]],
  [0x32, ["DUP", (m: Machine) => push(m, top(m))]],
  [0x4e, ["NONE", (m: Machine) => push(m, null)]],
  [0x4a, ["BININT", (m: Machine) => push(m, m.reader.i32("integer"))]],
  [0x4b, ["BININT1", (m: Machine) => push(m, m.reader.u8("integer"))]],
  [0x4d, ["BININT2", (m: Machine) => push(m, m.reader.u16("integer"))]],
  [0x47, ["BINFLOAT", (m: Machine) => push(m, m.reader.f64("float", false))]],
  [0x58, ["BINUNICODE", (m: Machine) => push(m, text(m, m.reader.u32("string length")))]],
  [0x51, ["BINPERSID", persistentId]],
  [0x63, ["GLOBAL", (m: Machine) => pushGlobal(m, line(m), line(m))]],
  [0x52, ["REDUCE", reduce]],
  [0x62, ["BUILD", build]],
  [0x69, ["INST", refused("INST (protocol 0 instances)")]],
  [0x6f, ["OBJ", refused("OBJ (protocol 1 instances)")]],
  [0x5d, ["EMPTY_LIST", (m: Machine) => pushContainer(m, [])]],
  [0x6c, ["LIST", (m: Machine) => pushContainer(m, popMark(m))]],
  [0x61, ["APPEND", (m: Machine) => append(m, [pop(m)])]],
  [0x65, ["APPENDS", (m: Machine) => append(m, popMark(m))]],
  [0x29, ["EMPTY_TUPLE", (m: Machine) => pushContainer(m, [])]],
  [0x74, ["TUPLE", (m: Machine) => pushContainer(m, popMark(m))]],
  [0x7d, ["EMPTY_DICT", (m: Machine) => dictOf(m, [])]],
  [0x64, ["DICT", (m: Machine) => dictOf(m, popMark(m))]],
  [0x73, ["SETITEM", (m: Machine) => setItems(m, [pop(m), pop(m)].reverse())]],
  [0x75, ["SETITEMS", (m: Machine) => setItems(m, popMark(m))]],
  [0x68, ["BINGET", (m: Machine) => get(m, m.reader.u8("memo index"))]],
  [0x6a, ["LONG_BINGET", (m: Machine) => get(m, m.reader.u32("memo index"))]],
  [0x71, ["BINPUT", (m: Machine) => put(m, m.reader.u8("memo index"))]],
  [0x72, ["LONG_BINPUT", (m: Machine) => put(m, m.reader.u32("memo index"))]],
  // Protocol 2.
  [0x80, ["PROTO", protocol]],
  [0x81, ["NEWOBJ", newObject]],
  [0x82, ["EXT1", refused("the extension registry")]],
  [0x83, ["EXT2", refused("the extension registry")]],
  [0x84, ["EXT4", refused("the extension registry")]],
  [0x85, ["TUPLE1", (m: Machine) => popTuple(m, 1)]],
  [0x86, ["TUPLE2", (m: Machine) => popTuple(m, 2)]],
  [0x87, ["TUPLE3", (m: Machine) => popTuple(m, 3)]],
  [0x88, ["NEWTRUE", (m: Machine) => push(m, true)]],
  [0x89, ["NEWFALSE", (m: Machine) => push(m, false)]],
  [0x8a, ["LONG1", (m: Machine) => push(m, long(m, m.reader.u8("integer length")))]],
  [0x8b, ["LONG4", (m: Machine) => push(m, long(m, m.reader.i32("integer length")))]],
  // Protocol 3.
  [0x42, ["BINBYTES", (m: Machine) => push(m, bytesOf(m, m.reader.u32("bytes length")))]],
  [0x43, ["SHORT_BINBYTES", (m: Machine) => push(m, bytesOf(m, m.reader.u8("bytes length")))]],
  // Protocol 4.
  [0x8c, ["SHORT_BINUNICODE", (m: Machine) => push(m, text(m, m.reader.u8("string length")))]],
  [0x8d, ["BINUNICODE8", (m: Machine) => push(m, text(m, m.reader.u64("string length")))]],
  [0x8e, ["BINBYTES8", (m: Machine) => push(m, bytesOf(m, m.reader.u64("bytes length")))]],
  [0x8f, ["EMPTY_SET", (m: Machine) => pushContainer(m, new PySet([]))]],
  [0x90, ["ADDITEMS", (m: Machine) => addItems(m, popMark(m))]],
  [0x91, ["FROZENSET", (m: Machine) => pushContainer(m, new PySet(popMark(m)))]],
  [0x92, ["NEWOBJ_EX", refused("NEWOBJ_EX (keyword arguments)")]],
  [0x93, ["STACK_GLOBAL", stackGlobal]],
  [0x94, ["MEMOIZE", (m: Machine) => put(m, m.memo.size)]],
  [0x95, ["FRAME", frame]],
  // Protocol 5.
  [0x96, ["BYTEARRAY8", (m: Machine) => push(m, bytesOf(m, m.reader.u64("bytes length")))]],
  [0x97, ["NEXT_BUFFER", refused("an out-of-band buffer")]],
  [0x98, ["READONLY_BUFFER", refused("an out-of-band buffer")]],
]);

function stop(m: Machine): void {
  m.done = true;
}
function stackGlobal(m: Machine): void {
  const name = pop(m);
  pushGlobal(m, pop(m), name);
}
