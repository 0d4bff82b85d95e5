/** Kinds of checkpoints that people have: wrapped models, paths in the options, names that are no strings, other tasks. */
import { describe, expect, it } from "vitest";
import { FormatError, UnsupportedError } from "../../../src/base/errors.ts";
import { readTorch, type TorchModel } from "../../../src/formats/torch/index.ts";
import { dataBytes, describeData } from "../../data.ts";
import { checkpoint, dict, module, type Pickle, pickle, sequential, tensor } from "./_write.ts";

type Write = (p: Pickle) => unknown;

const none: Write = (p) => p.op("N");
const empty: Write = (p) => p.op("}");
const int =
  (value: number): Write =>
  (p) =>
    p.int(value);
const list =
  (...items: Write[]): Write =>
  (p) => {
    p.op("]").op("(");
    for (const item of items) p.add(item);
    p.op("e");
  };
const text =
  (value: string): Write =>
  (p) =>
    p.string(value);

/** A module with sub-modules. */
const tree =
  (className: string, modules: Record<string, Write>, more: Record<string, Write> = {}): Write =>
  (p) =>
    module(p, className, {
      ...more,
      _modules: (q) => dict(q, modules),
      _parameters: empty,
      _buffers: more._buffers ?? empty,
    });

/** One level with one anchor of 6 + classes − 1 channels, on the picture itself: the smallest YOLOv5 there is. */
function detector(classes: number, names: Write, className = "models.yolo.DetectionModel"): Write {
  const values = classes + 5;
  const convolution: Write = (p) =>
    module(p, "torch.nn.modules.conv.Conv2d", {
      ...{ groups: int(1), stride: int(1), padding: int(0), dilation: int(1) },
      _modules: empty,
      _parameters: (q) =>
        dict(q, {
          weight: (r) => tensor(r, "w", values * 3, [values, 3, 1, 1], [3, 1, 1, 1]),
          bias: none,
        }),
      _buffers: empty,
    });
  const detect = tree(
    "models.yolo.Detect",
    { m: tree("torch.nn.modules.container.ModuleList", { 0: convolution }) },
    {
      ...{ nl: int(1), na: int(1), no: int(values), nc: int(classes), f: list(int(-1)) },
      stride: (p) => tensor(p, "one", 1, [1], [1]),
      // As it stands there after a run: a view that repeats two values.
      anchor_grid: list((p) => tensor(p, "two", 2, [1, 1, 8, 8, 2], [2, 2, 0, 0, 1])),
      _buffers: (p) => dict(p, { anchors: (q) => tensor(q, "two", 2, [1, 1, 2], [2, 2, 1]) }),
    },
  );
  return tree(className, { model: (p) => sequential(p, (q) => dict(q, { 0: detect })) }, { names });
}

const floats = (name: string, ...values: number[]) => ({
  name: `archive/data/${name}`,
  contents: new Uint8Array(Float32Array.from(values).buffer),
});
const read = (classes: number, write: Write): TorchModel => {
  const weights = Array.from({ length: (classes + 5) * 3 }, (_, i) => i / 8);
  const entries = [floats("w", ...weights), floats("one", 1), floats("two", 10, 13)];
  return readTorch(checkpoint(pickle().add(write).stop(), entries), "kind.pt");
};
const strings = list(text("cat"), text("dog"));

it("control: a bare detector", () => {
  const model = read(2, detector(2, strings));
  expect(model.labels).toEqual(["cat", "dog"]);
  expect(model.heads).toEqual([{ kind: "yolov5", blob: "output0", stride: 1, anchors: [10, 13] }]);
});

describe("class names without quotes in the yaml are what Python prints", () => {
  it.each<[string, Write, string[]]>([
    ["numbers", list(int(0), int(1)), ["0", "1"]],
    [
      "booleans",
      list(
        (p) => p.op(0x89),
        (p) => p.op(0x88),
      ),
      ["False", "True"],
    ],
    [
      "nothing, and a number in a dict",
      (p) => p.op("}").op("(").int(1).int(7).int(0).op("N").op("u"),
      ["None", "7"],
    ],
  ])("%s", (_, names, labels) => {
    expect(read(2, detector(2, names)).labels).toEqual(labels);
  });
  it("a list among them is an error that names the class", () => {
    expect(() => read(2, detector(2, list(int(0), list(int(1)))))).toThrow(
      /the name of class 1 is a list of 1, expected text/,
    );
  });
});

