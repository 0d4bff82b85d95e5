import { describe, expect, it } from "vitest";
import {
  addTo,
  type Func,
  forRange,
  type Local,
  Module,
  pushAddress,
  type ValueType,
  whileLoop,
} from "../../src/wasm/index.ts";

type Exports = Record<string, (...args: number[]) => number>;
function instantiate(m: Module): Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(m.encode())).exports as Exports;
}

/** Emits a function (x: i32, y: f32) → i32 and returns it. */
function build(
  body: (f: Func<{ x: "i32"; y: "f32" }>) => void,
  results: ValueType[] = ["i32"],
): Exports[string] {
  const m = new Module();
  m.memory({ min: 1 });
  m.func("test", { params: { x: "i32", y: "f32" }, results, export: true }, body);
  return instantiate(m).test;
}

describe("stack checking", () => {
  it.each<[string, (f: Func<{ x: "i32"; y: "f32" }>) => void, string]>([
    [
      "wrong type",
      (f) => {
        f.get(f.params.x);
        f.get(f.params.y);
        f.op("i32.add");
      },
      'wasm function "test": i32.add expects [i32 i32], found [i32 f32]',
    ],
    [
      "too few",
      (f) => {
        f.get(f.params.x);
        f.op("i32.add");
      },
      "i32.add expects [i32 i32], found [i32]",
    ],
    [
      "nothing left in the block",
      (f) => {
        f.get(f.params.x);
        f.block(() => f.drop());
      },
      "drop expects a value, found [] in this block",
    ],
    [
      "values left over",
      (f) => {
        f.i32(1);
        f.i32(2);
      },
      "end of function expects [i32], found [i32 i32]",
    ],
    ["no result", () => {}, "end of function expects [i32], found []"],
    [
      "values left in a loop",
      (f) => f.loop(() => f.i32(1)),
      "end of loop expects [], found [i32] in this loop",
    ],
    [
      "set",
      (f) => {
        f.i32(1);
        f.set(f.params.y);
      },
      "local.set y expects [f32], found [i32]",
    ],
    [
      "store",
      (f) => {
        f.i32(0);
        f.i32(0);
        f.op("v128.store");
      },
      "v128.store expects [i32 v128], found [i32 i32]",
    ],
    [
      "condition",
      (f) => {
        f.f32(0);
        f.if(() => {});
      },
      "if expects [i32], found [f32]",
    ],
    [
      "branch value",
      (f) =>
        f.block(
          (out) => {
            f.f32(1);
            f.br(out);
          },
          ["i32"],
        ),
      "br expects [i32], found [f32] in this block",
    ],
    ["return value", (f) => f.return(), "return expects [i32], found []"],
    [
      "select",
      (f) => {
        f.i32(1);
        f.f32(1);
        f.i32(1);
        f.select();
      },
      "select expects two values of one type below the condition, found [i32 f32 i32]",
    ],
    [
      "after br, below what was pushed",
      (f) =>
        f.block((out) => {
          f.br(out);
          f.f32(1);
          f.op("i32.eqz");
        }),
      "i32.eqz expects [i32], found [f32]",
    ],
    [
      "then and else",
      (f) => {
        f.i32(1);
        f.if(
          () => f.f32(1),
          () => f.i32(1),
          ["i32"],
        );
      },
      "end of then expects [i32], found [f32] in this if",
    ],
    [
      "result without else",
      (f) => {
        f.i32(1);
        f.if(() => f.i32(1), undefined, ["i32"]);
      },
      "if with results needs an else",
    ],
    [
      "closed label",
      (f) => {
        let label: Parameters<typeof f.br>[0] | undefined;
        f.block((l) => {
          label = l;
        });
        f.br(label!);
      },
      "br to a block that is not open here",
    ],
    [
      "lane",
      (f) => {
        f.i32x4(0);
        f.op("i32x4.extract_lane", { lane: 4 });
      },
      "i32x4.extract_lane: lane 4 is not in 0..3",
    ],
    [
      "shuffle",
      (f) => {
        f.i32x4(0);
        f.i32x4(0);
        f.op("i8x16.shuffle", { lanes: [1, 2] });
      },
      "i8x16.shuffle: expects 16 lanes, found 2",
    ],
    [
      "alignment",
      (f) => {
        f.i32(0);
        f.op("i32.load", { align: 3 });
      },
      "i32.load: align 3 is log2 of bytes, at most 2",
    ],
    [
      "atomic alignment",
      (f) => {
        f.i32(0);
        f.op("i32.atomic.load", { align: 1 });
      },
      "i32.atomic.load: align must be 2",
    ],
    [
      "offset",
      (f) => {
        f.i32(0);
        f.op("i32.load", { offset: -4 });
      },
      "i32.load: offset -4 is not an unsigned 32-bit number",
    ],
    ["constant", (f) => f.i32(2 ** 33), "i32.const: 8589934592 is not a signed 32-bit number"],
    ["lane constant", (f) => f.i8x16(256), "constant 256 does not fit a lane of 8 bits"],
    ["vector constant", (f) => f.v128(new Uint8Array(15)), "is not a constant of type v128"],
  ])("%s", (_, body, message) => {
    expect(() => build(body)).toThrow(message);
  });

  it("points at the generator's line", () => {
    const wrongLine = (f: Func): void => f.op("f32x4.add");
    let stack = "";
    try {
      build((f) => wrongLine(f));
    } catch (error) {
      stack = (error as Error).stack ?? "";
    }
    expect(stack).toContain("wrongLine");
  });

  it("refuses another function's local and another module's function", () => {
    const m = new Module();
    let stolen: Local | undefined;
    const other = m.func("other", { params: { a: "i32" }, results: [] }, (f) => {
      stolen = f.params.a;
    });
    expect(() => build((f) => f.get(stolen!))).toThrow('local "a" belongs to another function');
    expect(() => build((f) => f.call(other))).toThrow('a function ("other") of another module');
  });

  it("accepts anything after a branch, as engines do", () => {
    const run = build((f) => {
      f.block(
        (out) => {
          f.i32(5);
          f.br(out);
          f.op("i32.add");
          f.select();
          f.drop();
          f.unreachable();
        },
        ["i32"],
      );
    });
    expect(run(0, 0)).toBe(5);
    expect(() => build((f) => f.unreachable())(0, 0)).toThrow(WebAssembly.RuntimeError);
  });
});

