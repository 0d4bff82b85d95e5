/** Readers of models: checkpoints, ONNX, ncnn's files, manifests, calibration tables and partials. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { unzipSync } from "fflate";
import type { Random } from "../../src/base/random.ts";
import { printManifest } from "../../src/formats/manifest.ts";
import {
  parseBinaryParam,
  parseParam,
  printParam,
  readNcnn,
  readWeights,
  writeBinaryParam,
  writeWeights,
} from "../../src/formats/ncnn/index.ts";
import { exportOnnx, readOnnx, readOnnxModel, writeOnnx } from "../../src/formats/onnx/index.ts";
import { parseTable, printTable } from "../../src/formats/table.ts";
import { crc32, ZipArchive } from "../../src/formats/torch/zip.ts";
import { load, open } from "../../src/index.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";
import { BlobObservation, quantizeGraph, readPartial, writePartial } from "../../src/quantize/index.ts";
import { tinyModel } from "../cli/_tiny.ts";
import { fixtures } from "../formats/onnx/_fixtures.ts";
import { checkpoint, type ZipEntry, zip } from "../formats/torch/_write.ts";
import { loadCases } from "../ops/_cases.ts";
import { network } from "../quantize/_models.ts";
import { useGraph, useModel } from "./deep.ts";
import { distort } from "./distort.ts";
import { mutateBytes, mutateText, mutateWords } from "./mutate.ts";
import type { FuzzReader } from "./readers.ts";
import {
  mutateJson,
  mutateMessage,
  mutateParam,
  mutatePickle,
  mutateZip,
  pickleTokens,
} from "./structure.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const data = (folder: string, name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "..", folder, "data", name)));

/** Small files take most of the cases, large ones some. */
function pickSmall<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random.next() ** 2 * items.length)];
}

/** Checkpoints of these names, the smallest first; pickles of the first `taken` are changed opcode by opcode. */
const checkpoints = (name: string, share: number, names: readonly string[], taken: number): FuzzReader => ({
  name,
  share,
  prepare: async () => {
    const files = names.map((each) => data("formats/torch", `${each}.pt`));
    const archives = files.slice(0, taken).map(unpack);
    const make = (random: Random): Uint8Array => {
      const kind = random.int(0, 9);
      const bytes = pickSmall(files, random);
      if (kind < 2) return mutateBytes(bytes, random, random.pick(files));
      if (kind < 4) return mutateZip(bytes, random);
      const archive = random.pick(archives);
      const entries = archive.rest.slice();
      if (kind === 4) {
        const at = random.int(0, entries.length - 1);
        if (random.next() < 0.5) entries.splice(at, 1);
        else
          entries[at] = {
            ...entries[at],
            contents: mutateBytes(entries[at].contents, random),
            crc: undefined,
          };
      }
      const contents =
        kind === 5 ? mutateBytes(archive.pickle, random) : mutatePickle(archive.tokens, random);
      return zip([{ name: archive.name, contents, deflate: kind === 6 }, ...entries]);
    };
    return (random) => {
      const bytes = make(random);
      return {
        files: { "case.pt": bytes },
        run: async () => useModel(await open([{ name: "case.pt", bytes }], { size: 32 }), random),
      };
    };
  },
});

const torch = checkpoints(
  "pt",
  100,
  ["lite-g-deploy", "lite-g-fused", "plain", "state-dict", "torchscript", "legacy", "lite-g-branches", "v5"],
  3,
);

const ultralytics = checkpoints(
  "ultralytics",
  40,
  ["v8n-cls", "26n-cls", "v8n-obb", "v8n-pose", "v8n-seg", "11n"].map((name) => `ultralytics/${name}`),
  6,
);

const projects = checkpoints(
  "projects",
  40,
  ["v7-fused", "v5-seg", "v5-cls", "v7", "v7-aux", "v6-010", "v6", "v6-csp", "v6-lite"].map(
    (name) => `projects/${name}`,
  ),
  9,
);

/** A checkpoint taken apart, so that its pickle can be changed and the checksums be right. */
function unpack(bytes: Uint8Array): {
  name: string;
  pickle: Uint8Array;
  tokens: Uint8Array[];
  rest: ZipEntry[];
} {
  const archive = new ZipArchive(bytes, "corpus");
  const name = archive.names.find((each) => each.endsWith("data.pkl"))!;
  const rest = archive.names
    .filter((each) => each !== name)
    .map((each) => ({ name: each, contents: archive.read(each), crc: crc32(archive.read(each)) }));
  const pickle = archive.read(name);
  return { name, pickle, tokens: pickleTokens(pickle), rest };
}

