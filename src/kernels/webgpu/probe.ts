/** A shader that shows what a device does with numbers. */
import { Sizes, shaderOf } from "./_text.ts";
import type { Shader } from "./spec.ts";

/** Reads `values[0]`, writes `fma` of its first three numbers to all of `values[1]`. */
export function probeShader(): Shader {
  return shaderOf(
    { storage: "f32", fusedMadd: true, dot: false, subgroups: false, dearBarriers: false },
    {
      args: [],
      sizes: new Sizes(),
      size: 1,
      workgroups: 1,
      main: "  let v = values[0];\n  values[1] = vec4<f32>(fma(v.x, v.y, v.z));",
    },
  );
}
