/**
 * The zip archive that torch.save writes (PyTorch 1.6 and later): entries are stored, the central directory is zip64.
 * Reads the central directory, never the local headers in sequence, and checks that the two agree.
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14–4.3.16, 4.5.3.
 *
 * What a hostile archive cannot do: make two entries share bytes or a name, claim more bytes than the file has, inflate
 * beyond `maxInflated`, or write anything anywhere (names are only looked up).
 */
import { inflateSync } from "fflate";
import { ByteReader } from "../../base/bytes.ts";
import { UnsupportedError } from "../../base/errors.ts";

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const endSize = 22;
const centralSize = 46;
const localSize = 30;
const maxCommentSize = 0xffff;
/** DEFLATE cannot expand more: 258 bytes from 2 bits. */
const maxDeflateRatio = 1032;

const utf8 = new TextDecoder();

const stored = 0;
const deflated = 8;

/** All deflated entries together may grow to this. torch stores; only re-zipped files are deflated at all. */
export function maxInflated(fileSize: number): number {
  return 64 * 2 ** 20 + 8 * fileSize;
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  /** File offset of the bytes as they are in the archive, and their number. */
  readonly dataOffset: number;
  readonly dataSize: number;
}

export class ZipArchive {
  private readonly reader: ByteReader;
  private readonly entries: ReadonlyMap<string, Entry>;

