/** ONNX files of situations that people reported, read in place; the boxes are onnxruntime's. */
import { expect, test } from "vitest";
import { dataPath, describeData } from "../data.ts";
import { run } from "./_run.ts";

describeData("ONNX trials", () => {
  const trial = (name: string): string => dataPath(`trials/${name}`);
  const dot = trial("yolov7-grid/dot.png");
  test.each([
    ["yolov7-grid/yolov7-grid.onnx", "class 0 1.000 38.0 20.0 12.0 16.0"],
    ["yolov7-grid/v5-decode.onnx", "dot 1.000 39.0 21.5 10.0 13.0"],
    ["uint8-nhwc/uint8-nhwc.onnx", "dot 1.000 39.0 21.5 10.0 13.0"],
    ["uint8-nhwc/uint8-nchw.onnx", "dot 1.000 39.0 21.5 10.0 13.0"],
    ["uint8-nhwc/float-nhwc.onnx", "dot 1.000 39.0 21.5 10.0 13.0"],
    ["uint8-nhwc/float-div255.onnx", "dot 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/apostrophe.onnx", "driver's seat 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/chinese.onnx", "安全帽 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/json_escaped.onnx", "安全帽 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/jsonlist.onnx", "a 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/ints.onnx", "0 1.000 39.0 21.5 10.0 13.0"],
    ["onnx-names/pyescaped.onnx", "tab\\there 1.000 39.0 21.5 10.0 13.0"],
  ])("%s: %s", async (name, line) => {
    const { code, out } = await run("detect", trial(name), dot);
    expect([code, out]).toEqual([0, `${line}\n`]);
  });
  test.each([
    ["onnx-names/oneBased.onnx", 0, "numbered 1 to 2"],
    ["onnx-names/wrongcount.onnx", 1, "names 3 classes"],
    ["seg-checkpoint/seg.onnx", 0, "0 boxes on 1 picture"],
    ["topk/m.onnx", 1, "ends in TopK"],
    ["gray-onnx/gray.onnx", 0, "grey"],
  ])("%s says so", async (name, code, words) => {
    const found = await run("detect", trial(name), dot);
    expect([found.code, found.err]).toEqual([code, expect.stringContaining(words)]);
  });
});
