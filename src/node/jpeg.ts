/** What sharp does not tell or does not do of JPEG files. */

/** Markers without a length: a fill byte, restarts, the start and the end of a picture. */
const isBare = (marker: number): boolean =>
  marker === 0xff || marker === 1 || (marker >= 0xd0 && marker <= 0xd9);
const startOfScan = 0xda;
const endOfImage = 0xd9;

/** Whether anything follows the header of the first scan: without it a decoder makes up all pixels. */
export function hasScanData(bytes: Uint8Array): boolean {
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || isBare(marker)) {
      at++;
      continue;
    }
    const end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (marker === startOfScan) return end < bytes.length && !(bytes[end] === 0xff && bytes[end + 1] !== 0);
    at = end;
  }
  return false;
}

/** Whether a marker of the end follows the first scan's header, wherever. */
export function hasEnd(bytes: Uint8Array): boolean {
  for (let at = bytes.length - 2; at >= 0; at--) {
    if (bytes[at] !== 0xff) continue;
    if (bytes[at + 1] === endOfImage) return true;
    if (bytes[at + 1] === startOfScan) return false;
  }
  return false;
}

/**
 * Inks (0 to 255, 255 is full) of a four-colour JPEG to RGB with OpenCV's rounding. Every such file is taken to be stored
 * inverted, as Adobe does, whether it says so or not: sharp and OpenCV both do.
 */
export function jpegInksToRgb(inks: Uint8Array | Uint16Array): Uint8Array {
  const out = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const light = 255 - inks[from + 3];
    for (let c = 0; c < 3; c++) out[to++] = light - ((inks[from + c] * light) >> 8);
  }
  return out;
}
