// The gallery: one mail with its text and its checks, or all kinds at once, drawn anew when a template changes.
import { byId, element, json } from "/console/page.js";

const KNOWN = ["kind", "locale", "brand", "form"];
const WITH = { "": "as usual", code: "a code", link: "a link", both: "code and link", neither: "neither" };
const QUIET = 300; // ms before checks start: who leafs through kinds does not want each one judged

const frame = byId("frame");
let options = null;
let edition = 0; // counts what was drawn: a late answer to an earlier question is dropped
let waiting = 0;

const isOn = (name) => byId(name).getAttribute("aria-pressed") === "true";
const turn = (name, on) => byId(name).setAttribute("aria-pressed", String(on));
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

function queryOf(changes = {}) {
  const chosen = Object.fromEntries(KNOWN.map((name) => [name, byId(name).value]));
  return new URLSearchParams({ ...chosen, ...changes });
}

function sourceOf(changes = {}) {
  return `/gallery/mail.html?${queryOf({ ...changes, scheme: isOn("dark") ? "dark" : "light", edition })}`;
}

function named(tag) {
  const name = new Intl.DisplayNames([navigator.language, "en"], { type: "language" }).of(tag);
  return name === tag ? tag : `${name} (${tag})`;
}

function fill(id, values, nameOf = (value) => value) {
  const before = byId(id).value;
  byId(id).replaceChildren(...values.map((value) => element("option", { value }, nameOf(value))));
  if (values.includes(before)) byId(id).value = before;
}

async function loadOptions() {
  options = await json("/gallery/options.json");
  fill("kind", options.kinds);
  fill("locale", options.locales, named);
  fill("brand", options.brands);
  fill("form", ["", ...options.forms], (form) => WITH[form] ?? form);
  byId("spam").hidden = Boolean(options.needs.spam);
}

function restore() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const name of KNOWN) {
    const wanted = said.get(name);
    if (wanted !== null && [...byId(name).options].some((option) => option.value === wanted)) byId(name).value = wanted;
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  turn("dark", said.has("dark") ? said.get("dark") === "1" : dark);
  turn("narrow", said.get("narrow") === "1");
  turn("overview", said.get("overview") === "1");
}

function remember() {
  const toggles = Object.fromEntries(["dark", "narrow", "overview"].map((name) => [name, isOn(name) ? "1" : "0"]));
  history.replaceState(null, "", `#${queryOf(toggles)}`);
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
    check(fits ? "good" : "bad", `HTML ${kilobytes(mail.size.html)} (${mail.size.html} bytes), at most ${kilobytes(options.limit)}`),
    check(mail.size.text ? "good" : "bad", `Text ${kilobytes(mail.size.text)} (${mail.size.text} bytes)`),
    ...mail.problems.map((problem) => check("bad", problem)),
  ];
}

function craftChecks(craft) {
  if (craft.error) return [check("", craft.error.message)];
  const gaps = (list) => list.map((gap) => [gap.feature, [gap.fallback, gap.clients.join(", ")].filter(Boolean).join(" – ")]);
  const bare = craft.unsupported.filter((gap) => !gap.fallback);
  const covered = craft.unsupported.filter((gap) => gap.fallback);
  return [
    craft.invalid.length ? check("bad", details("The HTML is not valid", craft.invalid.map((line) => [line, ""]))) : check("good", "Valid HTML"),
    bare.length
      ? check("bad", details(`${bare.length} without support or fallback in Gmail, Outlook or Apple Mail`, gaps(bare)))
      : check("good", "Nothing without support or fallback in Gmail, Outlook and Apple Mail"),
    ...(covered.length ? [check("", details(`${covered.length} with a fallback`, gaps(covered)))] : []),
    ...(craft.partial.length ? [check("", details(`${craft.partial.length} supported in part`, craft.partial.map((name) => [name, ""])))] : []),
  ];
}

async function ask(name) {
  return json(`/gallery/${name}?${queryOf()}`, { method: "POST" });
}

function showError(error) {
  byId("broken").hidden = !error;
  frame.hidden = Boolean(error);
  byId("notes").hidden = Boolean(error);
  if (!error) return;
  byId("broken-what").textContent = error.message;
  byId("broken-where").textContent = error.line ? `${error.file}, line ${error.line}` : error.file;
  byId("broken-source").textContent = error.source;
  byId("broken-source").hidden = !error.source;
}

