/** OpenTelemetry, where a program has it: spans go to the tracer that `@opentelemetry/api` was told of, and nowhere without it. */

/** Notes about what is traced. */
export interface Span {
  note(name: string, value: string | number): void;
  /** Calls it otherwise, once more is known. */
  rename(name: string): void;
}

/** Runs something as a span, the child of what the request's headers name. */
export type Trace = <T>(
  name: string,
  headers: Readonly<Record<string, unknown>>,
  run: (span: Span) => Promise<T>,
) => Promise<T>;

const untraced: Trace = (_name, _headers, run) => run({ note: () => {}, rename: () => {} });

export async function findTrace(): Promise<Trace> {
  const api = await import("@opentelemetry/api").catch(() => undefined);
  if (!api) return untraced;
  const { context, propagation, SpanKind, SpanStatusCode, trace } = api;
  const tracer = trace.getTracer("ncnnkit");
  return (name, headers, run) => {
    const parent = propagation.extract(context.active(), headers);
    return tracer.startActiveSpan(name, { kind: SpanKind.SERVER }, parent, async (span) => {
      try {
        return await run({
          note: (key, value) => void span.setAttribute(key, value),
          rename: (other) => void span.updateName(other),
        });
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  };
}
