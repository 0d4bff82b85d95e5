/** The report page: complete, self-contained, and safe whatever names and numbers it is given. */
import { expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import type { ReportData } from "../../src/index.ts";
import { dataUri, escapeText, html } from "../../src/report/html.ts";
import { abbreviate, linear, short, ticks } from "../../src/report/svg.ts";
import { renderReport } from "../../src/steps.ts";

const hostile = `"><script>alert(1)</script>' onload='x' \`{{}} </style> \u0000\u202e&lt; javascript:`;
const picture = { type: "image/png", bytes: Uint8Array.from({ length: 50_000 }, (_, i) => i * 7) } as const;

function example(change: Partial<ReportData> = {}, name = "net"): ReportData {
  const random = new Random(3);
  const counts = { change: -0.012, matched: 40, missing: 2 };
  const coco = { AP: 0.357, AP50: 0.55, AP75: 0.37, APs: 0.12, APm: -1, APl: 0.51, AR: 0.44 };
  return {
    name,
    date: "2026-01-02 03:04 UTC",
    tool: "ncnnkit 0.1.0",
    size: { width: 640, height: 640 },
    measuredOn: `Measured on 64 pictures ${name}.`,
    ...{ task: "detect", images: 64 },
    objects: 461,
    calibration: { method: "auto", images: 128 },
    machine: name,
    variants: [
      { name: "fp32", coco, milliseconds: 120, bytes: 6_480_000 },
      { name: "fp16", coco, fidelity: 0.999, milliseconds: 121, bytes: 3_250_000 },
      {
        name: "int8",
        coco: { ...coco, AP: 0.354 },
        fidelity: 0.926,
        milliseconds: 48,
        bytes: 1_700_000,
        scoreChange: { all: counts, small: { ...counts, change: null }, medium: counts, large: counts },
      },
    ],
    pairs: Array.from({ length: 300 }, (_, i) => ({
      size: (["small", "medium", "large"] as const)[i % 3],
      reference: random.uniform(0.25, 1),
      candidate: random.uniform(0, 1),
    })),
    guard: {
      ...{ images: 12, objects: 52, floor: { sqnr: 5, cosine: 0.85, fidelity: 0.7 }, floatWork: 0.034 },
      before: { outputs: [], parts: [{ name, sqnr: -8.2, cosine: 0.451 }], fidelity: 0.084, found: 0.16 },
      after: { outputs: [], parts: [{ name, sqnr: 14.1, cosine: 0.978 }], fidelity: 0.931, found: 1 },
    },
    layers: Array.from({ length: 40 }, (_, i) => ({
      name: `${name}${i}`,
      type: "Convolution",
      keptFloat: i === 7 ? `because ${name}` : undefined,
      sqnr: i === 0 ? Number.POSITIVE_INFINITY : i === 1 ? Number.NaN : i === 2 ? undefined : 5 + i,
      cosine: 0.999,
      absmax: i === 3 ? 0 : 4,
      threshold: i === 3 ? 0 : 3,
      clipped: 1e-4,
      histogram: i === 3 ? [] : Array.from({ length: 256 }, (_, k) => Math.round(1e6 / (k + 1) ** 3)),
    })),
    examples: [{ name, float: picture, int8: picture, floatCount: 1, int8Count: 0 }],
    provenance: [
      ["source", name],
      [name, "x"],
    ],
    assumptions: [],
    notes: [`Assumed: ${name}.`],
    ...change,
  };
}

/** Throws unless tags nest properly; gives the text outside tags and the attribute values. */
function parse(page: string): { text: string; attributes: string[] } {
  const open: string[] = [];
  const attributes: string[] = [];
  let text = "";
  const empty = new Set(["meta", "img", "br", "!doctype", "path", "rect"]);
  const pattern = /<(\/?)([!a-z][a-z0-9]*)((?:\s+[a-z:-]+(?:="[^"]*")?)*)\s*(\/?)>|([^<]+)/gi;
  let at = 0;
  for (const match of page.matchAll(pattern)) {
    expect(match.index, `stray markup at: ${page.slice(at, at + 80)}`).toBe(at);
    at += match[0].length;
    const [, closing, tag, attributeText, selfClosing, run] = match;
    if (run !== undefined) text += run;
    else if (closing) expect(open.pop()).toBe(tag);
    else if (!selfClosing && !empty.has(tag.toLowerCase())) open.push(tag);
    for (const [, value] of (attributeText ?? "").matchAll(/="([^"]*)"/g)) attributes.push(value);
  }
  expect(at).toBe(page.length);
  expect(open).toEqual([]);
  return { text, attributes };
}

test("a page with all its parts", () => {
  const page = renderReport(example());
  const { text } = parse(page);
  for (const part of [
    "Accuracy",
    "Scores by object size",
    "Speed and size",
    "Int8 beside float",
    "Layer by layer",
    "Layers that stay float",
    "Pictures",
    "Where it comes from",
  ]) {
    expect(page).toContain(`>${part}</h`);
  }
  expect(text).toContain("The int8 model costs 0.3 AP, runs 2.5 times as fast and is 3.8 times smaller");
  expect(text).toContain("−0.3");
  expect(text).toContain("92.6");
  expect(page.match(/<path class="(small|medium|large)"/g)).toHaveLength(303); // the points and their legend
  expect(page.match(/<img /g)).toHaveLength(2);
});

test("figures that differ beside a fidelity of 100 are explained; nothing found is no figure", () => {
  const { variants } = example();
  const text = (fidelity: number, AP75: number): string => {
    const half = { ...variants[1], fidelity, coco: { ...variants[0].coco, AP75 } };
    return renderReport(example({ variants: [variants[0], half, variants[2]] } as Partial<ReportData>));
  };
  expect(text(1, 0.354)).toContain("fp16 has the boxes of the fp32 model and yet other figures");
  expect(text(1, 0.354)).not.toMatch(/worse">−1\.6/);
  expect(text(0.93, 0.354)).toMatch(/worse">−1\.6/);
  expect(text(0.93, 0.354)).not.toContain("and yet other figures");
  expect(text(1, 0.37)).not.toContain("and yet other figures");
  const blind = variants.map(({ coco: _, ...each }) => ({ ...each, fidelity: -1 }));
  expect(renderReport(example({ variants: blind } as Partial<ReportData>))).not.toMatch(/reproduces –/);
});

test("nothing is fetched and nothing runs", () => {
  const page = renderReport(example());
  expect(page).not.toMatch(/<script|<link|<iframe|\bon[a-z]+=|url\(|@import|https?:/i);
  expect(page).toContain("default-src 'none'; img-src data:; style-src 'unsafe-inline'");
  for (const [, source] of page.matchAll(/src="([^"]*)"/g))
    expect(source).toMatch(/^data:image\/png;base64,/);
});

test("hostile names everywhere stay text", () => {
  const page = renderReport(example({}, hostile));
  const { text, attributes } = parse(page);
  expect(page).not.toMatch(/<script|<\/style>.*<\/style>|\u202e/s);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  expect(page).not.toMatch(/\u0000/);
  expect(text).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  expect(attributes.join()).not.toContain("<");
  // Twice as many tags would mean that a name made some.
  const tags = (source: string): number => source.match(/<[a-z]/g)?.length ?? 0;
  expect(tags(page)).toBe(tags(renderReport(example())));
});

test("no numbers that are none, whatever is missing", () => {
  const bare = example({
    objects: undefined,
    pairs: [],
    examples: [],
    notes: [],
    layers: [],
    provenance: [],
  });
  const variants = bare.variants.map(({ name, bytes }) => ({ name, bytes, milliseconds: 0 }));
  const flat = example().layers.map((layer) => ({ ...layer, sqnr: undefined, histogram: [] }));
  for (const data of [bare, { ...bare, variants }, { ...example(), layers: flat }, example()]) {
    const page = renderReport(data);
    parse(page);
    for (const [, coordinates] of page.matchAll(/ (?:d|x|y|width|height|viewBox|style)="([^"]*)"/g)) {
      expect(coordinates).not.toMatch(/NaN|Infinity|undefined|null/);
    }
    expect(page).not.toMatch(/undefined|\[object|>NaN/);
  }
});

test("a model with a thousand layers and ten thousand objects gives a page of bounded size", () => {
  const [layer] = example().layers.slice(10);
  const layers = Array.from({ length: 1000 }, (_, i) => ({ ...layer, name: `layer${i}`, sqnr: i / 20 }));
  const pairs = Array.from({ length: 10_000 }, () => ({
    size: "small" as const,
    reference: 0.5,
    candidate: 0.5,
  }));
  const page = renderReport(example({ layers, pairs, examples: [] }));
  expect(page.length).toBeLessThan(1_500_000);
});

test("escaping", () => {
  expect(escapeText(`<&>"'\``)).toBe("&lt;&amp;&gt;&quot;&#39;&#96;");
  expect(escapeText("a\ud800b\u2066c\nd")).toBe("a\ufffdb\ufffdc\nd");
  expect(html`<b>${["<", html`<i>${">"}</i>`, 3]}${undefined}${false}</b>`.text).toBe(
    "<b>&lt;<i>&gt;</i>3</b>",
  );
});

test("pictures in Base64, of any length", () => {
  for (const length of [0, 1, 2, 3, 24_575, 24_576, 24_577, 50_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
    const uri = dataUri({ type: "image/png", bytes });
    expect(uri).toBe(`data:image/png;base64,${Buffer.from(bytes).toString("base64")}`);
  }
});

test("ticks are round and inside; texts are short", () => {
  expect(ticks(linear([0, 1], [0, 100]), 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(linear([0, 48.7], [0, 100]), 5)).toEqual([0, 10, 20, 30, 40]);
  expect(ticks(linear([-3, 0.1], [0, 100]), 4)).toEqual([-3, -2, -1, 0]);
  expect(ticks(linear([2, 2], [0, 100]), 4)).toEqual([2]);
  expect(ticks(linear([0, 3e-7], [0, 1]), 3)).toEqual([0, 1e-7, 2e-7, 3e-7]);
  const random = new Random(9);
  for (let i = 0; i < 200; i++) {
    const low = random.normal() * 10 ** random.int(-8, 8);
    const span = Math.abs(low) * 10 ** random.uniform(-4, 4);
    const scale = linear([low, low + span], [0, 300]);
    const found = ticks(scale, 5);
    expect(found.length).toBeLessThanOrEqual(7);
    for (const value of found) {
      expect(scale(value)).toBeGreaterThanOrEqual(-0.01);
      expect(scale(value)).toBeLessThanOrEqual(300.01);
    }
  }
  expect([0, 0.25, 123456, 1234567, 0.00012].map(short)).toEqual([
    "0",
    "0.25",
    "123000",
    "1.23e+6",
    "1.2e-4",
  ]);
  expect(abbreviate("abcdefghij", 5)).toBe("ab…ij");
  expect(abbreviate("😀😀😀😀", 4)).toBe("😀😀😀😀");
});

test("each task has its own figures and words", () => {
  const variants = example().variants;
  const page = (change: Partial<ReportData>): string => renderReport(example(change));
  const masks = page({ task: "segment", variants: variants.map((each) => ({ ...each, boxes: 0.41 })) });
  for (const text of ["Average precision of masks", '<th scope="col">boxes</th>', "41.0", "the same masks"]) {
    expect(masks).toContain(text);
  }
  const turned = page({ task: "obb", variants: variants.map((each) => ({ ...each, dota: 0.72 })) });
  for (const text of ['<th scope="col">DOTA</th>', "72.0", "task 1 first"]) expect(turned).toContain(text);
  const sorted = page({
    task: "classify",
    variants: variants.map(({ coco: _, ...each }, i) => ({
      ...each,
      top: { top1: 0.7 - i / 100, top5: 0.9 },
    })),
  });
  for (const text of [
    "costs 2.0 points of top-1",
    "68.0 after 70.0",
    '<th scope="col">top-5</th>',
    "How often",
  ]) {
    expect(sorted).toContain(text);
  }
  expect(sorted).not.toContain("below 32² px");
  expect(sorted).not.toContain("AP50-95");
});