async function drawOne(mine) {
  const mail = await json(`/gallery/mail.json?${queryOf()}`);
  if (mine !== edition) return;
  showError(mail.error);
  byId("spam").disabled = Boolean(mail.error);
  if (mail.error) return;
  frame.className = [isOn("dark") && "dark", isOn("narrow") && "narrow"].filter(Boolean).join(" ");
  // Replaced and not set: a frame's own steps must not fill the page's history.
  frame.contentWindow.location.replace(sourceOf());
  byId("subject").textContent = mail.subject;
  byId("from").textContent = mail.from;
  byId("text").textContent = mail.text;
  const pending = check("", options.needs.crafts ? `Validity and support: ${options.needs.crafts}` : "checking the HTML …");
  byId("checks").replaceChildren(...plainChecks(mail), pending);
  if (options.needs.crafts) return;
  waiting = setTimeout(async () => {
    const craft = await ask("crafts");
    if (mine === edition) pending.replaceWith(...craftChecks(craft));
  }, QUIET);
}

async function card(kind) {
  const mail = await json(`/gallery/mail.json?${queryOf({ kind })}`);
  const open = element("button", { type: "button" }, kind);
  open.addEventListener("click", () => {
    byId("kind").value = kind;
    turn("overview", false);
    draw();
    byId("stage").focus();
  });
  const heading = element("h2", {}, open);
  if (mail.error) {
    const where = mail.error.line ? `${mail.error.file}, line ${mail.error.line}` : mail.error.file;
    return element("article", {}, [heading, element("p", { className: "bad" }, `${where}: ${mail.error.message}`)]);
  }
  const fits = mail.size.html <= options.limit && mail.size.text && !mail.problems.length;
  const shown = element("iframe", { title: `${kind}, as its reader sees it`, loading: "lazy", src: sourceOf({ kind }) });
  shown.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox");
  shown.classList.toggle("dark", isOn("dark"));
  shown.classList.toggle("narrow", isOn("narrow"));
  return element("article", {}, [
    heading,
    element("p", { dir: "auto" }, mail.subject),
    element("p", { className: fits ? "" : "bad" }, `HTML ${kilobytes(mail.size.html)}, text ${kilobytes(mail.size.text)}`),
    shown,
  ]);
}

async function drawAll(mine) {
  const cards = await Promise.all(options.kinds.map(card));
  if (mine === edition) byId("all").replaceChildren(...cards);
}

async function draw() {
  const mine = ++edition;
  clearTimeout(waiting);
  remember();
  const all = isOn("overview");
  byId("one").hidden = all;
  byId("all").hidden = !all;
  byId("all").classList.toggle("wide", !isOn("narrow"));
  byId("kind").disabled = all;
  try {
    if (!options.locales.length) throw new Error("There is no language: the templates have no locales/<tag>.toml.");
    await (all ? drawAll(mine) : drawOne(mine));
  } catch (error) {
    if (mine !== edition) return;
    byId("one").hidden = false;
    byId("all").hidden = true;
    showError({ message: error.message, file: "", line: 0, source: "" });
  }
}

byId("choosers").addEventListener("change", draw);
byId("choosers").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dark", "narrow", "overview"]) {
  byId(name).addEventListener("click", () => {
    turn(name, !isOn(name));
    draw();
  });
}

byId("spam").addEventListener("click", async () => {
  const mine = edition;
  byId("spam").disabled = true;
  const line = check("", "SpamAssassin is reading …");
  byId("checks").append(line);
  const verdict = await ask("spam");
  if (mine !== edition) return;
  byId("spam").disabled = false;
  const rules = Object.entries(verdict.rules ?? {}).map(([rule, points]) => `${rule} ${points}`).join(", ");
  line.className = verdict.error ? "" : verdict.points <= 0.5 ? "good" : "bad";
  line.textContent = verdict.error ? verdict.error.message : `SpamAssassin: ${Math.round(verdict.points * 10) / 10} points${rules && ` (${rules})`}`;
});

await loadOptions();
if (options.brands.includes("acme")) byId("brand").value = "acme";
restore();

const state = byId("state");
const news = new EventSource("/gallery/events");
news.addEventListener("open", async () => {
  await draw();
  state.className = "state live";
  state.textContent = "live";
});
news.addEventListener("error", () => {
  state.className = "state lost";
  state.textContent = "stopped";
});
news.addEventListener("changed", async (event) => {
  await loadOptions();
  await draw();
  state.textContent = `live: ${JSON.parse(event.data).join(", ")} changed`;
});
