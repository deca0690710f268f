// The open email: as its recipient sees it, its text, its source, its headers.
import { byId, element, json } from "/console/page.js";

const tabs = [...document.querySelectorAll('[role="tab"]')];
const toggles = { dark: byId("toggle-dark"), narrow: byId("toggle-narrow"), images: byId("toggle-images") };
const frame = byId("frame");
let open = null;

toggles.dark.setAttribute("aria-pressed", String(matchMedia("(prefers-color-scheme: dark)").matches));

const isOn = (name) => toggles[name].getAttribute("aria-pressed") === "true";

function sizeOf(mail) {
  const images = Object.values(mail.images ?? {}).join("");
  const bytes = new TextEncoder().encode(mail.html + mail.text + images).length;
  return `${(bytes / 1024).toFixed(1)} KB`;
}

function fact(name, value, properties = {}) {
  return element("div", {}, [element("dt", {}, name), element("dd", properties, value)]);
}

function draw() {
  if (!open) return;
  const query = new URLSearchParams({ scheme: isOn("dark") ? "dark" : "light" });
  if (isOn("images")) query.set("images", "1");
  frame.classList.toggle("dark", isOn("dark"));
  frame.classList.toggle("narrow", isOn("narrow"));
  const source = `/console/mails/${open.id}.html?${query}`;
  // replace(), so that the frame adds no entries to the page's history.
  if (frame.dataset.source !== source) {
    frame.dataset.source = source;
    frame.contentWindow.location.replace(source);
  }
}

export async function openMail(id) {
  const mail = await json(`/console/mails/${id}.json`);
  if (location.hash.slice(1) !== id) return;
  open = mail;
  byId("placeholder").hidden = true;
  byId("mail").hidden = false;
  byId("subject").textContent = mail.subject;
  const facts = [
    ["From", mail.from, { dir: "auto" }], ["To", mail.to], ["Reply-To", mail.reply_to], ["Kind", mail.kind],
    ["Language", mail.locale], ["Tenant", mail.tenant], ["Provider", mail.provider], ["Size", sizeOf(mail)],
    ["Delivery", mail.message_id && element("a", { href: `/console/deliveries/${mail.message_id}` }, "Timeline")],
  ];
  byId("facts").replaceChildren(...facts.filter(([, value]) => value).map((parts) => fact(...parts)));
  byId("panel-text").textContent = mail.text;
  byId("panel-source").textContent = mail.html;
  const rows = { ...mail.headers, "Message id": mail.message_id, "Provider id": mail.id, Received: mail.received_at };
  byId("headers").replaceChildren(...Object.entries(rows).map(([name, value]) =>
    element("tr", {}, [element("th", { scope: "row" }, name), element("td", {}, value)])));
  draw();
}

export function closeMail() {
  open = null;
  byId("placeholder").hidden = false;
  byId("mail").hidden = true;
}

function choose(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  byId("toggles").hidden = tab.id !== "tab-mail";
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  });
}

for (const [name, button] of Object.entries(toggles)) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!isOn(name)));
    draw();
  });
}
