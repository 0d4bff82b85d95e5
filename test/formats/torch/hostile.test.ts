/**
 * Files that are meant to harm: always one of our errors, nothing executed, bounded time and memory. Random damage is in
 * test/fuzz/.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { FormatError, NcnnkitError, UnsupportedError } from "../../../src/base/errors.ts";
import { Random } from "../../../src/base/random.ts";
import { printParam, writeWeights } from "../../../src/formats/ncnn/index.ts";
import { readTorch } from "../../../src/formats/torch/index.ts";
import { readPickle } from "../../../src/formats/torch/pickle.ts";
import { PyObject, PyTensor } from "../../../src/formats/torch/values.ts";
import { crc32, ZipArchive } from "../../../src/formats/torch/zip.ts";
import { checkpoint, dict, module, Pickle, pickle, sequential, tensor, zip } from "./_write.ts";

const data = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "data", name)));

function errorOf(action: () => unknown): NcnnkitError {
  try {
    action();
  } catch (error) {
    if (error instanceof NcnnkitError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}
const load = (bytes: Uint8Array) => () => readTorch(bytes, "evil.pt");

/** `os.system("touch pwned")` as the classic REDUCE. */
const attack = (p: Pickle) => p.global("os", "system").string("touch pwned").op(0x85).op("R");

describe("names that are not allowed", () => {
  const cases: Record<string, [expected: RegExp, bytes: Uint8Array]> = {
    "REDUCE of os.system": [/os\.system.*opcode GLOBAL, byte 2/, pickle().add(attack).stop()],
    "in a list": [/os\.system/, pickle().op("]").op("(").int(1).add(attack).op("e").stop()],
    "in a dict value": [
      /os\.system/,
      pickle()
        .add((p) => dict(p, { model: attack }))
        .stop(),
    ],
    "in a module's state": [
      /os\.system/,
      pickle()
        .add((p) => module(p, "models.yolo.Model", { yaml: attack }))
        .stop(),
    ],
    "by STACK_GLOBAL": [
      /os\.system.*opcode STACK_GLOBAL/,
      pickle(4).stackGlobal("os", "system").string("x").op(0x85).op("R").stop(),
    ],
    "by a memoized name": [
      /posix\.system/,
      pickle(4).string("system").put(7).op("0").string("posix").put(9).op("0").get(9).get(7).op(0x93).stop(),
    ],
    "by a name from a tuple": [
      /stack is empty/,
      pickle(4).string("os").string("system").op(0x86).op(0x93).stop(),
    ],
    "builtins.eval": [
      /__builtin__\.eval/,
      pickle().global("__builtin__", "eval").string("1").op(0x85).op("R").stop(),
    ],
    "builtins.__import__": [/builtins\.__import__/, pickle().global("builtins", "__import__").stop()],
    "a dotted name in an allowed module": [
      /torch\._utils\.os\.system/,
      pickle(4).stackGlobal("torch", "_utils.os.system").stop(),
    ],
    "a dotted name in a module of classes": [
      /models\.common\.torch\.hub\.load/,
      pickle(4).stackGlobal("models.common", "torch.hub.load").stop(),
    ],
    "a module that only begins like an allowed one": [
      /models\.common_evil/,
      pickle().global("models.common_evil", "Conv").stop(),
    ],
    "a name with a line feed": [/not allowed/, pickle(4).stackGlobal("models.common", "Conv\nx").stop()],
    "JavaScript's own names": [
      /constructor/,
      pickle(4).stackGlobal("constructor", "constructor").string("return 1").op(0x85).op("R").stop(),
    ],
    __proto__: [/__proto__/, pickle(4).stackGlobal("__proto__", "toString").stop()],
    "torch.load": [/torch\.load/, pickle().global("torch", "load").stop()],
    ultralytics: [
      /the ultralytics package.*onnx/,
      pickle().global("ultralytics.engine.model", "Model").stop(),
    ],
  };
  it.each(Object.entries(cases))("%s", (_, [expected, bytes]) => {
    const error = errorOf(load(checkpoint(bytes)));
    expect(error.message).toMatch(/^evil\.pt\/archive\/data\.pkl: /);
    expect(error.message).toMatch(expected);
  });
});

