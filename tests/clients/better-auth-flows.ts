// Better Auth as docs/integrations/better-auth.md sets it up, driven through its handler; codes and links come from the inbox.
import { auth } from "./auth.js";

const [ada, grace, adaNew] = process.argv.slice(2) as [string, string, string];
const url = process.env.MAILROOM_URL;
const APP = "http://app.example.com";

interface Received {
  to: string;
  kind: string;
  text: string;
}

let cookies: Record<string, string> = {};

async function call(path: string, body?: unknown): Promise<any> {
  const address = path.startsWith("http") ? path : `${APP}/api/auth${path}`;
  const response = await auth.handler(
    new Request(address, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        origin: APP,
        "content-type": "application/json",
        "accept-language": "fr;q=0.3, de-AT, en;q=0.9",
        cookie: Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join("; "),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  for (const cookie of response.headers.getSetCookie()) {
    const [pair = ""] = cookie.split(";");
    cookies[pair.slice(0, pair.indexOf("="))] = pair.slice(pair.indexOf("=") + 1);
  }
  const text = await response.text();
  if (response.status >= 400) {
    throw new Error(`${path}: ${response.status} ${text}`);
  }
  return text.startsWith("{") ? JSON.parse(text) : text;
}

const counts: Record<string, number> = {};

/** Waits for the next mail of a kind to a reader; returns its code and link. */
async function mail(to: string, kind: string): Promise<{ code: string; link: string }> {
  const number = (counts[`${to} ${kind}`] = (counts[`${to} ${kind}`] ?? 0) + 1);
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const inbox = (await (await fetch(`${url}/inbox.json`)).json()) as Received[];
    const received = inbox.filter((one) => one.to === to && one.kind === kind);
    if (received.length >= number) {
      const text = received[0]?.text ?? "";
      return { code: /\b\d{6}\b/.exec(text)?.[0] ?? "", link: /https?:\/\/app\.example\.com\S+/.exec(text)?.[0] ?? "" };
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`no ${kind} to ${to}`);
}

const results: Record<string, unknown> = {};

await call("/sign-up/email", { email: ada, password: "first-password", name: "Ada", locale: "de_AT" });
await call((await mail(ada, "email-confirmation")).link);
results.verified = (await call("/get-session")).user.emailVerified;

await call("/request-password-reset", { email: ada, redirectTo: "/reset" });
const resetToken = new URL((await mail(ada, "password-reset")).link).pathname.split("/").at(-1);
await call("/reset-password", { newPassword: "second-password", token: resetToken });
await mail(ada, "security-notice");
results.reset = (await call("/sign-in/email", { email: ada, password: "second-password" })).user.email;

await call("/email-otp/send-verification-otp", { email: ada, type: "sign-in" });
results.otp = (await call("/sign-in/email-otp", { email: ada, otp: (await mail(ada, "sign-in-code")).code })).user.email;
await call("/email-otp/send-verification-otp", { email: ada, type: "email-verification" });
results.emailOtp = (await call("/email-otp/verify-email", { email: ada, otp: (await mail(ada, "email-confirmation")).code })).status;
await call("/email-otp/send-verification-otp", { email: ada, type: "forget-password" });
const { code: resetCode } = await mail(ada, "password-reset");
results.resetOtp = (await call("/email-otp/reset-password", { email: ada, otp: resetCode, password: "third-password" })).success;
await mail(ada, "security-notice");
await call("/sign-in/email", { email: ada, password: "third-password" });

await call("/sign-in/magic-link", { email: ada, callbackURL: "/home" });
await call((await mail(ada, "sign-in-code")).link);
results.magicLink = (await call("/get-session")).user.email;

const acme = await call("/organization/create", { name: "Böx & Co", slug: "box" });
await call("/organization/invite-member", { email: grace, role: "member", organizationId: acme.id });
results.invitation = (await mail(grace, "organization-invitation")).link.startsWith(`${APP}/join/`);
await call("/organization/invite-member", { email: grace, role: "member", organizationId: acme.id, resend: true });
results.invitedAgain = (await mail(grace, "organization-invitation")).link.startsWith(`${APP}/join/`);

await call("/change-email", { newEmail: adaNew });
await call((await mail(ada, "permission-code")).link);
await call((await mail(adaNew, "email-confirmation")).link);
results.changed = (await call("/get-session")).user.email;

await call("/two-factor/enable", { password: "third-password" });
cookies = {};
await call("/sign-in/email", { email: adaNew, password: "third-password" });
await call("/two-factor/send-otp", {});
results.twoFactor = (await call("/two-factor/verify-otp", { code: (await mail(adaNew, "mfa-code")).code })).user.email;

await call("/delete-user", { callbackURL: "/bye" });
await call((await mail(adaNew, "permission-code")).link);
results.deleted = (await call("/get-session")) === "null";

console.log(JSON.stringify(results));
