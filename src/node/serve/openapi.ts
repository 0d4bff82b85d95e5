/** The OpenAPI 3.1 document, made of the endpoints and the schemas that requests are checked with. */
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { version } from "../../base/version.ts";
import type { AnswerDoc, Endpoint, EndpointDoc } from "./endpoint.ts";
import { modelVersion } from "./infer.ts";
import type { ModelFacts } from "./messages.ts";
import { refusal } from "./schemas.ts";
import { timeHeader } from "./work.ts";

type Json = Record<string, unknown>;

export interface DocFacts {
  readonly endpoints: readonly Endpoint[];
  readonly facts: ReadonlyMap<string, ModelFacts>;
  readonly hasTokens: boolean;
  /** The most milliseconds of a request. */
  readonly timeout: number;
}

export function openApi({ endpoints, facts, hasTokens, timeout }: DocFacts): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const { method, path, open, doc } of endpoints) {
    const at = path.replaceAll(/:(\w+)/g, "{$1}");
    const operation: Json = {
      operationId: `${method}${at.replaceAll(/\W+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
      summary: doc.summary,
      parameters: parameters(path, doc, facts, timeout),
      ...(doc.body && { requestBody: { required: true, content: bodies(doc.body, schemas) } }),
      responses: responses(doc, hasTokens && !open, schemas),
      ...(hasTokens && !open && { security: [{ token: [] }] }),
    };
    paths[at] = { ...paths[at], [method]: operation };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "ncnnkit serve",
      version,
      description: "Object detection: pictures at /detect, tensors by the Open Inference Protocol at /v2.",
    },
    paths,
    components: {
      schemas,
      ...(hasTokens && { securitySchemes: { token: { type: "http", scheme: "bearer" } } }),
    },
  };
}

/** A schema as JSON Schema; those with a name are put among the document's. */
function schemaOf(schema: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const { $schema: _, $defs, ...made } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  const text = (part: unknown): Json =>
    JSON.parse(JSON.stringify(part).replaceAll('"#/$defs/', '"#/components/schemas/'));
  for (const [name, each] of Object.entries(($defs as Json | undefined) ?? {})) {
    const { id: _id, ...rest } = text(each);
    schemas[name] = rest;
  }
  const { id, ...rest } = text(made);
  if (typeof id !== "string") return rest;
  schemas[id] = rest;
  return { $ref: `#/components/schemas/${id}` };
}

function parameters(
  path: string,
  { query, timed }: EndpointDoc,
  facts: ReadonlyMap<string, ModelFacts>,
  timeout: number,
): Json[] {
  const inPath: Record<string, Json> = {
    model: { type: "string", enum: [...facts.keys()] },
    version: { type: "string", enum: [modelVersion] },
  };
  const found = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    ...{ name, in: "path", required: true, schema: inPath[name] },
  }));
  const asked = Object.entries((query?.shape ?? {}) as Record<string, z.ZodType>).map(([name, schema]) => {
    const made = schemaOf(schema, "input", {});
    return {
      ...{ name, in: "query", required: false, description: made.description, schema: made },
      ...(made.type === "array" && { style: "form", explode: false }),
    };
  });
  const time = {
    ...{ name: timeHeader, in: "header", required: false },
    description: "Milliseconds that the request may take in all.",
    schema: { type: "integer", minimum: 1, maximum: timeout },
  };
  return [...found, ...asked, ...(timed ? [time] : [])];
}

function bodies(body: NonNullable<EndpointDoc["body"]>, schemas: Json): Json {
  return Object.fromEntries(
    Object.entries(body).map(([media, schema]) => [
      media,
      {
        schema:
          schema === "binary" ? { type: "string", format: "binary" } : schemaOf(schema, "input", schemas),
      },
    ]),
  );
}

function responses(doc: EndpointDoc, isGuarded: boolean, schemas: Json): Json {
  const answers = Object.entries(doc.answers).map(([status, answer]) => [status, response(answer, schemas)]);
  const refusals = [...(doc.refusals ?? [400]), ...(isGuarded ? [401] : []), 405, 500];
  const ends = [...new Set(refusals)]
    .filter((status) => !(status in doc.answers))
    .map((status) => [
      status,
      response({ about: STATUS_CODES[status] ?? "Refused", json: refusal }, schemas),
    ]);
  return Object.fromEntries([...answers, ...ends]);
}

function response({ about, json, others = [] }: AnswerDoc, schemas: Json): Json {
  const content = {
    ...(json && { "application/json": { schema: schemaOf(json, "output", schemas) } }),
    ...Object.fromEntries(others.map((media) => [media, { schema: mediaSchema(media) }])),
  };
  const headers = { "x-request-id": { schema: { type: "string" }, description: "Also in the log." } };
  return { description: about, headers, content };
}

const mediaSchema = (media: string): Json =>
  media.startsWith("text/") ? { type: "string" } : { type: "string", format: "binary" };
