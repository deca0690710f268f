// The gallery: one email with its text and checks, or an overview of all kinds, redrawn when a template changes.
import { byId, element, json } from "/console/page.js";

const CHOICES = ["kind", "locale", "brand", "form"];
const CONTENT_NAMES = { "": "default", code: "code", link: "link", both: "code and link", neither: "neither" };
const TENANT = "tenant:";
const THUMBNAIL_WIDTHS = { wide: 620, narrow: 362 }; // of the mail in it, in pixels
const CHECK_DELAY_MS = 300; // no checks while somebody skims through the kinds

const frame = byId("frame");
let options = null;
let version = 0; // of the drawing: a late response to an earlier one is dropped
let checkTimer = 0;

const isOn = (name) => byId(name).getAttribute("aria-pressed") === "true";
const toggle = (name, on) => byId(name).setAttribute("aria-pressed", String(on));
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

// A tenant of the environment is a choice of the brand, as "tenant:NAME".
const tenantName = () => (byId("brand").value.startsWith(TENANT) ? byId("brand").value.slice(TENANT.length) : "");

function choices(changes = {}) {
  return { ...Object.fromEntries(CHOICES.map((name) => [name, byId(name).value])), ...changes };
}

function queryOf(changes = {}) {
  const { brand, ...others } = choices(changes);
  return new URLSearchParams({ ...others, ...(tenantName() ? { tenant: tenantName() } : { brand }) });
}

function sourceOf(changes = {}) {
  return `/gallery/mail.html?${queryOf({ ...changes, scheme: isOn("dark") ? "dark" : "light", version })}`;
}

function named(tag) {
  const name = new Intl.DisplayNames([navigator.language, "en"], { type: "language" }).of(tag);
  return name === tag ? tag : `${name} (${tag})`;
}

const option = (value, name) => element("option", { value }, name);

function fill(id, nodes) {
  const before = byId(id).value;
  byId(id).replaceChildren(...nodes);
  if ([...byId(id).options].some(({ value }) => value === before)) byId(id).value = before;
}

function fillBrands() {
  const tenants = Object.keys(options.tenants);
  const samples = element("optgroup", { label: "Samples" }, options.brands.map((name) => option(name, name)));
  const own = element("optgroup", { label: "Tenants" }, tenants.map((name) => option(TENANT + name, name)));
  fill("brand", tenants.length ? [own, samples] : [samples]);
  byId("brand").title = options.unavailable && `Samples only: ${options.unavailable}`;
}

// A tenant may have kinds and languages of its own.
function fillForTenant() {
  const { kinds, locales } = options.tenants[tenantName()] ?? options;
  fill("kind", kinds.map((kind) => option(kind, kind)));
  fill("locale", locales.map((tag) => option(tag, named(tag))));
}

async function loadOptions() {
  options = await json("/gallery/options.json");
  fillBrands();
  fillForTenant();
  fill("form", ["", ...options.forms].map((form) => option(form, CONTENT_NAMES[form] ?? form)));
  byId("spam").hidden = Boolean(options.needs.spam);
}

function restore() {
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const name of ["brand", ...CHOICES]) {
    const value = hash.get(name);
    if (value !== null && [...byId(name).options].some((choice) => choice.value === value)) byId(name).value = value;
    if (name === "brand") fillForTenant();
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  toggle("dark", hash.has("dark") ? hash.get("dark") === "1" : dark);
  toggle("narrow", hash.get("narrow") === "1");
  toggle("overview", hash.get("overview") === "1");
}

function remember() {
  const toggles = Object.fromEntries(["dark", "narrow", "overview"].map((name) => [name, isOn(name) ? "1" : "0"]));
  history.replaceState(null, "", `#${new URLSearchParams(choices(toggles))}`);
}

function check(state, content) {
  return element("li", { className: state }, content);
}

function details(summary, pairs) {
  const rows = pairs.flatMap(([name, value]) => [element("dt", {}, name), ...(value ? [element("dd", {}, value)] : [])]);
  return element("details", {}, [element("summary", {}, summary), element("dl", {}, rows)]);
}

