/**
 * Sends mail through Mailroom. Copy this file into your project: it needs nothing but a platform with `fetch`
 * (Node 18, Deno, Bun, Cloudflare Workers).
 *
 *     const mailroom = new Mailroom({ url: process.env.MAILROOM_URL, key: process.env.MAILROOM_API_KEY });
 *     await mailroom.send({ kind: "sign-in-code", to: "reader@example.com", data: { code: "048213" } });
 *
 * A request that fails on the way, is throttled, or finds Mailroom unavailable is repeated with the same idempotency
 * key: it becomes one mail.
 */

export type Kind =
  | "sign-in-code"
  | "sign-up-code"
  | "password-reset"
  | "email-confirmation"
  | "mfa-code"
  | "bind-mfa-code"
  | "permission-code"
  | "bind-identifier-code"
  | "generic-code"
  | "organization-invitation"
  | "security-notice"
  | "notification"
  | "magic-link"
  | (string & {}); // a kind of the tenant's own templates

export interface Content {
  /** The code to enter. */
  code?: string | undefined;
  /** The URL to open. */
  link?: string | undefined;
  /** Subject and heading of a notification. */
  title?: string | undefined;
  paragraphs?: string | readonly string[] | undefined;
  button?: { url: string; text?: string } | undefined;
  facts?: Readonly<Record<string, string | number>> | undefined;
  /** What a security notice is about, such as `password-changed`. */
  event?: string | undefined;
  /** Where the request of a code or change came from. */
  request?: { ip?: string; device?: string; place?: string; time?: string | number } | undefined;
  application?: unknown;
  organization?: unknown;
  inviter?: unknown;
  /** Values of the tenant's own templates. */
  [name: string]: unknown;
}

export interface Mail {
  kind: Kind;
  to: string;
  /** Determines sender, brand and provider; by default, the client's. */
  tenant?: string | undefined;
  /** The recipient's languages, the preferred one first. */
  locale?: string | readonly string[] | undefined;
  data?: Content | undefined;
  /** Requests with the same key are one mail for 24 hours; by default, each call of `send` is one. */
  idempotencyKey?: string | undefined;
  /** `inline`, the default, resolves when the mail is sent; `queued` as soon as it is stored. */
  mode?: "inline" | "queued" | undefined;
  /** Seconds after which the mail is not sent any more: the lifetime of its code or link. */
  expiresIn?: number | undefined;
}

export interface Delivery {
  messageId: string;
  status: "accepted" | "sent" | "skipped";
  /** Why the mail was skipped. */
  reason?: string;
  provider?: string;
  providerId?: string;
}

export interface Problem {
  field: string;
  message: string;
}

export interface Options {
  /** The address of your stack; the local one is http://127.0.0.1:3000. */
  url: string | undefined;
  key: string | undefined;
  tenant?: string | undefined;
  /** How long a mail is tried. */
  patienceMs?: number;
  /** How long one request may take. */
  timeoutMs?: number;
  fetch?: typeof fetch;
  sleep?: (milliseconds: number) => Promise<void>;
}

/** The mail was not sent. With `status` 0, Mailroom could not be reached. */
export class MailroomError extends Error {
  override readonly name = "MailroomError";

  constructor(
    message: string,
    readonly status: number,
    /** The invalid fields of a refused request. */
    readonly problems: readonly Problem[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const FIRST_PAUSE_MS = 250;
const TEMPORARY = new Set([0, 408, 425, 429, 500, 502, 503, 504]);

interface Answer {
  status: number;
  body: Record<string, unknown>;
  retryAfterMs: number | undefined;
  cause?: unknown;
}

export class Mailroom {
  private readonly url: string;
  private readonly key: string;

  constructor(private readonly options: Options) {
    if (!options.url || !options.key) {
      throw new MailroomError("Set the url and the key of Mailroom.", 0);
    }
    this.url = `${options.url.replace(/\/+$/, "")}/v1/emails`;
    this.key = options.key;
  }

  /** Sends a mail; throws a MailroomError if it was not sent. */
  async send(mail: Mail): Promise<Delivery> {
    const { idempotencyKey = crypto.randomUUID(), expiresIn, tenant = this.options.tenant, ...fields } = mail;
    const lifetime = expiresIn === undefined ? {} : { expires_in: Math.max(1, Math.floor(expiresIn)) };
    const body = JSON.stringify({ ...fields, tenant, ...lifetime, idempotency_key: idempotencyKey });
    const sleep = this.options.sleep ?? ((ms: number) => new Promise<void>((done) => setTimeout(done, ms)));
    let patienceMs = this.options.patienceMs ?? 30_000;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
      const startedAt = Date.now();
      const answer = await this.post(body);
      const waitMs = Math.max(answer.retryAfterMs ?? 0, pauseMs * (0.75 + Math.random() / 2));
      patienceMs -= Date.now() - startedAt + waitMs;
      if (!isTemporary(answer) || patienceMs < 0) {
        return deliveryOf(answer);
      }
      await sleep(waitMs);
    }
  }

  private async post(body: string): Promise<Answer> {
    try {
      const response = await (this.options.fetch ?? fetch)(this.url, {
        method: "POST",
        headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(this.options.timeoutMs ?? 25_000),
      });
      const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
      return {
        status: response.status,
        body: asObject(await response.json().catch(() => ({}))),
        retryAfterMs: Number.isNaN(retryAfter) ? undefined : retryAfter * 1000,
      };
    } catch (cause) {
      return { status: 0, body: {}, retryAfterMs: undefined, cause };
    }
  }
}

/** A mail that no provider accepted, or that one may have accepted, has its final answer; so has an invalid request. */
function isTemporary({ status, body, retryAfterMs }: Answer): boolean {
  if (status === 409) {
    return retryAfterMs !== undefined; // the same mail is being sent at this moment
  }
  const isFinal = (status === 502 && body.status === "failed") || (status === 504 && body.status === "unknown");
  return TEMPORARY.has(status) && !isFinal;
}

function deliveryOf({ status, body, cause }: Answer): Delivery {
  const text = (name: string): string => (typeof body[name] === "string" ? body[name] : "");
  if (text("status") === "sent" || text("status") === "accepted" || text("status") === "skipped") {
    return {
      messageId: text("message_id"),
      status: text("status") as Delivery["status"],
      ...(text("reason") ? { reason: text("reason") } : {}),
      ...(text("provider") ? { provider: text("provider") } : {}),
      ...(text("provider_id") ? { providerId: text("provider_id") } : {}),
    };
  }
  const problems = (Array.isArray(body.errors) ? body.errors : []).map(asObject).map((problem) => ({
    field: String(problem.field),
    message: String(problem.message),
  }));
  const details = problems.map((problem) => `${problem.field}: ${problem.message}`).join(" ");
  const reason = [text("status"), text("reason")].filter(Boolean).join(", ");
  const summary = status === 0 ? "Mailroom cannot be reached." : `Mailroom has not sent the mail (HTTP ${status}).`;
  throw new MailroomError([summary, details || reason].filter(Boolean).join(" "), status, problems, { cause });
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