describe("control flow", () => {
  it("sums with a counted loop", () => {
    const sum = build((f) => {
      const [i, total] = [f.local("i32", "i"), f.local("i32", "total")];
      forRange(f, i, 0, f.params.x, 3, () => {
        f.get(total);
        f.get(i);
        f.op("i32.add");
        f.set(total);
      });
      f.get(total);
    });
    expect([-5, 0, 1, 3, 4, 10].map((n) => sum(n, 0))).toEqual([0, 0, 0, 0, 3, 18]);
  });
  it.each([
    [0, 10, 3, 4],
    [5, 5, 1, 0],
    [7, 5, 1, 0],
    [-4, 4, 8, 1],
  ])("counts rounds of constants %i..%i by %i", (start, end, step, rounds) => {
    const count = build((f) => {
      const [i, total] = [f.local("i32"), f.local("i32")];
      forRange(f, i, start, end, step, () => addTo(f, total, 1));
      f.get(total);
    });
    expect(count(0, 0)).toBe(rounds);
  });
  it("refuses a step that never arrives", () => {
    expect(() => build((f) => forRange(f, f.params.x, 0, 5, 0, () => {}))).toThrow("step 0");
  });
  it("loops while a condition holds (greatest common divisor)", () => {
    const m = new Module();
    m.func("gcd", { params: { a: "i32", b: "i32" }, results: ["i32"], export: true }, (f) => {
      const { a, b } = f.params;
      whileLoop(
        f,
        () => f.get(b),
        () => {
          f.get(b);
          f.get(a);
          f.get(b);
          f.op("i32.rem_u");
          f.set(b);
          f.set(a);
        },
      );
      f.get(a);
    });
    expect(instantiate(m).gcd(84, 36)).toBe(12);
  });
  it("computes addresses", () => {
    const address = build((f) => pushAddress(f, 1000, f.params.x, 48));
    expect(address(3, 0)).toBe(1144);
    const constant = build((f) => pushAddress(f, f.params.x, 2, 48));
    expect(constant(10, 0)).toBe(106);
  });
  it("branches by number", () => {
    const pick = build((f) => {
      f.block((otherwise) => {
        f.block((one) => {
          f.block((zero) => {
            f.get(f.params.x);
            f.brTable([zero, one], otherwise);
          });
          f.i32(100);
          f.return();
        });
        f.i32(200);
        f.return();
      });
      f.i32(300);
    });
    expect([0, 1, 2, -1].map((x) => pick(x, 0))).toEqual([100, 200, 300, 300]);
  });
  it("takes both arms of an if, with several results", () => {
    const run = build((f) => {
      f.get(f.params.x);
      f.if(() => {
        f.i32(1);
        f.i32(2);
      }, () => {
        f.i32(10);
        f.i32(20);
      }, ["i32", "i32"]);
      f.op("i32.sub");
    });
    expect([run(1, 0), run(0, 0)]).toEqual([-1, -10]);
  });
  it("leaves a loop with brIf and keeps the value below", () => {
    const run = build((f) => {
      f.block(
        (out) => {
          f.loop(() => {
            f.get(f.params.x);
            f.get(f.params.x);
            f.brIf(out);
            f.drop();
          });
          f.i32(-1);
        },
        ["i32"],
      );
    });
    expect([run(7, 0), run(0, 0)]).toEqual([7, -1]);
  });
  it("selects", () => {
    const run = build((f) => {
      f.i32(11);
      f.i32(22);
      f.get(f.params.x);
      f.select();
      f.nop();
    });
    expect([run(1, 0), run(0, 0)]).toEqual([11, 22]);
  });
  it("tees", () => {
    const run = build((f) => {
      const copy = f.local("i32");
      f.get(f.params.x);
      f.tee(copy);
      f.get(copy);
      f.op("i32.mul");
    });
    expect(run(9, 0)).toBe(81);
  });
});