function plainChecks(mail) {
  const fits = mail.size.html <= options.limit;
  return [
    check(fits ? "good" : "bad", `HTML ${kilobytes(mail.size.html)} (${mail.size.html} bytes), limit ${kilobytes(options.limit)}`),
    check(mail.size.text ? "good" : "bad", `Text ${kilobytes(mail.size.text)} (${mail.size.text} bytes)`),
    ...mail.problems.map((problem) => check("bad", problem)),
  ];
}

function craftChecks(craft) {
  if (craft.error) return [check("", craft.error.message)];
  const gaps = (list) => list.map((gap) => [gap.feature, [gap.fallback, gap.clients.join(", ")].filter(Boolean).join(" – ")]);
  const unsupported = craft.unsupported.filter((gap) => !gap.fallback);
  const covered = craft.unsupported.filter((gap) => gap.fallback);
  return [
    craft.invalid.length ? check("bad", details("The HTML is not valid", craft.invalid.map((line) => [line, ""]))) : check("good", "Valid HTML"),
    unsupported.length
      ? check("bad", details(`Without support or fallback in Gmail, Outlook or Apple Mail: ${unsupported.length}`, gaps(unsupported)))
      : check("good", "Every feature has support or a fallback in Gmail, Outlook and Apple Mail"),
    ...(covered.length ? [check("", details(`With a fallback: ${covered.length}`, gaps(covered)))] : []),
    ...(craft.partial.length ? [check("", details(`Partially supported: ${craft.partial.length}`, craft.partial.map((name) => [name, ""])))] : []),
  ];
}

async function runCheck(name) {
  return json(`/gallery/${name}?${queryOf()}`, { method: "POST" });
}

function showError(error) {
  byId("broken").hidden = !error;
  frame.hidden = Boolean(error);
  byId("notes").hidden = Boolean(error);
  if (!error) return;
  byId("broken-message").textContent = error.message;
  byId("broken-where").textContent = error.line ? `${error.file}, line ${error.line}` : error.file;
  byId("broken-source").textContent = error.source;
  byId("broken-source").hidden = !error.source;
}

async function drawOne(drawing) {
  const mail = await json(`/gallery/mail.json?${queryOf()}`);
  if (drawing !== version) return;
  showError(mail.error);
  byId("spam").disabled = Boolean(mail.error);
  if (mail.error) return;
  frame.className = [isOn("dark") && "dark", isOn("narrow") && "narrow"].filter(Boolean).join(" ");
  // replace(), so that the frame adds no entries to the page's history.
  frame.contentWindow.location.replace(sourceOf());
  byId("subject").textContent = mail.subject;
  byId("from").textContent = mail.from;
  byId("text").textContent = mail.text;
  const pending = check("", options.needs.crafts ? `Validity and support: ${options.needs.crafts}` : "Checking the HTML …");
  byId("checks").replaceChildren(...plainChecks(mail), pending);
  if (options.needs.crafts) return;
  checkTimer = setTimeout(async () => {
    const craft = await runCheck("crafts");
    if (drawing === version) pending.replaceWith(...craftChecks(craft));
  }, CHECK_DELAY_MS);
}

// Shows a whole mail, made smaller to the width of its card.
function thumbnail(kind) {
  const shown = element("iframe", { title: `${kind}, as its recipient sees it`, loading: "lazy", tabIndex: -1 });
  shown.setAttribute("sandbox", "allow-same-origin"); // to measure the mail; no script runs in it
  shown.classList.toggle("dark", isOn("dark"));
  shown.src = `${sourceOf({ kind })}&measured=1`;
  const box = element("div", { className: isOn("dark") ? "thumbnail dark" : "thumbnail", inert: true }, shown);
  shown.addEventListener("load", () => fit(box));
  return box;
}