  /** Reads the directory. Throws FormatError, or UnsupportedError for encrypted entries and other compressions. */
  constructor(bytes: Uint8Array, what: string) {
    this.reader = new ByteReader(bytes, what);
    this.entries = readDirectory(bytes, what);
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }
  has(name: string): boolean {
    return this.entries.has(name);
  }
  /** Size of an entry's contents. */
  size(name: string): number {
    return this.entry(name).size;
  }
  private entry(name: string): Entry {
    return this.entries.get(name) ?? this.reader.fail(`the archive has no entry "${name}"`, 0);
  }
  /** The contents of an entry, checked against its CRC-32: a view of the file where it is stored, a copy where deflated. */
  read(name: string): Uint8Array {
    const entry = this.entry(name);
    const packed = this.reader.bytes.subarray(entry.dataOffset, entry.dataOffset + entry.dataSize);
    const contents = entry.method === stored ? packed : this.inflate(entry, packed);
    if (crc32(contents) !== entry.crc) {
      this.reader.fail(`entry "${name}" does not match its checksum: the file is damaged`, entry.dataOffset);
    }
    return contents;
  }
  private inflate(entry: Entry, packed: Uint8Array): Uint8Array {
    let result: Uint8Array;
    try {
      // One byte of room more than promised shows an entry that is longer.
      result = inflateSync(packed, { out: new Uint8Array(entry.size + 1) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return this.reader.fail(`entry "${entry.name}" cannot be inflated: ${reason}`, entry.dataOffset);
    }
    if (result.length !== entry.size) {
      this.reader.fail(
        `entry "${entry.name}" inflates to another length than the ${entry.size} bytes that the directory promises`,
        entry.dataOffset,
      );
    }
    return result;
  }
}

function readDirectory(bytes: Uint8Array, what: string): Map<string, Entry> {
  const directory = findDirectory(bytes, what);
  const { count, start } = directory;
  const reader = new ByteReader(bytes, what, start, start + directory.size);
  reader.payFor(count, centralSize, "number of archive entries");
  const local = new ByteReader(bytes, what, 0, start);
  const entries = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    const entry = readCentral(reader, local);
    if (entries.has(entry.name)) reader.fail(`the archive has two entries named "${entry.name}"`);
    entries.set(entry.name, entry);
  }
  if (reader.remaining) reader.fail(`${reader.remaining} bytes follow the last directory entry`);
  checkSpans(entries, reader);
  return entries;
}

/** Where the central directory is, from the end record and its zip64 extension. */
function findDirectory(bytes: Uint8Array, what: string): { count: number; size: number; start: number } {
  const reader = new ByteReader(bytes, what);
  const lowest = Math.max(0, bytes.length - endSize - maxCommentSize);
  let at = bytes.length - endSize;
  while (at >= lowest && !(u32At(bytes, at) === endSignature && isEndOfFile(bytes, at))) at--;
  if (at < lowest) {
    reader.fail(
      "the zip directory at the end of the file is missing: the file is cut off or damaged, copy or download it again",
      bytes.length,
    );
  }
  reader.offset = at + 4;
  const disk = reader.u16("disk number");
  reader.skip(4, "directory disk, entries on it");
  const found = {
    count: reader.u16("number of entries"),
    size: reader.u32("directory size"),
    start: reader.u32("directory offset"),
  };
  const locatorAt = at - 20;
  const is64 = locatorAt >= 0 && u32At(bytes, locatorAt) === locator64Signature;
  if (is64) readEnd64(reader, locatorAt, found);
  else if (disk !== 0) reader.fail("archives in several parts are not supported", at);
  if (found.start + found.size > at) {
    reader.fail(
      `the zip directory would be at ${found.start} to ${found.start + found.size}, behind its end record`,
      at,
    );
  }
  return found;
}

function readEnd64(
  reader: ByteReader,
  locatorAt: number,
  found: { count: number; size: number; start: number },
): void {
  reader.offset = locatorAt + 8;
  const at = reader.u64("offset of the zip64 end record");
  if (at > locatorAt - 56) reader.fail(`zip64 end record at ${at} does not fit before its locator`);
  reader.offset = at;
  if (reader.u32("zip64 end signature") !== end64Signature)
    reader.fail("zip64 end record has no signature", at);
  reader.skip(28, "zip64 end record");
  found.count = reader.u64("number of entries");
  found.size = reader.u64("directory size");
  found.start = reader.u64("directory offset");
}

/** Whether the end record at `at` reaches exactly to the end of the file with its comment. */
function isEndOfFile(bytes: Uint8Array, at: number): boolean {
  return at + endSize + (bytes[at + 20] | (bytes[at + 21] << 8)) === bytes.length;
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** One directory entry. `local` reads what lies before the directory. */
function readCentral(reader: ByteReader, local: ByteReader): Entry {
  const at = reader.offset;
  if (reader.u32("directory signature") !== centralSignature) {
    reader.fail("directory entry has no signature", at);
  }
  reader.skip(4, "versions");
  const flags = reader.u16("flags");
  const method = reader.u16("compression method");
  reader.skip(4, "time");
  const crc = reader.u32("checksum");
  const sizes = { packed: reader.u32("packed size"), size: reader.u32("size"), offset: 0 };
  const nameSize = reader.u16("name length");
  const extraSize = reader.u16("extra length");
  const commentSize = reader.u16("comment length");
  reader.skip(8, "disk, attributes");
  sizes.offset = reader.u32("local header offset");
  const rawName = reader.raw(nameSize, "entry name");
  const name = utf8.decode(rawName);
  readExtra64(reader, extraSize, sizes);
  reader.skip(commentSize, "comment");

  if (flags & 1) throw new UnsupportedError(`${reader.what}: entry "${name}" is encrypted`);
  if (method !== stored && method !== deflated) {
    throw new UnsupportedError(
      `${reader.what}: entry "${name}" has compression method ${method}, expected 0 (stored) or 8 (deflate)`,
    );
  }
  if (method === stored && sizes.packed !== sizes.size) {
    reader.fail(`entry "${name}" is stored in ${sizes.packed} bytes but ${sizes.size} long`, at);
  }
  if (method === deflated && sizes.size > sizes.packed * maxDeflateRatio) {
    reader.fail(`entry "${name}": ${sizes.packed} bytes cannot inflate to ${sizes.size}`, at);
  }
  const dataOffset = skipLocal(local, sizes.offset, rawName, name);
  if (sizes.packed > local.end - dataOffset) {
    reader.fail(
      `entry "${name}" needs ${sizes.packed} bytes at ${dataOffset}, the directory is at ${local.end}`,
      at,
    );
  }
  return { name, method, crc, size: sizes.size, dataOffset, dataSize: sizes.packed };
}

/**
 * Steps over the extra field of an entry. Replaces the sizes that are 0xffffffff by those of its zip64 part (id 1), which
 * has only these, in order.
 */
function readExtra64(
  reader: ByteReader,
  length: number,
  sizes: { packed: number; size: number; offset: number },
): void {
  const start = reader.offset;
  reader.skip(length, "extra field");
  const end = reader.offset;
  reader.offset = start;
  while (end - reader.offset >= 4) {
    const id = reader.u16("extra field id");
    const partEnd = reader.u16("extra field length") + reader.offset;
    if (partEnd > end) break; // padding that is no field
    for (const name of id === 1 ? (["size", "packed", "offset"] as const) : []) {
      if (sizes[name] === 0xffffffff && partEnd - reader.offset >= 8)
        sizes[name] = reader.u64(`zip64 ${name}`);
    }
    reader.offset = partEnd;
  }
  reader.offset = end;
}

/** The offset of an entry's data, behind its local header, which must carry the same name. */
function skipLocal(local: ByteReader, offset: number, rawName: Uint8Array, name: string): number {
  if (offset > local.end - localSize) {
    local.fail(`entry "${name}": local header at ${offset} is not before the directory`, offset);
  }
  local.offset = offset;
  if (local.u32("local header signature") !== localSignature) {
    local.fail(`entry "${name}" has no local header`, offset);
  }
  local.skip(22, "local header");
  const nameSize = local.u16("name length");
  const extraSize = local.u16("extra length");
  const localName = local.raw(nameSize, "entry name");
  if (nameSize !== rawName.length || localName.some((byte, i) => byte !== rawName[i])) {
    local.fail(`entry "${name}" has another name in its local header`, offset);
  }
  local.skip(extraSize, "extra field");
  return local.offset;
}

function checkSpans(entries: ReadonlyMap<string, Entry>, reader: ByteReader): void {
  const sorted = [...entries.values()].sort((a, b) => a.dataOffset - b.dataOffset);
  let inflatedTotal = 0;
  sorted.forEach((entry, i) => {
    const next = sorted[i + 1];
    if (next && entry.dataOffset + entry.dataSize + localSize > next.dataOffset) {
      reader.fail(`entries "${entry.name}" and "${next.name}" overlap`, next.dataOffset);
    }
    if (entry.method === deflated) inflatedTotal += entry.size;
  });
  const most = maxInflated(reader.bytes.length);
  if (inflatedTotal > most) {
    reader.fail(`the archive would inflate to ${inflatedTotal} bytes, more than the limit of ${most}`, 0);
  }
}

let crcTable: Uint32Array | undefined;

/** CRC-32 (IEEE 802.3, reflected polynomial 0xedb88320) as zip has it. */
export function crc32(bytes: Uint8Array): number {
  if (!crcTable) {
    crcTable = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      let c = i;
      for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
      crcTable[i] = c;
    }
  }
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
