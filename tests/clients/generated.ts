// A program on the types that openapi-typescript generates: MAILROOM_URL, key and recipient come as arguments.
import type { operations } from "./schema.js";

type Request = operations["send"]["requestBody"]["content"]["application/json"];
type Answers = operations["send"]["responses"];
type Answer = Answers[200]["content"]["application/json"];
type Refusal = Answers[422]["content"]["application/json"];

const [url, key, to] = process.argv.slice(2) as [string, string, string];

async function send(request: Request): Promise<Answer | Refusal> {
  const response = await fetch(`${url}/v1/emails`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  return (await response.json()) as Answer | Refusal;
}

const sent = await send({ kind: "sign-in-code", to, locale: ["de"], data: { code: "048213" } });
const refused = await send({ kind: "sign-in-cod", to, data: { code: "048213" } });
console.log(JSON.stringify({ sent: sent.status, refused: "errors" in refused ? refused.errors[0]?.message : "" }));