/** Bare pickles of a few opcodes: none of the corpus is that short, and short ones reach far. */
const pickle: FuzzReader = {
  name: "pickle",
  share: 80,
  prepare: async () => {
    const names = ["lite-g-fused", "plain", "state-dict"];
    const tokens = names.flatMap((name) => unpack(data("formats/torch", `${name}.pt`)).tokens);
    return (random) => {
      const from = random.int(0, tokens.length - 60);
      const some = tokens.slice(from, from + random.int(1, 60));
      const bytes = checkpoint(
        Uint8Array.of(0x80, 2, ...mutatePickle([...some, Uint8Array.of(0x2e)], random)),
      );
      return { files: { "case.pt": bytes }, run: () => open([{ name: "case.pt", bytes }]) };
    };
  },
};

/** Exports of networks that do more than boxes: the whole way, with what finds their outputs out. */
const tasks: FuzzReader = {
  name: "tasks",
  share: 20,
  prepare: async () => {
    const archive = unzipSync(data("heads", "tasks.zip"));
    const files = Object.entries(archive)
      .filter(([name]) => name.endsWith(".onnx"))
      .map(([, bytes]) => bytes)
      .sort((a, b) => a.length - b.length);
    return (random) => {
      const kind = random.int(0, 9);
      let bytes: Uint8Array = pickSmall(files, random);
      if (kind < 2) bytes = mutateBytes(bytes, random, random.pick(files));
      else if (kind < 6) bytes = mutateMessage(bytes, random);
      else {
        const model = readOnnxModel(bytes, "corpus");
        distort(model, random);
        bytes = writeOnnx(model);
      }
      return {
        files: { "case.onnx": bytes },
        run: async () => useModel(await open([{ name: "case.onnx", bytes }], { size: 32 }), random),
      };
    };
  },
};

const onnx: FuzzReader = {
  name: "onnx",
  share: 140,
  prepare: async () => {
    const files = fixtures()
      .map(({ bytes }) => bytes)
      .sort((a, b) => a.length - b.length);
    const models = files.filter(({ length }) => length < 40_000);
    const operators = files.filter(({ length }) => length < 2_100);
    return (random) => {
      const kind = random.int(0, 9);
      const from = random.int(0, 19) === 0 ? models : operators;
      let bytes = random.pick(from);
      if (kind < 2) bytes = mutateBytes(bytes, random, random.pick(operators));
      else if (kind < 6) bytes = mutateMessage(bytes, random);
      else {
        const model = readOnnxModel(bytes, "corpus");
        distort(model, random);
        bytes = writeOnnx(model);
      }
      const isWhole = random.int(0, 3) === 0;
      return {
        files: { "case.onnx": bytes },
        run: async () => {
          if (isWhole) return useModel(await open([{ name: "case.onnx", bytes }], { size: 32 }), random);
          return useGraph(
            readOnnx(bytes, "case.onnx", { inputSize: { width: 32, height: 32 } }).graph,
            random,
          );
        },
      };
    };
  },
};

/** What exporters write beside the graph: on a network with a head that the metadata describes. */
const metadata: FuzzReader = {
  name: "onnx-metadata",
  share: 40,
  prepare: async () => {
    const { graph, manifest } = tinyModel();
    const bytes = exportOnnx(graph, manifest, { inputShapes: { images: [3, 64, 64] } });
    const model = readOnnxModel(bytes, "corpus");
    const texts: Record<string, string[]> = {
      names: [
        "{0: 'person', 1: 'it\\'s'}",
        "{0: 'caf\\u00e9', 1: \"a, b\"}",
        "['a', 'b']",
        '{"0": "a", "1": "b"}',
        "{0: 1, 1: True}",
      ],
      imgsz: ["[64, 64]", "(32, 64)", "[32]"],
      heads: [model.metadata.heads, "[]"],
      anchors: ["[[10, 13, 16, 30, 33, 23]]"],
      stride: ["32", "[8, 16, 32]"],
      task: ["detect", "segment"],
    };
    return (random) => {
      const entries = Object.entries(texts).map(([key, values]) => [key, random.pick(values)]);
      for (const entry of entries) if (random.int(0, 2) === 0) entry[1] = mutateText(entry[1], random);
      const bytes = writeOnnx({ ...model, metadata: Object.fromEntries(entries) });
      const isDeep = random.int(0, 5) === 0;
      return {
        files: { "case.onnx": bytes },
        run: async () => {
          const opened = await open([{ name: "case.onnx", bytes }]);
          if (isDeep) await useModel(opened, random);
        },
      };
    };
  },
};

