/**
 * The mails of SuperTokens, as an override of each recipe's email delivery. Copy this file and mailroom.ts.
 *
 *     const emailDelivery = { service: superTokensMails(mailroom) };
 *     SuperTokens.init({ recipeList: [EmailPassword.init({ emailDelivery }), Passwordless.init({ emailDelivery, … }), …] });
 */

import type { Content, Kind, Mailroom } from "./mailroom.js";

/** The input of `sendEmail`, of all recipes: EmailPassword, EmailVerification, Passwordless and WebAuthn. */
interface Input {
  type: string;
  tenantId: string;
  userContext: unknown;
  user?: { email: string };
  email?: string;
  emailVerifyLink?: string;
  passwordResetLink?: string;
  recoverAccountLink?: string;
  userInputCode?: string;
  urlWithLinkCode?: string;
  codeLifetime?: number;
}

export interface SuperTokensOptions {
  application?: string;
  /** Mailroom's tenant of a tenant of SuperTokens; by default, the client's. */
  tenant?: (tenantId: string) => string | undefined;
  /** The languages of a recipient; by default, the request's Accept-Language. */
  locales?: (input: Input) => readonly string[];
}

export function superTokensMails(mailroom: Mailroom, options: SuperTokensOptions = {}) {
  return {
    async sendEmail(input: Input): Promise<void> {
      const [kind, data] = contentOf(input);
      const locale = (options.locales ?? acceptedLanguages)(input);
      await mailroom.send({
        kind,
        to: input.user?.email ?? input.email ?? "",
        tenant: options.tenant?.(input.tenantId),
        data: options.application ? { application: options.application, ...data } : data,
        expiresIn: input.codeLifetime && input.codeLifetime / 1000, // theirs is in milliseconds
        ...(locale.length ? { locale } : {}),
      });
    },
  };
}

function contentOf(input: Input): [Kind, Content] {
  switch (input.type) {
    case "EMAIL_VERIFICATION":
      return ["email-confirmation", { link: input.emailVerifyLink }];
    case "PASSWORD_RESET":
      return ["password-reset", { link: input.passwordResetLink }];
    case "RECOVER_ACCOUNT":
      return ["password-reset", { link: input.recoverAccountLink }];
    case "PASSWORDLESS_LOGIN":
      return ["sign-in-code", { code: input.userInputCode, link: input.urlWithLinkCode }];
    default:
      throw new Error(`There is no mail for ${input.type}.`);
  }
}

function acceptedLanguages({ userContext }: Input): readonly string[] {
  const context = userContext as { _default?: { request?: { getHeaderValue(name: string): string | undefined } } };
  const header = context._default?.request?.getHeaderValue("accept-language") ?? "";
  const tags = header.split(",").map((part) => part.split(";")[0]?.trim() ?? "");
  return tags.filter((tag) => /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(tag)).slice(0, 20);
}
