/**
 * Writes the lists of operators in docs/onnx.md, between its `operators` marks, from the code.
 *
 *     node scripts/onnx-operators.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { operatorLists } from "../test/formats/onnx/_operators.ts";

const file = new URL("../docs/onnx.md", import.meta.url);
const text = readFileSync(file, "utf8");
const marks = /(<!-- operators -->\n)[\s\S]*?(<!-- end of operators -->)/;
if (!marks.test(text)) throw new Error("docs/onnx.md has no marks to write between");
writeFileSync(
  file,
  text.replace(marks, (_, begin: string, end: string) => `${begin}${operatorLists()}${end}`),
);
