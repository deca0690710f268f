// SuperTokens as docs/integrations/supertokens.md sets it up: its API and its SDK hand their mails to ours.
import SuperTokens from "supertokens-node";
import { CollectingResponse, PreParsedRequest, middleware } from "supertokens-node/framework/custom";
import EmailPassword from "supertokens-node/recipe/emailpassword";
import EmailVerification from "supertokens-node/recipe/emailverification";
import { startCore, userId } from "./supertokens-core.js";

const [ada, grace, bob, stranger] = process.argv.slice(2) as [string, string, string, string];
process.env.SUPERTOKENS_URL = await startCore([ada, grace, bob]);
await import("./auth.js");
const handle = middleware<PreParsedRequest, CollectingResponse>();

/** Posts to the API as a browser does; returns the body of the answer. */
async function post(path: string, body: object): Promise<string | undefined> {
  const request = new PreParsedRequest({
    method: "post",
    url: `http://api.example.com/auth${path}`,
    headers: new Headers({ "accept-language": "de-AT, en;q=0.9", "content-type": "application/json" }),
    cookies: {},
    query: {},
    getJSONBody: async () => body,
    getFormBody: async () => body,
  });
  const response = new CollectingResponse();
  const { error } = await handle(request, response);
  if (error) {
    throw error;
  }
  return response.body;
}

const forgotten = (email: string) => post("/user/password/reset/token", { formFields: [{ id: "email", value: email }] });

await post("/signinup/code", { email: ada });
await post("/signinup/code/resend", { deviceId: "device", preAuthSessionId: "session" });
const answers = [await forgotten(grace), await forgotten(stranger)];
await EmailPassword.sendResetPasswordEmail("acme", userId(bob), bob);
await EmailVerification.sendEmailVerificationEmail(
  "public",
  userId(bob),
  new SuperTokens.RecipeUserId(userId(bob)),
  bob,
);
console.log(JSON.stringify(answers));
