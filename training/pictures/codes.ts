/** Printed codes as modules: random contents of every symbology, encoded by bwip-js. */
import bwip from "bwip-js/generic";
import type { Random } from "../../src/base/random.ts";
import { kindsOfSplit, type PayloadKind, type Split } from "./split.ts";

/** Class numbers are positions in this list. */
export const codeClasses = ["QR", "Data Matrix", "Aztec", "PDF417", "barcode"] as const;

/** A code without quiet zone. */
export interface Code {
  /** Position in `codeClasses`. */
  class: number;
  columns: number;
  rows: number;
  /** Height of a row relative to the width of a column. */
  rowHeight: number;
  /** `[rows, columns]`, 1 is dark. A linear code has one row. */
  modules: Uint8Array;
  /** Linear codes: bars of any height; the caption that is printed under them; columns of longer guard bars. */
  linear?: { caption: string; guards?: readonly (readonly [number, number])[] };
}

type Encoder = (random: Random, split: Split) => Code;

/** One random code of the class. */
export function randomCode(random: Random, split: Split, classNumber: number): Code {
  // A content that a small format cannot hold is drawn again.
  for (let attempt = 0; ; attempt++) {
    try {
      return encoders[classNumber](random, split);
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

const encoders: readonly Encoder[] = [
  (random, split) => {
    const small = random.next() < 0.06;
    const text = small ? characters(random, digits, random.int(1, 8)) : payload(random, split, 1, 220);
    const options = small ? {} : { eclevel: random.pick(["L", "M", "M", "Q", "H"]), mask: random.int(1, 8) };
    return matrix(0, small ? "microqrcode" : "qrcode", text, options);
  },
  (random, split) =>
    random.next() < 0.12
      ? matrix(1, "datamatrix", characters(random, digits + letters, random.int(3, 20)), {
          format: "rectangle",
        })
      : matrix(1, "datamatrix", payload(random, split, 1, 160), {}),
  (random, split) =>
    matrix(2, "azteccode", payload(random, split, 1, 160), {
      eclevel: random.pick([23, 23, 33, 50]),
    }),
  (random, split) =>
    matrix(3, "pdf417", payload(random, split, 4, 150), {
      columns: random.int(1, 8),
      eclevel: random.int(1, 4),
      rowmult: random.pick([2, 3, 3, 4]),
      compact: random.next() < 0.1,
    }),
  (random) => random.pick(linearCodes)(random),
];

const digits = "0123456789";
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

function characters(random: Random, set: string, count: number): string {
  let text = "";
  for (let i = 0; i < count; i++) text += set[random.int(0, set.length - 1)];
  return text;
}

const words =
  "ship box north lot part case gate order seat line parcel return fresh date unit code fragile keep dry".split(
    " ",
  );

const payloads: Record<PayloadKind, (random: Random, length: number) => string> = {
  address: (random, length) =>
    `https://${random.pick(words)}.example/${characters(random, digits + letters.toLowerCase(), length)}`,
  digits: (random, length) => characters(random, digits, length),
  words: (random, length) =>
    Array.from({ length: Math.ceil(length / 5) }, () => random.pick(words)).join(" "),
  contact: (random, length) =>
    `BEGIN:VCARD\nN:${random.pick(words)};${random.pick(words)}\nTEL:+${characters(random, digits, 11)}\nNOTE:${characters(random, letters, length)}\nEND:VCARD`,
  network: (random, length) =>
    `WIFI:T:WPA;S:${random.pick(words)};P:${characters(random, letters + digits, length)};;`,
  position: (random, length) =>
    `geo:${random.uniform(-80, 80).toFixed(5)},${random.uniform(-180, 180).toFixed(5)}?q=${characters(random, letters, length)}`,
  hexadecimal: (random, length) => characters(random, "0123456789abcdef", length),
  mail: (random, length) =>
    `MATMSG:TO:${random.pick(words)}@mail.example;BODY:${characters(random, letters, length)};;`,
  serial: (random, length) =>
    `${random.pick(letters.split(""))}-${characters(random, digits + letters, length)}`,
};

/** Lengths are spread evenly in the logarithm. */
function payload(random: Random, split: Split, least: number, most: number): string {
  const length = Math.round(least * (most / least) ** random.next());
  return payloads[random.pick<PayloadKind>(kindsOfSplit[split].payloads)](random, length);
}

interface Pixels {
  pixs: number[];
  pixx: number;
  pixy: number;
}

function matrix(classNumber: number, bcid: string, text: string, options: Record<string, unknown>): Code {
  const [found] = bwip.raw(bcid, text, optionText(options));
  const { pixs, pixx, pixy } = found as unknown as Pixels;
  // PDF417's rows are given once each, though they are several modules high.
  const rows = pixs.length / pixx;
  return { class: classNumber, columns: pixx, rows, rowHeight: pixy / rows, modules: Uint8Array.from(pixs) };
}

const optionText = (options: Record<string, unknown>) =>
  Object.entries(options)
    .filter(([, value]) => value !== false)
    .map(([name, value]) => (value === true ? name : `${name}=${value}`))
    .join(" ");

/** Bars and spaces in turn, from the first bar to the last one: light guards of GS1 DataBar are cut off. */
function bars(bcid: string, text: string, caption: string, guards?: [number, number][]): Code {
  const [found] = bwip.raw(bcid, text, "");
  if (!("sbs" in found)) throw new Error(`${bcid} is not linear`);
  const widths = [...found.sbs];
  if (widths[0] === 0) widths.splice(0, 2);
  if (widths.length % 2 === 0) widths.pop();
  const modules = Uint8Array.from(widths.flatMap((width, i) => Array<number>(width).fill(1 - (i % 2))));
  return { class: 4, columns: modules.length, rows: 1, rowHeight: 1, modules, linear: { caption, guards } };
}

const ean13 = retail("ean13", 12, [0, 3], [45, 50], [92, 95]);

const linearCodes: readonly ((random: Random) => Code)[] = [
  (random) => {
    const text =
      random.next() < 0.4
        ? characters(random, digits, 2 * random.int(2, 9))
        : characters(random, letters + digits, random.int(3, 14));
    return bars("code128", text, text);
  },
  (random) => {
    const text = characters(random, digits, 2 * random.int(4, 11));
    return bars("code128", text, text);
  },
  (random) => {
    const text = characters(random, letters + digits, random.int(3, 9));
    return bars("code39", text, `*${text}*`);
  },
  ean13,
  ean13,
  retail("ean8", 7, [0, 3], [31, 36], [64, 67]),
  retail("upca", 11, [0, 10], [45, 50], [85, 95]),
  (random) => {
    const text = characters(random, digits, 2 * random.int(2, 8));
    return bars("interleaved2of5", text, text);
  },
  (random) => {
    const text = `A${characters(random, digits, random.int(3, 10))}B`;
    return bars("rationalizedCodabar", text, text);
  },
  (random) => {
    const text = characters(random, letters + digits, random.int(3, 12));
    return bars("code93", text, text);
  },
  (random) => {
    const body = characters(random, digits, 12);
    const number = `(01)${random.next() < 0.5 ? 0 : 1}${body}`;
    return bars(random.pick(["databaromni", "databarlimited"]), number + checkDigit(number.slice(4)), number);
  },
  (random) => {
    const number = `9${characters(random, digits, 12)}`;
    const weight = characters(random, digits, 6);
    return bars("databarexpanded", `(01)${number}${checkDigit(number)}(3103)0${weight.slice(1)}`, number);
  },
];

/** An article number of some digits, mostly with guard bars (first and last module of each) that reach further down. */
function retail(symbology: string, length: number, ...guards: [number, number][]): (random: Random) => Code {
  return (random) => {
    const text = characters(random, digits, length);
    const caption = symbology === "ean13" ? text + checkDigit(text) : text;
    return bars(symbology, text, caption, random.next() < 0.6 ? guards : undefined);
  };
}

/** GS1 check digit of any number of digits: weights 3, 1 from the right. */
function checkDigit(text: string): string {
  const sum = Array.from(text)
    .reverse()
    .reduce((total, digit, i) => total + Number(digit) * (i % 2 ? 1 : 3), 0);
  return String((10 - (sum % 10)) % 10);
}
