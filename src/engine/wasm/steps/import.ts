import { emitImport, type ImportSpec } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, writeBytes } from "../../representations.ts";
import type { ImportStep } from "../../steps.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const importStep: StepKind<ImportStep, ImportSpec> = {
  kind: "import",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, output }, { data }) => {
    const { channels, height: rows, width } = output;
    const source = floatOf(input);
    const epilogue = epilogueOf([], output.representations, "none");
    const spec: ImportSpec = { kind, channels, rows, width, epilogue };
    const constants = packEpilogue(data, epilogue, output, { fused: [] });
    return {
      kind,
      nodes,
      label: `import ${sizeOf(output)}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [callOverRows(spec, [origin(source), constants, ...output.representations.map(origin)], output)],
    };
  },
  emit: emitImport,
};