describe("wrappers are taken off", () => {
  const autoShape = (inner: Write) => tree("models.common.AutoShape", { model: inner });
  const multiBackend = (inner: Write) =>
    tree(
      "models.common.DetectMultiBackend",
      { model: inner },
      {
        attempt_download: (p) => p.global("utils.downloads", "attempt_download"),
      },
    );
  const parallel = (inner: Write) => tree("torch.nn.parallel.data_parallel.DataParallel", { module: inner });
  const distributed = (inner: Write) =>
    tree(
      "torch.nn.parallel.distributed.DistributedDataParallel",
      { module: inner },
      {
        _join_config: (p) => p.global("torch.distributed.algorithms.join", "_JoinConfig").op(")").op(0x81),
      },
    );
  const inner = detector(2, strings);
  it.each<[string, Write]>([
    ["AutoShape", autoShape(inner)],
    ["AutoShape around DetectMultiBackend", autoShape(multiBackend(inner))],
    ["DataParallel", parallel(inner)],
    ["DistributedDataParallel", distributed(inner)],
    ["all of them", parallel(distributed(autoShape(multiBackend(inner))))],
  ])("%s", (_, write) => {
    const model = read(2, (p) => dict(p, { model: write }));
    expect(model.provenance.className).toBe("models.yolo.DetectionModel");
    expect(read(2, write).graph).toEqual(model.graph);
    expect(model.labels).toEqual(["cat", "dog"]);
  });
  it("around something else, and without an end", () => {
    expect(() => read(2, autoShape(none))).toThrow(
      /a models.common.AutoShape around None, expected a PyTorch model/,
    );
    let deep = inner;
    for (let i = 0; i < 9; i++) deep = autoShape(deep);
    expect(() => read(2, deep)).toThrow(FormatError);
  });
  it("torch.compile's is refused with what to save", () => {
    const compiled: Write = (p) => p.global("torch._dynamo.eval_frame", "OptimizedModule");
    expect(() => read(2, compiled)).toThrow(/torch.compile.*model._orig_mod/);
  });
});

it.each(["pathlib", "pathlib._local"])("paths of %s in the options", (name) => {
  for (const type of ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path"]) {
    const path: Write = (p) => p.global(name, type).string("/").string("data").op(0x86).op("R");
    const options: Write = (p) => dict(p, { save_dir: path, imgsz: int(96) });
    const model = read(2, (p) => dict(p, { model: detector(2, strings), opt: options }));
    expect(model.input.size).toBe(96);
  }
});

it.each(["ultralytics.utils", "ultralytics.yolo.utils", "types"])("options as a namespace of %s", (name) => {
  const cls = name === "types" ? "SimpleNamespace" : "IterableSimpleNamespace";
  const options: Write = (p) =>
    p
      .global(name, cls)
      .op(")")
      .op("R")
      .add((q) => dict(q, { imgsz: int(96) }))
      .op("b");
  expect(read(2, (p) => dict(p, { model: detector(2, strings), args: options })).labels).toHaveLength(2);
});

