/**
 * Auth0 Action "Custom Email Provider": Auth0's mails go out through Mailroom.
 *
 * Secrets of the Action: MAILROOM_URL, such as https://….amazonaws.com/webhooks/auth0, and MAILROOM_SECRET, the value of
 * webhooks/auth0/secret (whsec_…). Only the fields below are sent: `event` also contains the secrets.
 * https://auth0.com/docs/customize/email/configure-a-custom-email-provider
 */

const crypto = require("crypto");

const TIMEOUT_MS = 10_000; // Auth0 ends an execution after 20 s
const MAX_REASON_LENGTH = 1024;

exports.onExecuteCustomEmailProvider = async (event, api) => {
  const { notification, request, transaction } = event;
  const correlation = transaction?.correlation_id;
  const body = JSON.stringify({
    to: notification.to, // not event.user.email, which is the old address while it is changed
    subject: notification.subject,
    html: notification.html,
    text: notification.text,
    kind: notification.message_type,
    locale: notification.locale,
    client_ip: request?.ip,
    // The same in each try of one mail: it is sent once. Without it, mails of the same content are one within a minute.
    id: correlation && digest(correlation, notification.message_type, notification.to, notification.html),
  });
  try {
    const response = await fetch(event.secrets.MAILROOM_URL, {
      method: "POST",
      headers: { "content-type": "application/json", ...sign(event.secrets.MAILROOM_SECRET, body) },
      body,
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.ok) return;
    const reason = `Mailroom: ${response.status} ${await response.text()}`.slice(0, MAX_REASON_LENGTH);
    const isTemporary = response.status >= 500 || response.status === 429 || response.status === 408;
    return isTemporary ? api.notification.retry(reason) : api.notification.drop(reason);
  } catch (error) {
    return api.notification.retry(`Mailroom did not answer: ${error.name}`);
  }
};

/** Return the headers of https://www.standardwebhooks.com for a body. */
function sign(secret, body) {
  const id = crypto.randomUUID();
  const timestamp = Math.floor(Date.now() / 1000).toString();
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = crypto.createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

function digest(...parts) {
  return crypto.createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
