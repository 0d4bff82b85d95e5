/** Activations and arithmetic on `vec4<f32>`, as text. */
import { type Activation, unbounded } from "../../base/activation.ts";
import { exp2Coefficients, rounder } from "../exponential.ts";
import type { BinaryOperator } from "../operators.ts";
import { float, splat } from "./_text.ts";

/** e to the power of factor/log₂e·x in the operations of `kernels/wasm/_math.ts`, each rounded by itself. */
export const power4 = `fn power4(x: vec4<f32>, factor: f32, limit: f32) -> vec4<f32> {
  let r = exact(clamp(x, vec4<f32>(-limit), vec4<f32>(limit)) * factor);
  let n = exact(r + ${splat(rounder)});
  let f = exact(r - exact(n - ${splat(rounder)}));
  var p = ${splat(exp2Coefficients[0])};
${exp2Coefficients
  .slice(1)
  .map((c) => `  p = exact(exact(p * f) + ${splat(c)});`)
  .join("\n")}
  return bitcast<vec4<f32>>(bitcast<vec4<i32>>(p) + (bitcast<vec4<i32>>(n) << vec4<u32>(23u)));
}`;

/** Functions that activations call; each is put in where its name comes up, with those before it that it calls itself. */
const functions: Readonly<Record<string, string>> = {
  sigmoid4:
    "fn sigmoid4(x: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0)))); }",
  tanh4: `fn tanh4(x: vec4<f32>) -> vec4<f32> {
  let e = exp(-2.0 * min(abs(x), vec4<f32>(40.0)));
  return sign(x) * (1.0 - e) / (1.0 + e);
}`,
  mish4: `fn mish4(x: vec4<f32>) -> vec4<f32> {
  let e = exp(min(x, vec4<f32>(20.0)));
  let n = e * (e + 2.0);
  return x * (n / (n + 2.0));
}`,
  exactTanh4: `fn exactTanh4(x: vec4<f32>) -> vec4<f32> {
  return exact(1.0 - exact(2.0 / exact(${powerOf("x", 2)} + 1.0)));
}`,
  exactMish4: `fn exactMish4(x: vec4<f32>) -> vec4<f32> {
  let e = ${powerOf("min(x, vec4<f32>(20.0))", 1)};
  let n = exact(e * exact(e + 2.0));
  return x * exact(n / exact(n + 2.0));
}`,
};

export function powerOf(x: string, multiple: number): string {
  return `power4(${x}, ${float(Math.LOG2E * multiple)}, ${float(87 / Math.abs(multiple))})`;
}

export function functionsFor(text: string): string {
  const called = Object.entries(functions)
    .filter(([name]) => text.includes(`${name}(`))
    .map(([, code]) => code)
    .join("\n");
  return (called + text).includes("power4(") ? `${power4}\n${called}` : called;
}

/** `isExact`: in the operations of the wasm backend without fused ones, each rounded by itself. */
export function activationOf(activation: Activation, x: string, isExact: boolean): string {
  const onePlus = `exact(${powerOf(x, -1)} + 1.0)`;
  switch (activation.kind) {
    case "relu":
      return `max(${x}, vec4<f32>(0.0))`;
    case "leakyRelu":
      return `(max(${x}, vec4<f32>(0.0)) + min(${x}, vec4<f32>(0.0)) * ${float(activation.slope)})`;
    case "clip": {
      const low = activation.min <= -unbounded ? x : `max(${x}, ${splat(activation.min)})`;
      return activation.max >= unbounded ? low : `min(${low}, ${splat(activation.max)})`;
    }
    case "sigmoid":
      return isExact ? `(1.0 / ${onePlus})` : `sigmoid4(${x})`;
    case "swish":
      return isExact ? `(${x} / ${onePlus})` : `(${x} * sigmoid4(${x}))`;
    case "mish":
      return isExact ? `exactMish4(${x})` : `mish4(${x})`;
    case "tanh":
      return isExact ? `exactTanh4(${x})` : `tanh4(${x})`;
    case "gelu": {
      if (!isExact) return `(0.5 * ${x} * (1.0 + tanh4(0.79788452 * ${x} * (1.0 + 0.044715 * ${x} * ${x}))))`;
      const cubic = `exact(exact(exact(exact(${x} * ${x}) * 0.044715) + 1.0) * ${x})`;
      return `(exact(${x} * 0.5) * exact(exactTanh4(exact(${cubic} * 0.79788452)) + 1.0))`;
    }
    case "hardSigmoid":
      return gate(activation, x, isExact);
    case "hardSwish":
      return `(${x} * ${gate(activation, x, isExact)})`;
  }
}

function gate({ alpha, beta }: { alpha: number; beta: number }, x: string, isExact: boolean): string {
  const product = `${x} * ${float(alpha)}`;
  return `clamp(${isExact ? `exact(${product})` : product} + ${float(beta)}, vec4<f32>(0.0), vec4<f32>(1.0))`;
}

export function arithmetic(operator: BinaryOperator, a: string, b: string): string {
  switch (operator) {
    case "add":
      return `(${a} + ${b})`;
    case "sub":
      return `(${a} - ${b})`;
    case "mul":
      return `(${a} * ${b})`;
    case "div":
      return `(${a} / ${b})`;
    case "max":
      return `max(${a}, ${b})`;
    case "min":
      return `min(${a}, ${b})`;
    case "rsub":
      return `(${b} - ${a})`;
    case "rdiv":
      return `(${b} / ${a})`;
  }
}

/**
 * `madd(a, b, c)`: a·b + c rounded once. Where `fma` rounds twice the product is taken apart (Dekker) and what both roundings lost is added
 * last.
 */
export function maddText(isFused: boolean): string {
  if (isFused)
    return "fn madd(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> { return fma(a, b, c); }";
  return `fn upper(x: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) & vec4<u32>(0xfffff000u)); }
fn madd(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
  let p = exact(a * b);
  let ah = upper(a);
  let al = exact(a - ah);
  let bh = upper(b);
  let bl = exact(b - bh);
  let e0 = exact(exact(ah * bh) - p);
  let e1 = exact(e0 + exact(ah * bl));
  let e2 = exact(e1 + exact(al * bh));
  let e = exact(e2 + exact(al * bl));
  let s = exact(p + c);
  let t = exact(s - p);
  let r = exact(exact(p - exact(s - t)) + exact(c - t));
  return s + exact(r + e);
}`;
}
