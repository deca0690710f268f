// The inbox: a list that updates live, one open email, and buttons that send samples.
import { byId, element, json } from "/console/page.js";
import { closeMail, openMail } from "/console/reader.js";
import { setUpSamples } from "/console/samples.js";
import { localize } from "/console/times.js";

const mails = new Map();
const read = new Set();
let opensNext = false;
let loadCount = 0;

const list = byId("list");

function rowOf(mail) {
  const name = mail.from.replace(/\s*<.*/, "");
  const time = element("time", { dateTime: mail.received_at });
  time.dataset.local = "";
  const link = element("a", { href: `#${mail.id}` }, [
    element("span", { className: "who", dir: "auto" }, name),
    time,
    element("span", { className: "what", dir: "auto" }, mail.subject),
    element("span", { className: "to" }, mail.to),
    element("span", { className: "kind" }, mail.kind),
  ]);
  const row = element("li", { id: `row-${mail.id}` }, link);
  row.classList.toggle("unread", !read.has(mail.id));
  localize(row);
  return row;
}

function updateCounters() {
  byId("nothing").hidden = mails.size > 0;
  byId("empty").disabled = mails.size === 0;
  const unread = [...mails.keys()].filter((id) => !read.has(id)).length;
  document.title = unread ? `(${unread}) Mailroom` : "Mailroom";
}

async function load() {
  const current = ++loadCount;
  const before = new Set(mails.keys());
  const loaded = await json("/console/mails.json");
  if (current !== loadCount) return;
  // Emails that arrived during the request may be missing from the response.
  const ids = new Set(loaded.map((mail) => mail.id));
  const missing = [...mails.values()].filter((mail) => !before.has(mail.id) && !ids.has(mail.id)).reverse();
  const all = [...missing, ...loaded];
  mails.clear();
  for (const mail of all) mails.set(mail.id, mail);
  list.replaceChildren(...all.map(rowOf));
  updateCounters();
  await show();
}

function add(mail) {
  if (mails.has(mail.id)) return;
  mails.set(mail.id, mail);
  list.prepend(rowOf(mail));
  byId("news").textContent = `New email: ${mail.subject}`;
  updateCounters();
  if (opensNext || (!location.hash && !matchMedia("(max-width: 760px)").matches)) {
    opensNext = false;
    location.hash = mail.id;
  }
}

async function show() {
  const id = location.hash.slice(1);
  const isOpen = mails.has(id);
  document.body.classList.toggle("reading", isOpen);
  list.querySelector("[aria-current]")?.removeAttribute("aria-current");
  if (!isOpen) return closeMail();
  read.add(id);
  const row = byId(`row-${id}`);
  row.classList.remove("unread");
  row.firstElementChild.setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
  updateCounters();
  await openMail(id);
}

list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step) return;
  const links = [...list.querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement) + step];
  if (next) {
    event.preventDefault();
    next.focus();
    location.replace(next.hash);
  }
});

byId("empty").addEventListener("click", () => {
  if (mails.size === 1 || confirm(`Delete all ${mails.size} emails?`)) fetch("/inbox.json", { method: "DELETE" });
});
window.addEventListener("hashchange", show);
setUpSamples(() => { opensNext = true; });

const state = byId("state");
const events = new EventSource("/console/events");
events.addEventListener("open", async () => {
  await load();
  state.className = "state live";
  state.textContent = "live";
});
events.addEventListener("error", () => {
  state.className = "state lost";
  state.textContent = "disconnected";
});
events.addEventListener("mail", (event) => add(JSON.parse(event.data)));
events.addEventListener("emptied", () => {
  loadCount += 1;
  mails.clear();
  read.clear();
  list.replaceChildren();
  updateCounters();
  history.replaceState(null, "", "#");
  show();
});
