/** The Open Inference Protocol, version 2, over REST: what clients of Triton and KServe speak. */
import { version } from "../../base/version.ts";
import { type Endpoint, noQuery, readQuery, type ServeContext } from "./endpoint.ts";
import { modelVersion } from "./infer.ts";
import type { InferQuestion, ModelFacts } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import {
  inferRequestFor,
  inferResponse,
  live,
  modelFacts,
  modelReady,
  ready,
  serverFacts,
} from "./schemas.ts";
import { type Works, work } from "./work.ts";

/** Paths of a model, with the version and without. */
const modelPaths = ["/v2/models/:model", "/v2/models/:model/versions/:version"];
const lengthHeader = "inference-header-content-length";

/** `isStopping`: the server finishes what it has. */
export function v2Endpoints(works: Works, isStopping: () => boolean): Endpoint[] {
  const { models } = works;
  const isReady = (): boolean => !isStopping() && models.alive > 0;
  return [
    {
      method: "get",
      path: "/v2",
      doc: {
        summary: "What this server is.",
        query: noQuery,
        answers: { 200: { about: "Its name and extensions.", json: serverFacts } },
      },
      handle: (context) => {
        readQuery(context, noQuery);
        return context.json({ name: "ncnnkit", version, extensions: ["binary_tensor_data"] });
      },
    },
    {
      method: "get",
      path: "/v2/health/live",
      open: true,
      doc: { summary: "Whether the server runs.", answers: { 200: { about: "It does.", json: live } } },
      handle: (context) => context.json({ live: true }),
    },
    {
      method: "get",
      path: "/v2/health/ready",
      open: true,
      doc: {
        summary: "Whether the server takes requests.",
        answers: { 200: { about: "It does.", json: ready }, 503: { about: "It does not.", json: ready } },
      },
      handle: (context) => context.json({ ready: isReady() }, isReady() ? 200 : 503),
    },
    ...modelPaths.flatMap((path) => modelEndpoints(path, works, isReady)),
  ];
}

function modelEndpoints(path: string, works: Works, isReady: () => boolean): Endpoint[] {
  return [
    {
      method: "get",
      path,
      doc: {
        summary: "A model's inputs, outputs and classes.",
        query: noQuery,
        answers: { 200: { about: "Shapes begin with the batch.", json: modelFacts } },
        refusals: [400, 404],
      },
      handle: (context) => {
        readQuery(context, noQuery);
        return context.json(metadata(asked(context, works)));
      },
    },
    {
      method: "get",
      path: `${path}/ready`,
      doc: {
        summary: "Whether a model takes requests.",
        query: noQuery,
        answers: {
          200: { about: "It does.", json: modelReady },
          503: { about: "It does not.", json: modelReady },
        },
        refusals: [400, 404],
      },
      handle: (context) => {
        readQuery(context, noQuery);
        const { name } = asked(context, works);
        return context.json({ name, ready: isReady() }, isReady() ? 200 : 503);
      },
    },
    {
      method: "post",
      path: `${path}/infer`,
      doc: {
        summary: "A model's outputs for its input, as JSON or (binary_tensor_data) as bytes behind the JSON.",
        query: noQuery,
        timed: true,
        get body() {
          return { "application/json": inferRequestFor([...works.models.facts.values()]) };
        },
        answers: {
          200: { about: "The outputs.", json: inferResponse, others: ["application/octet-stream"] },
        },
        refusals: [400, 404, 408, 413, 415, 503, 504],
      },
      handle: (context) => infer(context, works),
    },
  ];
}

/** The model of the path. Throws Refusal (404) for one that there is not, or not in this version. */
function asked(context: ServeContext, { models }: Works): ModelFacts {
  const facts = models.require(context.req.param("model") ?? "");
  const version = context.req.param("version");
  if (version !== undefined && version !== modelVersion) {
    throw new Refusal(
      404,
      `${facts.name} has no version ${JSON.stringify(version)}; there is ${modelVersion}`,
    );
  }
  return facts;
}

function metadata({ name, input, outputs, task, labels }: ModelFacts): unknown {
  const tensor = (each: ModelFacts["input"]): unknown => ({
    name: each.name,
    datatype: "FP32",
    shape: [-1, ...each.shape],
  });
  return {
    ...{ name, versions: [modelVersion], platform: "ncnnkit" },
    inputs: [tensor(input)],
    outputs: outputs.map(tensor),
    parameters: { task, labels },
  };
}

function infer(context: ServeContext, works: Works): Promise<Response> {
  readQuery(context, noQuery);
  const { name } = asked(context, works);
  const text = context.req.header(lengthHeader);
  if (text !== undefined && !/^\d{1,10}$/.test(text)) {
    throw new Refusal(400, `${lengthHeader} is ${JSON.stringify(text)}, expected a number of bytes`);
  }
  return work(context, works, name, async ({ bytes }, { deadline }, latest): Promise<InferQuestion> => {
    const encoding = context.req.header("content-encoding") ?? "";
    const headerLength = text === undefined ? undefined : Number(text);
    return {
      kind: "infer",
      model: name,
      deadline,
      latest,
      limits: works.limits,
      bytes,
      encoding,
      headerLength,
    };
  });
}
