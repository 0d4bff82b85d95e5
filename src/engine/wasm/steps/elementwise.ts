import { type ElementwiseSpec, emitElementwise } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, writeBytes } from "../../representations.ts";
import type { ElementwiseOperand, ElementwiseStep, FusedStep } from "../../steps.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const elementwise: StepKind<ElementwiseStep, ElementwiseSpec> = {
  kind: "elementwise",
  quantizes: true,
  needs: ({ a, b }, read) => {
    read.float(a);
    if (b.kind === "value") read.float(b.value);
  },
  plan: ({ kind, nodes, operator, a, b, fused, output }, { data }) => {
    const source = floatOf(a);
    const epilogue = epilogueOf(fused, output.representations, "none");
    const spec: ElementwiseSpec = {
      kind,
      operator,
      rows: output.height,
      width: output.width,
      vectors: output.slotCount / 4,
      a: { pixelBytes: source.pixelBytes, rowBytes: source.rowBytes, splat: false },
      b: operandOf(b),
      epilogue,
    };
    const args = [
      origin(source),
      b.kind === "value" ? origin(floatOf(b.value)) : 0,
      packEpilogue(data, epilogue, output, { fused }),
      ...output.representations.map(origin),
    ];
    return {
      kind,
      nodes,
      label: `elementwise ${b.kind === "none" ? describeFused(fused) : operator} ${sizeOf(output)}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [callOverRows(spec, args, output)],
    };
  },
  emit: emitElementwise,
};

function operandOf(b: ElementwiseOperand): ElementwiseSpec["b"] {
  if (b.kind === "none") return { kind: "none" };
  if (b.kind === "constant") return { kind: "constant", value: Math.fround(b.value) };
  const { pixelBytes, rowBytes } = floatOf(b.value);
  const perChannel = b.broadcast === "channel";
  return {
    kind: "picture",
    pixelBytes: perChannel ? 0 : pixelBytes,
    rowBytes: perChannel ? 0 : rowBytes,
    splat: b.broadcast === "pixel",
  };
}

function describeFused(fused: readonly FusedStep[]): string {
  const nameOf = (done: FusedStep): string =>
    done.kind === "activation"
      ? done.activation.kind
      : done.kind === "scalar"
        ? done.operator
        : done.kind === "scale"
          ? "scale"
          : "add";
  return fused.map(nameOf).join("+");
}
