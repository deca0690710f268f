// Samples: a mail of any kind, for any reader, through the API or as an auth server; and the same request as a program.
import { setUpFaults } from "/console/faults.js";
import { byId, element, json } from "/console/page.js";

const OPTIONS = "/console/options.json";
const TITLES = { send: "API (send)" };
const CHOOSES_LANGUAGE = ["send", "logto"]; // the others' own example does
let options = null;
let onSent = () => {};

const titled = (type) => type.replace(/([a-z])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`).replace(/mfa/i, "MFA");
const capital = (name) => name[0].toUpperCase() + name.slice(1);

function named(tag) {
  const name = new Intl.DisplayNames([navigator.language, "en"], { type: "language" }).of(tag);
  return name === tag ? tag : `${name} (${tag})`;
}

function fill(id, values, name = (value) => value) {
  const select = byId(id);
  const before = select.value;
  select.replaceChildren(...values.map((value) => element("option", { value }, name(value))));
  if (values.includes(before)) select.value = before;
}

function chosen() {
  const kind = byId("kinds").querySelector('[aria-pressed="true"]').dataset.kind;
  return { kind, source: byId("source").value, to: byId("to").value, tenant: byId("tenant").value, locale: byId("locale").value };
}

function choose(chip) {
  for (const other of byId("kinds").children) other.setAttribute("aria-pressed", String(other === chip));
}

function showKinds() {
  const source = byId("source").value;
  const kinds = { send: options.kinds[byId("tenant").value], logto: options.types }[source] ?? [source];
  byId("locale").disabled = !CHOOSES_LANGUAGE.includes(source);
  byId("kinds").replaceChildren(...kinds.map((kind) => {
    const chip = element("button", { type: "button" }, source === "send" ? kind : source === "logto" ? titled(kind) : `${capital(kind)}’s example`);
    chip.dataset.kind = kind;
    chip.addEventListener("click", () => {
      choose(chip);
      send();
    });
    return chip;
  }));
  choose(byId("kinds").firstElementChild);
  byId("snippet").hidden = true;
}

async function post(path) {
  byId("answer").textContent = "";
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(chosen()) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

async function send() {
  if (!byId("sample-form").reportValidity()) return;
  try {
    onSent();
    const result = await post("/console/samples");
    if (result.status >= 300) byId("answer").textContent = `Mailroom returned ${result.status}: ${result.answer}`;
  } catch (error) {
    byId("answer").textContent = error.message;
  }
}

async function copy(language) {
  if (!byId("sample-form").reportValidity()) return;
  try {
    const text = (await post("/console/snippets"))[language];
    byId("snippet").textContent = text;
    byId("snippet").hidden = false;
    await navigator.clipboard.writeText(text).then(
      () => { byId("copy-answer").textContent = "Copied."; },
      () => {
        getSelection().selectAllChildren(byId("snippet"));
        byId("copy-answer").textContent = "The clipboard is denied: copy the selected text.";
      });
  } catch (error) {
    byId("answer").textContent = error.message;
  }
}

async function load() {
  options = await json(OPTIONS);
  fill("source", options.sources, (name) => TITLES[name] ?? capital(name));
  fill("tenant", options.tenants);
  fill("locale", options.locales, named);
  byId("addresses").replaceChildren(...options.addresses.map((value) => element("option", { value })));
}

export async function setUpSamples(whenSent) {
  onSent = whenSent;
  await load();
  setUpFaults(options.provider.split(",").map((name) => name.trim()));
  byId("about").textContent = `Provider: ${options.provider} (sandbox). AWS: ${options.aws}`;
  byId("webhook").textContent = options.webhook;
  showKinds();
  byId("source").addEventListener("change", showKinds);
  byId("tenant").addEventListener("change", showKinds);
  window.addEventListener("focus", load); // a tenant may have been added since, in a terminal
  byId("sample-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  for (const button of byId("copies").querySelectorAll("button")) {
    button.addEventListener("click", () => copy(button.dataset.language));
    button.disabled = false; // from now on no click is lost
  }
}