function fit(box) {
  const [shown] = box.children;
  const width = isOn("narrow") ? THUMBNAIL_WIDTHS.narrow : THUMBNAIL_WIDTHS.wide;
  const scale = box.clientWidth / width;
  const mail = shown.contentDocument;
  if (!scale || !mail?.scrollingElement || mail.URL === "about:blank") return;
  shown.style.width = `${width}px`;
  shown.style.height = "0";
  const height = mail.scrollingElement.scrollHeight;
  shown.style.height = `${height}px`;
  shown.style.transform = `scale(${scale})`;
  box.style.height = `${Math.ceil(height * scale) + 2}px`;
}

async function card(kind) {
  const mail = await json(`/gallery/mail.json?${queryOf({ kind })}`);
  const open = element("button", { type: "button" }, kind);
  open.addEventListener("click", () => {
    byId("kind").value = kind;
    toggle("overview", false);
    draw();
    byId("stage").focus();
  });
  const heading = element("h2", {}, open);
  if (mail.error) {
    const where = mail.error.line ? `${mail.error.file}, line ${mail.error.line}` : mail.error.file;
    return element("article", {}, [heading, element("p", { className: "bad" }, `${where}: ${mail.error.message}`)]);
  }
  const faults = [
    ...(mail.size.html > options.limit ? [`HTML ${kilobytes(mail.size.html)}, limit ${kilobytes(options.limit)}`] : []),
    ...(mail.size.text ? [] : ["no text part"]),
    ...mail.problems,
  ];
  return element("article", {}, [
    heading,
    element("p", { dir: "auto" }, mail.subject),
    ...faults.map((fault) => element("p", { className: "bad" }, fault)),
    thumbnail(kind),
  ]);
}

async function drawAll(drawing) {
  const { kinds } = options.tenants[tenantName()] ?? options;
  const cards = await Promise.all(kinds.map(card));
  if (drawing === version) byId("all").replaceChildren(...cards);
}

new ResizeObserver(() => document.querySelectorAll(".thumbnail").forEach(fit)).observe(byId("all"));

async function draw() {
  const drawing = ++version;
  clearTimeout(checkTimer);
  remember();
  const all = isOn("overview");
  byId("one").hidden = all;
  byId("all").hidden = !all;
  byId("all").classList.toggle("slim", isOn("narrow"));
  byId("kind").disabled = all;
  try {
    if (!options.locales.length) throw new Error("No languages: the templates have no locales/<tag>.toml.");
    await (all ? drawAll(drawing) : drawOne(drawing));
  } catch (error) {
    if (drawing !== version) return;
    byId("one").hidden = false;
    byId("all").hidden = true;
    showError({ message: error.message, file: "", line: 0, source: "" });
  }
}

byId("choosers").addEventListener("change", (event) => {
  if (event.target.id === "brand") fillForTenant();
  draw();
});
byId("choosers").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dark", "narrow", "overview"]) {
  byId(name).addEventListener("click", () => {
    toggle(name, !isOn(name));
    draw();
  });
}

byId("spam").addEventListener("click", async () => {
  const drawing = version;
  byId("spam").disabled = true;
  const line = check("", "SpamAssassin is running …");
  byId("checks").append(line);
  const verdict = await runCheck("spam");
  if (drawing !== version) return;
  byId("spam").disabled = false;
  const rules = Object.entries(verdict.rules ?? {}).map(([rule, points]) => `${rule} ${points}`).join(", ");
  line.className = verdict.error ? "" : verdict.points <= 0.5 ? "good" : "bad";
  line.textContent = verdict.error ? verdict.error.message : `SpamAssassin: ${Math.round(verdict.points * 10) / 10} points${rules && ` (${rules})`}`;
});

await loadOptions();
if (options.brands.includes("acme")) byId("brand").value = "acme";
restore();

const state = byId("state");
const events = new EventSource("/gallery/events");
events.addEventListener("open", async () => {
  await draw();
  state.className = "state live";
  state.textContent = "live";
});
events.addEventListener("error", () => {
  state.className = "state lost";
  state.textContent = "disconnected";
});
events.addEventListener("changed", async (event) => {
  await loadOptions();
  await draw();
  state.textContent = `live: ${JSON.parse(event.data).join(", ")} changed`;
});
