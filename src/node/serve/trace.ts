/** OpenTelemetry, where a program has it: spans go to the tracer that `@opentelemetry/api` was told of, and nowhere without it. */

/** Notes about what is traced. */
export interface Span {
  note(name: string, value: string | number): void;
}

/** Runs something as a span, the child of what the request's headers name. */
export type Trace = <T>(
  name: string,
  headers: Readonly<Record<string, unknown>>,
  run: (span: Span) => Promise<T>,
) => Promise<T>;

const untraced: Trace = (_name, _headers, run) => run({ note: () => {} });

export async function findTrace(): Promise<Trace> {
  const api = await import("@opentelemetry/api").catch(() => undefined);
  if (!api) return untraced;
  const { context, propagation, SpanKind, SpanStatusCode, trace } = api;
  const tracer = trace.getTracer("ncnnkit");
  return (name, headers, run) => {
    const parent = propagation.extract(context.active(), headers);
    return tracer.startActiveSpan(name, { kind: SpanKind.SERVER }, parent, async (span) => {
      try {
        return await run({ note: (key, value) => void span.setAttribute(key, value) });
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
        throw error;
      } finally {
        span.end();
      }
    });
  };
}