it("writes constants of every lane shape", () => {
  const lane0 = (push: (f: Func) => void, op: (f: Func) => void): number =>
    build((f) => {
      push(f);
      op(f);
    })(0, 0);
  expect(
    lane0(
      (f) => f.f32x4(1.5),
      (f) => {
        f.op("f32x4.extract_lane", { lane: 3 });
        f.op("i32.reinterpret_f32");
      },
    ),
  ).toBe(0x3fc00000);
  expect(
    lane0(
      (f) => f.i32x4(0xfffffff0),
      (f) => f.op("i32x4.extract_lane", { lane: 3 }),
    ),
  ).toBe(-16);
  expect(
    lane0(
      (f) => f.i16x8(65535),
      (f) => f.op("i16x8.extract_lane_s", { lane: 7 }),
    ),
  ).toBe(-1);
  expect(
    lane0(
      (f) => f.i8x16(-128),
      (f) => f.op("i8x16.extract_lane_u", { lane: 15 }),
    ),
  ).toBe(128);
  expect(
    lane0(
      (f) => f.f64(-0.5),
      (f) => f.op("i32.trunc_sat_f64_s"),
    ),
  ).toBe(0);
  expect(
    lane0(
      (f) => f.i64(2n ** 64n - 2n),
      (f) => f.op("i32.wrap_i64"),
    ),
  ).toBe(-2);
  expect(
    lane0(
      (f) => f.i32(0xffffffff),
      () => {},
    ),
  ).toBe(-1);
});
