// SuperTokens as docs/integrations/supertokens.md sets it up: its recipes hand their mails to ours, as its API does.
import SuperTokens from "supertokens-node";
import EmailPassword from "supertokens-node/recipe/emailpassword";
import EmailVerification from "supertokens-node/recipe/emailverification";
import Passwordless from "supertokens-node/recipe/passwordless";
import "./auth.js";

const [ada, grace, bob] = process.argv.slice(2) as [string, string, string];
const request = { getHeaderValue: (name: string) => (name === "accept-language" ? "de-AT, en;q=0.9" : undefined) };
const userContext = { _default: { request } };
const user = (email: string) => ({ id: "7", recipeUserId: new SuperTokens.RecipeUserId("7"), email });
const link = (path: string) => `http://app.example.com/auth/${path}?token=abc&tenantId=public`;

await Passwordless.sendEmail({
  type: "PASSWORDLESS_LOGIN",
  isFirstFactor: true,
  email: ada,
  codeLifetime: 900_000,
  preAuthSessionId: "session",
  userInputCode: "482915",
  urlWithLinkCode: `${link("verify")}#linkcode=`,
  tenantId: "public",
  userContext,
});
await EmailPassword.sendEmail({
  type: "PASSWORD_RESET",
  user: user(grace),
  passwordResetLink: link("reset-password"),
  tenantId: "acme",
  userContext,
});
await EmailVerification.sendEmail({
  type: "EMAIL_VERIFICATION",
  user: user(bob),
  emailVerifyLink: link("verify-email"),
  tenantId: "public",
});
