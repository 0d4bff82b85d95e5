/**
 * Observations as bytes, so that calibration can be spread over processes and machines: each observes its share of the
 * pictures, and merging the files gives the very result of one run. Little-endian: magic, version, note, then per blob its
 * name, range, counts, channel maxima and the bins up to the last one in use, gaps run-length coded.
 */
import { expectKind } from "../base/arguments.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { FormatError } from "../base/errors.ts";
import { BlobObservation, binCount, type Observations } from "./observe.ts";

const magic = 0x6f6b636e; // "ncko"
const version = 1;

/** The observations of one shard of the pictures. */
export interface PartialCalibration {
  /** Says how the pictures were prepared and which model saw them; partials with different notes do not merge. */
  note: string;
  observations: Observations;
}

/** The bytes of a shard's observations. */
export function writePartial(partial: PartialCalibration): Uint8Array {
  expectKind("writePartial: partial", partial, "an object");
  expectKind("writePartial: partial.note", partial.note, "a string");
  expectKind("writePartial: partial.observations", partial.observations, "a map");
  const { note, observations } = partial;
  const writer = new ByteWriter().u32(magic).u32(version);
  writeText(writer, note);
  writer.u32(observations.size);
  for (const [blob, observation] of observations) {
    writeText(writer, blob);
    writeObservation(writer, observation);
  }
  return writer.finish();
}

function writeText(writer: ByteWriter, text: string): void {
  const bytes = new TextEncoder().encode(text);
  writer.u32(bytes.length).raw(bytes);
}

function writeU64(writer: ByteWriter, value: number): void {
  writer.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32));
}

function writeObservation(writer: ByteWriter, observation: BlobObservation): void {
  writer.f32(observation.min).f32(observation.max).f32(observation.binWidth);
  for (const value of [observation.images, observation.count, observation.zeros, observation.elements]) {
    writeU64(writer, value);
  }
  const channels = observation.channelMax ?? new Float32Array(0);
  writer.u32(channels.length).array(channels);
  const runs = usedRuns(observation.bins);
  writer.u32(runs.length);
  for (const [start, end] of runs) {
    writer.u32(start).u32(end - start);
    for (let i = start; i < end; i++) writeU64(writer, observation.bins[i]);
  }
}

/** Ranges [start, end) of bins that are not empty. */
function usedRuns(bins: ArrayLike<number>): [number, number][] {
  const runs: [number, number][] = [];
  for (let i = 0; i < bins.length; i++) {
    if (bins[i] === 0) continue;
    const last = runs[runs.length - 1];
    if (last?.[1] === i) last[1] = i + 1;
    else runs.push([i, i + 1]);
  }
  return runs;
}

/** Reads a partial. Throws FormatError. */
export function readPartial(bytes: Uint8Array, where = "partial"): PartialCalibration {
  expectKind("readPartial: bytes", bytes, "bytes (a Uint8Array)");
  const reader: ByteReader = new ByteReader(bytes, where);
  if (bytes.length < 8 || reader.u32("magic") !== magic) {
    throw new FormatError(`${where}: not a partial calibration; make one with calibrate --shard`);
  }
  const found = reader.u32("version");
  if (found !== version) reader.fail(`version ${found}, expected ${version}`);
  const note = readText(reader, "note");
  const blobs = reader.payFor(reader.u32("blob count"), 60, "blob count");
  const observations: Observations = new Map();
  for (let i = 0; i < blobs; i++) {
    const blob = readText(reader, "blob name");
    observations.set(blob, readObservation(reader, blob));
  }
  if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes are left after the last blob`);
  return { note, observations };
}

function readText(reader: ByteReader, field: string): string {
  return new TextDecoder().decode(reader.raw(reader.u32(`length of ${field}`), field));
}

function readObservation(reader: ByteReader, blob: string): BlobObservation {
  const out = new BlobObservation();
  out.min = reader.f32(`minimum of ${blob}`);
  out.max = reader.f32(`maximum of ${blob}`);
  const width = reader.f32(`bin width of ${blob}`);
  if (!(width >= out.binWidth && width <= 2 ** 100 && Number.isInteger(Math.log2(width)))) {
    reader.fail(`bin width ${width} of ${blob}, expected a power of two`);
  }
  out.binWidth = width;
  out.isEmpty = false;
  out.images = reader.u64(`pictures of ${blob}`);
  out.reserve(reader.u64(`values of ${blob}`));
  out.zeros = reader.u64(`zeros of ${blob}`);
  out.elements = reader.u64(`elements of ${blob}`);
  if (!(out.min <= out.max && Number.isFinite(out.max - out.min)) || out.images < 1 || out.count < 1) {
    reader.fail(`${blob} has range ${out.min} to ${out.max} over ${out.count} values`);
  }
  const channels = reader.payFor(reader.u32(`channels of ${blob}`), 4, `channels of ${blob}`);
  out.channelMax = reader.f32Array(channels, `channel maxima of ${blob}`);
  const runs = reader.payFor(reader.u32(`runs of ${blob}`), 16, `runs of ${blob}`);
  let counted = out.zeros;
  for (let r = 0; r < runs; r++) {
    const start = reader.u32("run start");
    const length = reader.u32("run length");
    if (start + length > binCount) reader.fail(`bins ${start} to ${start + length} of ${binCount}`);
    for (let i = start; i < start + length; i++) {
      out.bins[i] = reader.u64("bin");
      counted += out.bins[i];
    }
  }
  if (counted !== out.count)
    reader.fail(`the bins of ${blob} hold ${counted} values, declared are ${out.count}`);
  return out;
}