it.each([
  [
    "torchvision.models.resnet.ResNet",
    /a checkpoint of torchvision, package torchvision \(it holds torchvision/,
  ],
  ["mmengine.logging.history_buffer.HistoryBuffer", /a checkpoint of MMDetection.*mmdeploy/],
  ["super_gradients.training.models.YoloNAS_S", /a checkpoint of YOLO-NAS.*model\.export/],
  ["yolox.models.yolox.YOLOX", /a checkpoint of YOLOX/],
  ["detectron2.modeling.GeneralizedRCNN", /a checkpoint of Detectron2/],
  ["transformers.models.detr.DetrModel", /a checkpoint of Hugging Face.*optimum/],
])("of another project: %s", (name, message) => {
  const dot = name.lastIndexOf(".");
  const foreign: Write = (p) => p.global(name.slice(0, dot), name.slice(dot + 1));
  expect(() => read(2, foreign)).toThrow(message);
});

describe("weights without a network are told by their names", () => {
  const weights =
    (...names: string[]): Write =>
    (p) =>
      dict(p, Object.fromEntries(names.map((name) => [name, (q: Pickle) => tensor(q, "0", 1, [1], [1])])));
  const cases: [string, Write, RegExp][] = [
    ["YOLOX", weights("backbone.backbone.stem.conv.conv.weight"), /as of YOLOX.*tools.export_onnx/],
    ["NanoDet", weights("avg_model.head.gfl_cls.0.weight"), /as of NanoDet/],
    ["YOLO-NAS", weights("backbone.stem.conv.weight", "heads.head1.cls_pred.weight"), /as of YOLO-NAS/],
    ["RT-DETR", weights("backbone.conv1.weight", "decoder.dec_score_head.0.weight"), /RT-DETR.*queries/],
    ["YOLO-World", weights("bbox_head.head_module.cls_contrasts.0.bias"), /YOLO-World.*texts/],
    ["MMDetection", weights("backbone.conv1.weight", "bbox_head.fc_cls.weight"), /as of MMDetection/],
    ["Detectron2", weights("backbone.bottom_up.stem.conv1.weight"), /as of Detectron2/],
    ["torchvision", weights("backbone.body.conv1.weight", "rpn.head.cls_logits.weight"), /as of torchvision/],
    ["YOLOv6", weights("backbone.stem.rbr_dense.conv.weight"), /as of YOLOv6 .*Save the whole model/],
    ["YOLOv8", weights("model.0.conv.weight"), /as of YOLOv5, v7, v8 or their like.*Save the whole model/],
    ["no one", weights("layer.weight"), /weights only \(a state_dict of 1 entries such as "layer.weight"\)/],
  ];
  const around: ((inner: Write) => Write)[] = [
    (inner) => inner,
    (inner) => (p) => dict(p, { epoch: int(3), state_dict: inner }),
    (inner) => (p) => dict(p, { ema: (q: Pickle) => dict(q, { module: inner }) }),
  ];
  it.each(cases)("%s", (_, write, message) => {
    for (const wrap of around) {
      const bytes = checkpoint(pickle(2).add(wrap(write)).stop());
      expect(() => readTorch(bytes, "kind.pt")).toThrow(message);
    }
  });
});

describe("heads that are not read are named", () => {
  it.each([
    ["IKeypoint", /a YOLOv7 model with key points for each anchor \(models.yolo.IKeypoint\)/],
    ["IBin", /a YOLOv7 model with sizes in bins \(models.yolo.IBin\)/],
    ["DDetect", /a YOLOv9 model of its authors \(models.yolo.DDetect\).*ONNX/],
    ["DualDDetect", /a YOLOv9 model of its authors \(models.yolo.DualDDetect\).*ONNX/],
  ])("%s", (name, message) => {
    const head = tree(`models.yolo.${name}`, {});
    const model = tree("models.yolo.Model", { model: (p) => sequential(p, (q) => dict(q, { 0: head })) });
    const failing = () => read(2, model);
    expect(failing).toThrow(UnsupportedError);
    expect(failing).toThrow(message);
  });
});

it("a module that reads from nowhere is refused", () => {
  const idle = tree("torch.nn.modules.activation.SiLU", {}, { f: (p) => p.op("]") });
  const model = tree("models.yolo.Model", {
    model: (p) => sequential(p, (q) => dict(q, { 0: idle, 1: idle })),
  });
  expect(() => read(2, model)).toThrow(/attribute f is an empty list, expected module numbers/);
});

describeData("real checkpoints of these kinds", () => {
  const labels = (name: string): string[] | undefined => readTorch(dataBytes(name), name).labels;
  it("names, paths and a helmet detector", () => {
    expect(labels("trials/names-int/names-int.pt")).toEqual([..."0123456789"]);
    expect(labels("trials/names-int/names-bool.pt")).toEqual(["True", "False"]);
    expect(labels("trials/py313-path/py313-path.pt")).toHaveLength(2);
    expect(labels("models/real/yolov5n-helmet.pt")).toEqual(["helmet", "vest"]);
  });
  it("segmentation and Ultralytics", () => {
    expect(labels("trials/seg-checkpoint/seg.pt")).toEqual(["a", "b"]);
    expect(labels("models/real/yolov9t-ball.pt")).toEqual(["ball"]);
  });
});
