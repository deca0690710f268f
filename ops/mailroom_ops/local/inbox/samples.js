// A button for each of Logto's types, sent through the real webhook in the chosen language and for the chosen tenant; and
// one for each other auth server, whose own example chooses both.
import { setUpFaults } from "/console/faults.js";
import { byId, element, json } from "/console/page.js";

const titled = (type) => type.replace(/([a-z])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`).replace(/mfa/i, "MFA");

function named(tag) {
  const name = new Intl.DisplayNames([navigator.language, "en"], { type: "language" }).of(tag);
  return name === tag ? tag : `${name} (${tag})`;
}

function chosen(type) {
  const form = new FormData(byId("sample-form"));
  return { type, locale: form.get("locale"), tenant: form.get("tenant") };
}

async function send(sample, onSent) {
  byId("answer").textContent = "";
  try {
    onSent();
    const body = JSON.stringify(sample);
    const result = await json("/console/samples", { method: "POST", headers: { "content-type": "application/json" }, body });
    if (result.status !== 200) byId("answer").textContent = `The webhook returned ${result.status}: ${result.answer}`;
  } catch (error) {
    byId("answer").textContent = String(error.message);
  }
}

export async function setUpSamples(onSent) {
  const options = await json("/console/options.json");
  setUpFaults(options.provider.split(",").map((name) => name.trim()));
  byId("about").textContent = `Provider: ${options.provider} (sandbox). AWS: ${options.aws}`;
  byId("webhook").textContent = options.webhook;
  byId("locale").replaceChildren(...options.locales.map((tag) => element("option", { value: tag }, named(tag))));
  byId("tenant").replaceChildren(...options.tenants.map((name) => element("option", { value: name }, name)));
  byId("types").replaceChildren(...options.types.map((type) => {
    const button = element("button", { type: "button" }, titled(type));
    button.dataset.type = type;
    button.addEventListener("click", () => send(chosen(type), onSent));
    return button;
  }));
  byId("sources").replaceChildren(...options.sources.map((source) => {
    const button = element("button", { type: "button" }, source[0].toUpperCase() + source.slice(1));
    button.dataset.source = source;
    button.addEventListener("click", () => send({ source }, onSent));
    return button;
  }));
}