describe("allowed names in forbidden roles", () => {
  const conv = (p: Pickle) => p.global("models.common", "Conv");
  const cases: Record<string, [expected: RegExp, bytes: Uint8Array]> = {
    "calling a class": [/calling models\.common\.Conv/, pickle().add(conv).op(")").op("R").stop()],
    "calling a method name of a module": [
      /calling a torch\.nn\.modules\.container\.Sequential is not allowed/,
      pickle()
        .add((p) => module(p, "torch.nn.modules.container.Sequential", {}))
        .op(")")
        .op("R")
        .stop(),
    ],
    "calling a string": [/calling "x"/, pickle().string("x").op(")").op("R").stop()],
    "calling a storage type": [
      /calling torch\.FloatStorage/,
      pickle().global("torch", "FloatStorage").op(")").op("R").stop(),
    ],
    "instantiating a function": [
      /instantiating torch\._utils\._rebuild_parameter/,
      pickle().global("torch._utils", "_rebuild_parameter").op(")").op(0x81).stop(),
    ],
    "getattr of something else": [
      /getattr/,
      pickle()
        .global("builtins", "getattr")
        .add((p) => module(p, "models.common.Conv", {}))
        .string("__class__")
        .op(0x86)
        .op("R")
        .stop(),
    ],
    "getattr of a string": [
      /getattr/,
      pickle().global("builtins", "getattr").string("x").string("forward").op(0x86).op("R").stop(),
    ],
    "state for a list": [/state of a list/, pickle().op("]").op("}").op("b").stop()],
    "state for a class": [/state of models/, pickle().add(conv).op("}").op("b").stop()],
    "OrderedDict that would copy": [
      /OrderedDict with arguments/,
      pickle().global("collections", "OrderedDict").op("]").op(0x85).op("R").stop(),
    ],
    INST: [/INST/, pickle().op("(").op("i").raw("os\nsystem\n").stop()],
    OBJ: [/OBJ/, pickle().op("(").add(conv).op("o").stop()],
    NEWOBJ_EX: [/NEWOBJ_EX/, pickle(4).add(conv).op(")").op("}").op(0x92).stop()],
    EXT1: [/extension/, pickle().op(0x82).op(1).stop()],
    EXT2: [/extension/, pickle().op(0x83).op(1).op(1).stop()],
    EXT4: [/extension/, pickle().op(0x84).u32(1).stop()],
    NEXT_BUFFER: [/buffer/, pickle(5).op(0x97).stop()],
    "protocol 0": [/unknown opcode 0x49/, new Uint8Array([0x49, 0x31, 10, 0x2e])],
    "protocol 99": [/protocol 99/, pickle(99).op("N").stop()],
    "a persistent id that is a name": [/storage tuple/, pickle().string("../../etc/passwd").op("Q").stop()],
  };
  it.each(Object.entries(cases))("%s", (_, [expected, bytes]) => {
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(expected);
  });
});

describe("nothing is executed", () => {
  it("objects are records without behaviour, whatever their state is called", () => {
    const bytes = pickle()
      .add((p) =>
        module(p, "models.common.Conv", {
          __reduce__: (q) => q.string("os.system"),
          __setstate__: (q) => q.global("builtins", "getattr"),
          __proto__: (q) => q.op("}"),
          constructor: (q: Pickle) => q.int(1),
          toString: (q: Pickle) => q.int(2),
        }),
      )
      .stop();
    const value = readPickle(bytes, "data.pkl") as PyObject;
    expect(value).toBeInstanceOf(PyObject);
    expect(Object.keys(value)).toEqual(["className", "args", "state"]);
    expect(value.state).toBeInstanceOf(Map);
    expect(({} as Record<string, unknown>).constructor).toBe(Object);
  });

  it("the importer has no way to make code", () => {
    const folder = path.join(import.meta.dirname, "../../../src/formats/torch");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".ts"),
    );
    expect(files).toContain("pickle.ts");
    for (const file of files) {
      const source = readFileSync(path.join(folder, file), "utf8");
      expect(source).not.toMatch(/\beval\b\s*\(|new Function|import\s*\(|globalThis|\bwindow\.|Reflect\./);
    }
  });

  it("globals stay as they were", () => {
    const before = Object.getOwnPropertyNames(globalThis).sort();
    const prototype = Object.getOwnPropertyNames(Object.prototype).sort();
    for (const bytes of [
      pickle().add(attack).stop(),
      pickle()
        .add((p) =>
          dict(p, { __proto__: (q) => dict(q, { polluted: (r) => r.int(1) }), polluted: (q) => q.int(1) }),
        )
        .stop(),
    ]) {
      expect(errorOf(load(checkpoint(bytes)))).toBeInstanceOf(NcnnkitError);
    }
    expect(Object.getOwnPropertyNames(globalThis).sort()).toEqual(before);
    expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(prototype);
  });
});

