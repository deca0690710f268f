/**
 * The mails of Better Auth, as callbacks of its options and plugins. Copy this file and mailroom.ts into your project.
 *
 *     const mails = betterAuthMails(mailroom, { invitationUrl: (id) => `https://app.example.com/join/${id}` });
 *     betterAuth({
 *       emailVerification: { sendVerificationEmail: mails.sendVerificationEmail },
 *       emailAndPassword: { enabled: true, sendResetPassword: mails.sendResetPassword, onPasswordReset: mails.onPasswordReset },
 *       user: {
 *         changeEmail: { enabled: true, sendChangeEmailConfirmation: mails.sendChangeEmailConfirmation },
 *         deleteUser: { enabled: true, sendDeleteAccountVerification: mails.sendDeleteAccountVerification },
 *       },
 *       plugins: [
 *         emailOTP({ sendVerificationOTP: mails.sendVerificationOTP }),
 *         magicLink({ sendMagicLink: mails.sendMagicLink }),
 *         organization({ sendInvitationEmail: mails.sendInvitationEmail }),
 *         twoFactor({ otpOptions: { sendOTP: mails.sendOTP } }),
 *       ],
 *     });
 *
 * Better Auth runs most callbacks in the background and drops their errors: `onError` reports them.
 */

import type { Content, Kind, Mailroom } from "./mailroom.js";

interface User {
  email: string;
  /** An additional field of yours. */
  locale?: unknown;
}

/** A Request, or the context of an endpoint; absent where Better Auth has none. */
type Source = { headers?: Headers | undefined; request?: Request | undefined } | undefined;

interface Invitation {
  id: string;
  email: string;
  organization: { name: string };
  inviter: { user: { name?: string | undefined; email: string } };
  invitation: { expiresAt?: Date | string };
}

export interface BetterAuthOptions {
  /** The page of your app that accepts an invitation: Better Auth has no link of its own. */
  invitationUrl?: (id: string) => string;
  /** The name of your app in the mails; by default, the brand's. */
  application?: string;
  /** The languages of a recipient; by default `user.locale`, then the request's Accept-Language. */
  locales?: (user: User | undefined, headers: Headers | undefined) => readonly string[];
  /** Lifetimes in seconds, where you have changed Better Auth's: it does not pass them on. */
  lifetimes?: Partial<typeof LIFETIMES>;
  /** Called before an error is thrown. */
  onError?: (error: unknown) => void;
}

const LIFETIMES = {
  resetPassword: 3600, // emailAndPassword.resetPasswordTokenExpiresIn
  deleteAccount: 86_400, // user.deleteUser.deleteTokenExpiresIn
  emailOTP: 300, // emailOTP.expiresIn
  magicLink: 300, // magicLink.expiresIn
  twoFactor: 180, // twoFactor.otpOptions.period
};
const OTP_KINDS: Readonly<Record<string, Kind>> = {
  "sign-in": "sign-in-code",
  "email-verification": "email-confirmation",
  "forget-password": "password-reset",
  "change-email": "bind-identifier-code",
};

export function betterAuthMails(mailroom: Mailroom, options: BetterAuthOptions = {}) {
  const lifetimes = { ...LIFETIMES, ...options.lifetimes };
  const localesOf = options.locales ?? defaultLocales;

  async function send(
    kind: Kind,
    to: string,
    data: Content,
    context: { user?: User | undefined; source?: Source; expiresIn?: number | undefined },
  ): Promise<void> {
    const headers = context.source?.headers ?? context.source?.request?.headers;
    const locale = localesOf(context.user, headers);
    try {
      await mailroom.send({
        kind,
        to,
        data: options.application ? { application: options.application, ...data } : data,
        expiresIn: context.expiresIn,
        ...(locale.length ? { locale } : {}),
      });
    } catch (error) {
      options.onError?.(error);
      throw error;
    }
  }

  return {
    sendVerificationEmail: (data: { user: User; url: string; token: string }, source?: Source) =>
      send("email-confirmation", data.user.email, { link: data.url }, { ...data, source, expiresIn: lifeOf(data.token) }),

    sendResetPassword: (data: { user: User; url: string; token: string }, source?: Source) =>
      send("password-reset", data.user.email, { link: data.url }, { ...data, source, expiresIn: lifetimes.resetPassword }),

    /** To the old address: its owner approves the change. Better Auth then sends a verification to the new one. */
    sendChangeEmailConfirmation: (
      data: { user: User; newEmail: string; url: string; token: string },
      source?: Source,
    ) => {
      const content = { link: data.url, newEmail: data.newEmail };
      return send("permission-code", data.user.email, content, { ...data, source, expiresIn: lifeOf(data.token) });
    },

    sendDeleteAccountVerification: (data: { user: User; url: string; token: string }, source?: Source) =>
      send("permission-code", data.user.email, { link: data.url }, { ...data, source, expiresIn: lifetimes.deleteAccount }),

    /** After a reset: the owner of the account learns of it. */
    onPasswordReset: (data: { user: User }, source?: Source) =>
      send("security-notice", data.user.email, { event: "password-changed" }, { ...data, source }),

    sendVerificationOTP: (data: { email: string; otp: string; type: string }, source?: Source) =>
      send(OTP_KINDS[data.type] ?? "generic-code", data.email, { code: data.otp }, { source, expiresIn: lifetimes.emailOTP }),

    sendMagicLink: (data: { email: string; url: string; token: string }, source?: Source) =>
      send("magic-link", data.email, { link: data.url }, { source, expiresIn: lifetimes.magicLink }),

    sendInvitationEmail: (data: Invitation, source?: Source) => {
      const { name, email } = data.inviter.user;
      const content = { organization: data.organization.name, inviter: name || email };
      const link = options.invitationUrl?.(data.id);
      const expiresAt = data.invitation.expiresAt && new Date(data.invitation.expiresAt).getTime();
      const expiresIn = expiresAt ? secondsUntil(expiresAt) : undefined;
      return send("organization-invitation", data.email, link ? { ...content, link } : content, { source, expiresIn });
    },

    sendOTP: (data: { user: User; otp: string }, source?: Source) =>
      send("mfa-code", data.user.email, { code: data.otp }, { ...data, source, expiresIn: lifetimes.twoFactor }),
  };
}

function defaultLocales(user: User | undefined, headers: Headers | undefined): readonly string[] {
  const accepted = (headers?.get("accept-language") ?? "")
    .split(",")
    .map((part) => {
      const [tag = "", ...parameters] = part.split(";").map((piece) => piece.trim());
      const quality = parameters.find((parameter) => parameter.startsWith("q="));
      return { tag, quality: quality ? Number(quality.slice(2)) : 1 };
    })
    .filter(({ tag, quality }) => /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(tag) && quality > 0)
    .sort((one, other) => other.quality - one.quality)
    .map(({ tag }) => tag);
  const own = typeof user?.locale === "string" && user.locale ? [user.locale.replaceAll("_", "-")] : [];
  return [...new Set([...own, ...accepted])].slice(0, 20);
}

/** Returns the seconds for which a JWT is still valid; undefined if it is none. */
function lifeOf(token: string): number | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { exp?: unknown };
    return typeof claims.exp === "number" ? secondsUntil(claims.exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}

/** Mailroom accepts up to seven days. */
function secondsUntil(milliseconds: number): number {
  return Math.min(Math.max(1, Math.floor((milliseconds - Date.now()) / 1000)), 604_800);
}
