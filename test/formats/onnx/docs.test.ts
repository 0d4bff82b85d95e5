import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { operatorLists } from "./_operators.ts";

test("docs/onnx.md lists the operators that there are (node scripts/onnx-operators.ts writes them)", () => {
  const text = readFileSync(new URL("../../../docs/onnx.md", import.meta.url), "utf8");
  expect(text).toContain(`<!-- operators -->\n${operatorLists()}<!-- end of operators -->`);
});
