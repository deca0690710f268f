// A stand-in for the core of SuperTokens, which its SDK calls for users, codes and tokens (CDI 5.4).
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export const userId = (email: string) => `user-of-${email}`;

/** Serves on a free port; returns its address. Only some addresses belong to a user. */
export async function startCore(members: readonly string[]): Promise<string> {
  const server = createServer(async (request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ status: "OK", ...answer(request, members) }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answer(request: IncomingMessage, members: readonly string[]): object {
  const url = new URL(request.url ?? "", "http://core");
  const email = url.searchParams.get("email") ?? url.searchParams.get("userId")?.slice(userId("").length) ?? "";
  const device = { preAuthSessionId: "session", email: members[0], failedCodeInputAttemptCount: 0, codes: [] };
  switch (url.pathname.replace(/^\/(public|acme)(?=\/)/, "")) {
    case "/apiversion":
      return { versions: ["5.4"] };
    case "/users/by-accountinfo":
      return { users: members.includes(email) ? [user(email)] : [] };
    case "/user/id":
      return { user: user(email) };
    case "/recipe/signinup/codes":
      return { devices: [device] };
    case "/recipe/signinup/code":
      return { ...CODE, timeCreated: Date.now() };
    case "/recipe/user/password/reset/token":
    case "/recipe/user/email/verify/token":
      return { token: "abc" };
    default:
      return {};
  }
}

const CODE = {
  preAuthSessionId: "session",
  codeId: "code",
  deviceId: "device",
  userInputCode: "482915",
  linkCode: "linkcode",
  codeLifetime: 900_000,
};

function user(email: string): object {
  const own = { tenantIds: ["public"], timeJoined: 1 };
  const method = { ...own, recipeId: "emailpassword", recipeUserId: userId(email), email, verified: false };
  return {
    ...own,
    id: userId(email),
    isPrimaryUser: false,
    emails: [email],
    phoneNumbers: [],
    thirdParty: [],
    webauthn: { credentialIds: [] },
    loginMethods: [method],
  };
}
