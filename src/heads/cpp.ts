/** Text of C++11 headers: declarations and literals that compile whatever is in them. */

export function constant(type: string, name: string, value: string): string {
  return `static const ${type} ${name} = ${value};`;
}

export function list(type: string, name: string, items: readonly string[]): string[] {
  const flat = `static const ${type} ${name}[${items.length}] = {${items.join(", ")}};`;
  if (flat.length <= 100) return [flat];
  return [`static const ${type} ${name}[${items.length}] = {`, ...items.map((item) => `    ${item},`), "};"];
}

/** A float literal with the digits that binary32 needs. Values beyond its range become its largest or smallest number. */
export function float(value: number): string {
  const limited = Math.min(Math.max(value, -3.4028234e38), 3.4028234e38);
  const digits = String(Number(Math.fround(limited).toPrecision(9)));
  return `${/[.e]/.test(digits) ? digits : `${digits}.`}f`;
}

/** A string literal of the UTF-8 bytes; all but plain ASCII as octal, which also keeps trigraphs and quotes out. */
export function quote(text: string): string {
  let out = "";
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 32 && byte < 127 && byte !== 34 && byte !== 92 && byte !== 63;
    out += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `"${out}"`;
}

/** Members of `struct Head` for anchors `w0 h0 w1 h1 …`, and their initialisers. */
export const anchorMembers = (heads: readonly { readonly anchors: readonly number[] }[]): string[] => [
  "int num_anchors;",
  `float anchors[${Math.max(...heads.map(({ anchors }) => anchors.length))}]; // w0 h0 w1 h1 ...`,
];
export const anchorRow = ({ anchors }: { readonly anchors: readonly number[] }): string =>
  `${anchors.length / 2}, {${anchors.map(float).join(", ")}}`;
