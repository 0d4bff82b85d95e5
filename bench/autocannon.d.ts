/** What the benchmarks use of autocannon, so that types are checked where its package is not installed. */
declare module "autocannon" {
  interface Options {
    url: string;
    method: string;
    headers: Record<string, string>;
    body: Buffer;
    connections: number;
    /** Seconds. */
    duration?: number;
    amount?: number;
    overallRate?: number;
    timeout?: number;
  }
  interface Result {
    non2xx: number;
    errors: number;
    timeouts: number;
    "2xx": number;
    /** Seconds. */
    duration: number;
  }
  interface Run extends PromiseLike<Result> {
    on(
      event: "response",
      listener: (client: unknown, status: number, bytes: number, milliseconds: number) => void,
    ): void;
  }
  export default function autocannon(options: Options): Run;
}