describe("counts that lie", () => {
  const huge = 2n ** 60n;
  const cases: Record<string, Uint8Array> = {
    "BINUNICODE of 4 GB": pickle().op("X").u32(0xffffffff).stop(),
    "BINUNICODE8 of 2^60": pickle(4).op(0x8d).u64(huge).stop(),
    "BINBYTES8 of 2^60": pickle(4).op(0x8e).u64(huge).stop(),
    "BINUNICODE8 of 2^63": pickle(4)
      .op(0x8d)
      .u64(2n ** 63n)
      .stop(),
    "BYTEARRAY8 of 2^60": pickle(5).op(0x96).u64(huge).stop(),
    "FRAME of 2^60": pickle(4).op(0x95).u64(huge).stop(),
    "LONG4 of 2 GB": pickle().op(0x8b).u32(0x7fffffff).stop(),
    "LONG4 of -1": pickle().op(0x8b).u32(0xffffffff).stop(),
    "LONG1 of 255": pickle().op(0x8a).op(255).raw(new Uint8Array(255)).stop(),
    "TUPLE3 of nothing": pickle().op(0x87).stop(),
    "APPENDS without MARK": pickle().op("]").op("e").stop(),
    "SETITEMS of one": pickle().op("}").op("(").op("N").op("u").stop(),
    "GLOBAL without an end": pickle().op("c").raw("x".repeat(5000)).finish(),
    "a memo entry that is not set": pickle().get(4_000_000_000).stop(),
    "invalid UTF-8": pickle()
      .op("X")
      .u32(2)
      .raw(new Uint8Array([0xff, 0xfe]))
      .stop(),
    "an empty pickle": new Uint8Array(0),
    "an empty stack": pickle().stop(),
    "no STOP": pickle().op("N").finish(),
    "two values": pickle().op("N").op("N").stop(),
    "bytes behind STOP": pickle().op("N").op(".").raw("more").finish(),
  };
  it.each(Object.entries(cases))("%s", (_, bytes) => {
    expect(errorOf(() => readPickle(bytes, "data.pkl"))).toBeInstanceOf(FormatError);
  });

  it("depth and number are limited", () => {
    expect(
      errorOf(() =>
        readPickle(
          pickle()
            .times(2000, (p) => p.op("("))
            .stop(),
          "p",
        ),
      ).message,
    ).toMatch(/open MARKs/);
    expect(
      errorOf(() =>
        readPickle(
          pickle()
            .times(1_100_000, (p) => p.op("]"))
            .stop(),
          "p",
        ),
      ).message,
    ).toMatch(/more than 1000000 lists/);
    expect(
      errorOf(() =>
        readPickle(
          pickle()
            .times(2_100_000, (p) => p.op("N"))
            .stop(),
          "p",
        ),
      ).message,
    ).toMatch(/values on the stack/);
  });

  it("deep nesting does not overflow the call stack", () => {
    const depth = 100_000;
    const bytes = pickle()
      .times(depth, (p) => p.op("]"))
      .times(depth - 1, (p) => p.op("a"))
      .stop();
    expect(Array.isArray(readPickle(bytes, "p"))).toBe(true);
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(/holds a list of 1/);
  });
});