/** One-layer networks of every operator with the shapes of their inputs written in, and a few that are whole. */
function ncnnCorpus(): { text: string; binary: Uint8Array; bin: Uint8Array; graph: Graph }[] {
  const single = loadCases().map(({ graph, inputs }) => {
    const nodes = graph.nodes.filter((node) => node.type === "Input");
    nodes.forEach((node, i) => {
      const { shape } = inputs[i];
      const names = [["w"], ["h", "w"], ["c", "h", "w"], ["c", "d", "h", "w"]][shape.length - 1];
      // The order of their numbers, as a file that was read has them.
      node.params = Object.fromEntries(
        ["w", "h", "d", "c"].flatMap((name) =>
          names.includes(name) ? [[name, shape[names.indexOf(name)]]] : [],
        ),
      );
    });
    return graph;
  });
  const whole = [tinyModel().graph, network(), quantizeGraph(network(), tableOf(network()))];
  return [...single, ...whole].map((graph) => ({
    graph,
    text: printParam(graph),
    binary: writeBinaryParam(graph),
    bin: writeWeights(graph),
  }));
}

function tableOf(graph: Graph): ReturnType<typeof parseTable> {
  const convolutions = graph.nodes.filter(({ type }) => type.startsWith("Convolution"));
  const lines = convolutions.map((node) => {
    const p = paramsOf(node, ops) as Record<string, number>;
    const count = p.group > 1 ? p.group : p.num_output;
    return [`${node.name}_param_0`, ...Array.from({ length: count }, (_, i) => `${20 + i}.5`)].join(" ");
  });
  return parseTable([...lines, ...convolutions.map(({ name }) => `${name} 31.25`), ""].join("\n"));
}

const paramText: FuzzReader = {
  name: "param",
  share: 160,
  prepare: async () => {
    const corpus = ncnnCorpus();
    return (random) => {
      const { text, bin } = random.pick(corpus);
      const damaged =
        random.next() < 0.7 ? mutateParam(text, random) : mutateText(text, random, random.pick(corpus).text);
      return {
        files: { "case.param": utf8(damaged), "case.bin": bin },
        run: async () => useGraph(fitted(parseParam(damaged, "case.param"), bin), random),
      };
    };
  },
};

const paramBinary: FuzzReader = {
  name: "param.bin",
  share: 120,
  prepare: async () => {
    const corpus = ncnnCorpus();
    return (random) => {
      const { binary, bin } = random.pick(corpus);
      const damaged =
        random.next() < 0.7
          ? mutateWords(binary, random)
          : mutateBytes(binary, random, random.pick(corpus).binary);
      return {
        files: { "case.param.bin": damaged, "case.bin": bin },
        run: async () => useGraph(fitted(parseBinaryParam(damaged, "case.param.bin"), bin), random),
      };
    };
  },
};

/** Weights for a graph whose parameters ask for others than the file has: zeros behind the bytes, or bytes cut off. */
function fitted(graph: Graph, bin: Uint8Array): Graph {
  try {
    readWeights(graph, bin);
    return graph;
  } catch (error) {
    const needed = /needs (\d+) bytes|explains only (\d+)/.exec(String(error));
    const total = bin.length + Number(needed?.[1] ?? Number.POSITIVE_INFINITY);
    if (!needed || (needed[1] && total > 200_000)) throw error;
    const other = needed[2] ? bin.subarray(0, Number(needed[2])) : new Uint8Array(total + 64 - (total % 64));
    if (!needed[2]) other.set(bin);
    readWeights(graph, other);
    return graph;
  }
}

