/** Activations and arithmetic on `vec4<f32>`, as text. */
import { type Activation, unbounded } from "../../base/activation.ts";
import type { BinaryOperator } from "../operators.ts";
import { float, splat } from "./_text.ts";

/** Functions that activations call; each is put in where its name comes up. */
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
};

export function functionsFor(text: string): string {
  return Object.entries(functions)
    .filter(([name]) => text.includes(`${name}(`))
    .map(([, code]) => code)
    .join("\n");
}

export function activationOf(activation: Activation, x: string): string {
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
      return `sigmoid4(${x})`;
    case "swish":
      return `(${x} * sigmoid4(${x}))`;
    case "mish":
      return `mish4(${x})`;
    case "tanh":
      return `tanh4(${x})`;
    case "gelu":
      return `(0.5 * ${x} * (1.0 + tanh4(0.79788452 * ${x} * (1.0 + 0.044715 * ${x} * ${x}))))`;
    case "hardSigmoid":
      return gate(activation, x);
    case "hardSwish":
      return `(${x} * ${gate(activation, x)})`;
  }
}

const gate = ({ alpha, beta }: { alpha: number; beta: number }, x: string): string =>
  `clamp(${x} * ${float(alpha)} + ${float(beta)}, vec4<f32>(0.0), vec4<f32>(1.0))`;

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