describe("module trees that lie", () => {
  it("a module that contains itself", () => {
    const bytes = pickle()
      .global("torch.nn.modules.container", "Sequential")
      .op(")")
      .op(0x81)
      .put(0)
      .add((p) => dict(p, { _modules: (q) => dict(q, { a: (r) => r.get(0) }) }))
      .op("b")
      .stop();
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(/nested more than 48 deep/);
  });

  it("shared modules that would make exponentially many layers", () => {
    const bytes = pickle()
      .add((p) => sequential(p, (q) => q.op("}")))
      .put(0)
      .op("0")
      .add((p) => {
        for (let level = 1; level <= 40; level++) {
          const child = (q: Pickle) => q.get(level - 1);
          sequential(p, (q) => dict(q, { a: child, b: child, c: child })).put(level);
          if (level < 40) p.op("0");
        }
      })
      .stop();
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(/more than 50000 modules/);
  });

  it("a sub-module with a name that would break the param file", () => {
    const bytes = pickle()
      .add((p) => sequential(p, (q) => dict(q, { "a b\n1": (r) => r.op("N") })))
      .stop();
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(/is not a word/);
  });

  it("an extra sub-module in a known class", () => {
    const bytes = pickle()
      .add((p) =>
        sequential(p, (q) =>
          dict(q, {
            0: (r) =>
              module(r, "models.common.SPPF", {
                _modules: (s) => dict(s, { attention: (t) => sequential(t, (u) => u.op("}")) }),
              }),
          }),
        ),
      )
      .stop();
    const error = errorOf(load(checkpoint(bytes)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error.message).toMatch(/module "0" \(models\.common\.SPPF\): sub-module "attention"/);
  });

  it("a class that is not known", () => {
    const bytes = pickle()
      .add((p) =>
        sequential(p, (q) =>
          dict(q, { 0: (r) => module(r, "models.common.C3TR", { _modules: (s) => s.op("}") }) }),
        ),
      )
      .stop();
    expect(errorOf(load(checkpoint(bytes))).message).toMatch(
      /module "0" \(models\.common\.C3TR\): this class/,
    );
  });
});

describe("tensors that lie", () => {
  it("a tensor inside its storage is fine", () => {
    const bytes = pickle()
      .add((p) => tensor(p, "0", 6, [2, 3], [3, 1]))
      .stop();
    expect(readPickle(bytes, "p")).toBeInstanceOf(PyTensor);
  });

  it.each([
    ["larger than the storage", 6, [7], [1], 0],
    ["behind the storage", 6, [2], [1], 5],
    ["with a stride that leaves it", 6, [2, 2], [5, 1], 0],
    ["with a negative extent", 6, [-1], [1], 0],
    ["with a negative stride", 6, [2], [-1], 5],
    ["of rank 9", 6, [1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1], 0],
    ["whose strides have another rank", 6, [2, 3], [1], 0],
  ])("a tensor %s", (_, count, shape, strides, offset) => {
    const bytes = pickle()
      .add((p) => tensor(p, "0", count, shape, strides, offset))
      .stop();
    expect(errorOf(() => readPickle(bytes, "p"))).toBeInstanceOf(FormatError);
  });

  /** A 1×1 convolution with its weight in storage "0". */
  const network = (write: (p: Pickle) => unknown) =>
    pickle()
      .add((p) =>
        sequential(p, (q) =>
          dict(q, {
            0: (r) =>
              module(r, "torch.nn.modules.conv.Conv2d", {
                groups: (s) => s.int(1),
                stride: (s) => s.int(1),
                padding: (s) => s.int(0),
                dilation: (s) => s.int(1),
                _modules: (s) => s.op("}"),
                _parameters: (s) => dict(s, { weight: write, bias: (t) => t.op("N") }),
                _buffers: (s) => s.op("}"),
              }),
          }),
        ),
      )
      .stop();
  const weights = { name: "archive/data/0", contents: new Uint8Array(24) };
  const fitting = (p: Pickle) => tensor(p, "0", 6, [2, 3, 1, 1], [3, 1, 1, 1]);

  it("control: the network without a lie loads", () => {
    expect(readTorch(checkpoint(network(fitting), [weights]), "ok.pt").graph.nodes.length).toBe(2);
  });
  it("a storage that is missing", () => {
    expect(errorOf(load(checkpoint(network(fitting)))).message).toMatch(/entry "archive\/data\/0".*missing/);
  });
  it("a storage of another size", () => {
    const short = { ...weights, contents: new Uint8Array(20) };
    expect(errorOf(load(checkpoint(network(fitting), [short]))).message).toMatch(/has 20 bytes, expected 24/);
  });
  it("a storage key that is a path", () => {
    const bytes = network((p) => tensor(p, "../../../etc/passwd", 6, [2, 3, 1, 1], [3, 1, 1, 1]));
    expect(errorOf(load(checkpoint(bytes, [weights]))).message).toMatch(/missing/);
  });
  it("a weight that is a huge broadcast", () => {
    const bytes = network((p) => tensor(p, "0", 6, [100000, 100000, 100000, 1], [0, 0, 0, 0]));
    expect(errorOf(load(checkpoint(bytes, [weights]))).message).toMatch(
      /repeats the 6 values of its storage/,
    );
  });
  it("a weight of the wrong rank", () => {
    const bytes = network((p) => tensor(p, "0", 6, [2, 3], [3, 1]));
    expect(errorOf(load(checkpoint(bytes, [weights]))).message).toMatch(
      /module "0".*weight has shape \[2,3\], expected 4 axes/,
    );
  });
  it("a weight for another number of channels", () => {
    const bytes = network((p) => tensor(p, "0", 6, [1, 6, 1, 1], [6, 1, 1, 1]));
    expect(errorOf(load(checkpoint(bytes, [weights]))).message).toMatch(/weight_data_size/);
  });
});

describe("archives that lie", () => {
  const entry = (name: string, length = 10) => ({ name, contents: new Uint8Array(length).fill(7) });
  const cases: Record<string, [expected: RegExp, bytes: Uint8Array]> = {
    "two entries with one name": [/two entries named "a"/, zip([entry("a"), entry("a")])],
    "entries that share bytes": [
      /entries "a" and "b" overlap/,
      zip([{ ...entry("a"), size: 100, packed: 100 }, entry("b"), entry("c", 100)]),
    ],
    "a directory entry that points at another's header": [
      /another name/,
      zip([entry("a"), { ...entry("b"), offset: 0 }]),
    ],
    "an entry behind the end": [/local header/, zip([{ ...entry("a"), offset: 0x7fffffff }])],
    "an entry that is longer than the file": [
      /needs 1000000 bytes/,
      zip([{ ...entry("a"), size: 1_000_000, packed: 1_000_000 }]),
    ],
    "stored with two sizes": [/stored in 10 bytes but 11 long/, zip([{ ...entry("a"), size: 11 }])],
    "an encrypted entry": [/encrypted/, zip([{ ...entry("a"), flags: 1 }])],
    "another compression": [/compression method 14/, zip([{ ...entry("a"), method: 14 }])],
    "more entries than there are": [/number of archive entries/, zip([entry("a")], 60000)],
    "fewer entries than there are": [/follow the last directory entry/, zip([entry("a"), entry("b")], 1)],
    "a ratio beyond deflate": [
      /cannot inflate to/,
      zip([{ ...entry("a"), deflate: true, size: 4_000_000_000 }]),
    ],
    "a bomb of many entries": [
      /would inflate to/,
      zip(
        Array.from({ length: 20 }, (_, i) => ({
          name: `a${i}`,
          contents: new Uint8Array(5_000_000),
          deflate: true,
        })),
      ),
    ],
  };
  it.each(Object.entries(cases))("%s", (_, [expected, bytes]) => {
    expect(errorOf(() => new ZipArchive(bytes, "evil.pt")).message).toMatch(expected);
  });

  /** An unknown part, then a zip64 part (id 1) with size and packed size. */
  const extra64 = (size: bigint) =>
    new Pickle().u32(0x00047777).u32(0).u32(0x00100001).u64(size).u64(size).finish();
  const in64 = (size: bigint) =>
    zip([{ ...entry("a"), size: 0xffffffff, packed: 0xffffffff, extra: extra64(size) }]);

  it("sizes in a zip64 extra field are read", () => {
    expect(new ZipArchive(in64(10n), "x.pt").read("a").length).toBe(10);
  });
  it.each([2n ** 40n, 2n ** 60n, 0xffffffffn])("a zip64 size of %s", (size) => {
    expect(errorOf(() => new ZipArchive(in64(size), "evil.pt")).message).toMatch(/needs|too large/);
  });

  it.each([
    ["shorter", 2_000],
    ["longer", 6_000],
  ])("an entry that inflates to a %s length", (_, size) => {
    const bytes = zip([{ name: "a", contents: new Uint8Array(4_000), deflate: true, size }]);
    expect(errorOf(() => new ZipArchive(bytes, "evil.pt").read("a")).message).toMatch(
      /inflates to another length/,
    );
  });
  it("contents that do not match the checksum", () => {
    const bytes = zip([{ ...entry("a"), crc: 1 }]);
    expect(errorOf(() => new ZipArchive(bytes, "evil.pt").read("a")).message).toMatch(/checksum/);
  });
  it("names with paths are only names", () => {
    const names = ["../../etc/passwd", "/etc/passwd", "C:\\x", "a/../b"];
    expect(new ZipArchive(zip(names.map((name) => entry(name))), "x.pt").names).toEqual(names);
    expect(errorOf(load(zip([entry("../data.pkl"), entry("x/y/data.pkl")]))).message).toMatch(/^evil\.pt/);
  });
});

describe("files that are something else", () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const safetensors = text(`\x20\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}${" ".repeat(64)}`);
  const cases: Record<string, [expected: RegExp, bytes: Uint8Array]> = {
    empty: [/the file is empty/, new Uint8Array(0)],
    "a state_dict": [/weights only.* \(a state_dict of .*structure is missing/, data("state-dict.pt")],
    TorchScript: [/TorchScript/, data("torchscript.pt")],
    "before PyTorch 1.6": [/before 1\.6.*save it again/, data("legacy.pt")],
    ONNX: [/an ONNX model/, new Uint8Array([8, 7, 0x12, 7, 0x70, 0x79, 0x74, 0x6f, 0x72, 0x63, 0x68])],
    safetensors: [/safetensors/, safetensors],
    "a page": [/HTML/, text("\n<!DOCTYPE html><html>not found</html>")],
    "a Git LFS pointer": [/git lfs pull/, text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")],
    "a param file": [/ncnn param/, text("7767517\n1 1\n")],
    "a bare pickle": [/a bare pickle/, pickle().op("N").stop()],
    gzip: [/gzip/, new Uint8Array([0x1f, 0x8b, 8, 0])],
    "a picture": [/begins with ff d8 ff e0/, new Uint8Array([0xff, 0xd8, 0xff, 0xe0])],
    "a document": [/another program/, zip([{ name: "[Content_Types].xml", contents: text("x") }])],
    "another archive": [/0 data\.pkl entries.*readme/, zip([{ name: "readme", contents: text("x") }])],
    "a dict without a model": [
      /keys are "epoch"/,
      checkpoint(
        pickle()
          .add((p) => dict(p, { epoch: (q) => q.int(1) }))
          .stop(),
      ),
    ],
    "a big-endian archive": [
      /byte order is "big"/,
      checkpoint(pickle().op("N").stop(), [{ name: "archive/byteorder", contents: text("big") }]),
    ],
  };
  it.each(Object.entries(cases))("%s", (_, [expected, bytes]) => {
    expect(errorOf(load(bytes)).message).toMatch(expected);
  });
});

describe("damaged files", () => {
  const original = data("lite-g-deploy.pt");

  it("cut off anywhere", () => {
    for (let length = 0; length < original.length; length += 97) {
      expect(errorOf(load(original.slice(0, length))).message).toMatch(/^evil\.pt/);
    }
  });

  it("with flipped bits: the same model or an error", () => {
    const written = (bytes: Uint8Array) => {
      const { graph } = readTorch(bytes, "evil.pt");
      return [printParam(graph), crc32(writeWeights(graph))];
    };
    const expected = written(original);
    const random = new Random(1);
    for (let i = 0; i < 400; i++) {
      const bytes = original.slice();
      bytes[random.int(0, bytes.length - 1)] ^= 1 << random.int(0, 7);
      try {
        expect(written(bytes)).toEqual(expected);
      } catch (error) {
        if (!(error instanceof NcnnkitError)) throw error;
      }
    }
  });
});