const bin: FuzzReader = {
  name: "bin",
  share: 60,
  prepare: async () => {
    const corpus = ncnnCorpus();
    return (random) => {
      const { text, bin: original } = random.pick(corpus);
      const damaged = mutateBytes(original, random, random.pick(corpus).bin);
      return {
        files: { "case.param": utf8(text), "case.bin": damaged },
        run: async () => useGraph(readNcnn(text, damaged), random),
      };
    };
  },
};

const manifest: FuzzReader = {
  name: "manifest",
  share: 70,
  prepare: async () => {
    const { graph, manifest: facts } = tinyModel();
    const text = printManifest(facts);
    const quantized = printManifest({
      ...facts,
      quantization: {
        method: "kl",
        images: 3,
        layers: { head: { input: 52.5, output: 11 } },
        keptFloat: [{ name: "head", reason: "x" }],
      },
    });
    const [param, weights] = [printParam(graph), writeWeights(graph)];
    const grey = { width: 40, height: 30, channels: 3, data: new Uint8Array(3600).fill(99) } as const;
    return (random) => {
      const original = random.pick([text, quantized]);
      const damaged = random.next() < 0.6 ? mutateJson(original, random) : mutateText(original, random);
      return {
        files: { "case.json": utf8(damaged) },
        run: async () => {
          const opened = await open(
            [
              { name: "case.json", bytes: utf8(damaged) },
              { name: "tiny.param", bytes: utf8(param) },
              { name: "tiny.bin", bytes: weights },
            ].slice(0, 3),
          );
          const { width, height } = opened.manifest.input;
          if (width * height > 128 * 128) return;
          if (random.int(0, 7) > 0) return useModel(opened, random);
          const model = await load({ param, bin: weights, manifest: opened.manifest });
          await model.detect(grey).finally(() => model.close());
        },
      };
    };
  },
};

const table: FuzzReader = {
  name: "table",
  share: 60,
  prepare: async () => {
    const graph = network();
    const text = printTable(tableOf(graph));
    return (random) => {
      const damaged = mutateText(text, random);
      return {
        files: { "case.table": utf8(damaged) },
        run: async () => useGraph(quantizeGraph(graph, parseTable(damaged, "case.table")), random),
      };
    };
  },
};

const partial: FuzzReader = {
  name: "partial",
  share: 15,
  prepare: async () => {
    const seen = new BlobObservation();
    seen.add({ shape: [2, 2, 2], data: Float32Array.of(1, -2, 3, 0, 0.5, 7, 0, 1) });
    const bytes = writePartial({
      note: "kl 320",
      observations: new Map([
        ["a", seen],
        ["b", seen],
      ]),
    });
    return (random) => {
      const damaged = mutateBytes(bytes, random);
      return { files: { "case.partial": damaged }, run: () => readPartial(damaged, "case.partial") };
    };
  },
};

/** Small models that are not in this repository are damaged too, where they are there. */
const foreign: FuzzReader = {
  name: "foreign",
  share: 15,
  prepare: async () => {
    // Not by test/data.ts, which needs vitest.
    const root = path.resolve(process.env.NCNNKIT_DATA ?? "../shared", "trials");
    const names = existsSync(root) ? (readdirSync(root, { recursive: true }) as string[]) : [];
    const files = names
      .filter(
        (name) => /\.(onnx|pt|param|json)$/.test(name) && statSync(path.join(root, name)).size < 100_000,
      )
      .map((name) => ({
        name: path.basename(name),
        bytes: new Uint8Array(readFileSync(path.join(root, name))),
        beside: name,
      }));
    return (random) => {
      if (!files.length) return { files: {}, run: () => undefined };
      const file = random.pick(files);
      const bytes = file.name.endsWith(".onnx")
        ? mutateMessage(file.bytes, random)
        : mutateBytes(file.bytes, random);
      const folder = path.join(root, path.dirname(file.beside));
      const named = [{ name: file.name, bytes }];
      for (const name of readdirSync(folder)) {
        if (name.endsWith(".bin"))
          named.push({ name, bytes: new Uint8Array(readFileSync(path.join(folder, name))) });
      }
      return {
        files: { [file.name]: bytes },
        run: async () => useModel(await open(named.slice(0, 2), { size: 32 }), random),
      };
    };
  },
};

export const modelReaders: readonly FuzzReader[] = [
  torch,
  ultralytics,
  projects,
  pickle,
  onnx,
  tasks,
  metadata,
  paramText,
  paramBinary,
  bin,
  manifest,
  table,
  partial,
  foreign,
];
