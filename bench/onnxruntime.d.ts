/** The part of onnxruntime's packages that the benchmarks call; the packages themselves are installed below bench/ only. */
declare module "onnxruntime-web" {
  export interface Tensor {
    readonly data: Float32Array;
    readonly dims: readonly number[];
    /** What is on a device is fetched. */
    getData(): Promise<Float32Array>;
    dispose(): void;
  }
  export interface InferenceSession {
    readonly inputNames: readonly string[];
    run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  }
  const ort: {
    env: { wasm: { numThreads: number; wasmPaths?: string }; versions: { web?: string } };
    Tensor: new (type: "float32", data: Float32Array | Int8Array, dims: readonly number[]) => Tensor;
    InferenceSession: {
      create(
        model: Uint8Array,
        options: {
          executionProviders?: readonly string[];
          graphOptimizationLevel?: "all";
          executionMode?: "sequential" | "parallel";
          intraOpNumThreads?: number;
          interOpNumThreads?: number;
        },
      ): Promise<InferenceSession>;
    };
  };
  export default ort;
}
declare module "onnxruntime-node" {
  export { default } from "onnxruntime-web";
}
