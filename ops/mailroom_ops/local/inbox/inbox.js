// The inbox: a list that fills by itself, one open mail, and buttons that send samples.
import { byId, element, json } from "/console/page.js";
import { closeMail, openMail } from "/console/reader.js";
import { setUpSamples } from "/console/samples.js";

const mails = new Map();
const read = new Set();
let openNext = false;
let loads = 0;

const list = byId("list");

function rowOf(mail) {
  const name = mail.from.replace(/\s*<.*/, "");
  const time = new Date(mail.received_at);
  const link = element("a", { href: `#${mail.id}` }, [
    element("span", { className: "who", dir: "auto" }, name),
    element("time", { dateTime: mail.received_at, title: time.toLocaleString() }, time.toLocaleTimeString()),
    element("span", { className: "what", dir: "auto" }, mail.subject),
    element("span", { className: "to" }, mail.to),
    element("span", { className: "kind" }, mail.kind),
  ]);
  const row = element("li", { id: `row-${mail.id}` }, link);
  row.classList.toggle("unread", !read.has(mail.id));
  return row;
}

function settle() {
  byId("nothing").hidden = mails.size > 0;
  byId("empty").disabled = mails.size === 0;
  const unread = [...mails.keys()].filter((id) => !read.has(id)).length;
  document.title = unread ? `(${unread}) Mailroom` : "Mailroom";
}

async function load() {
  const turn = ++loads;
  const before = new Set(mails.keys());
  const known = await json("/console/mails.json");
  if (turn !== loads) return;
  // What arrived while we asked may be missing from the answer.
  const ids = new Set(known.map((mail) => mail.id));
  const since = [...mails.values()].filter((mail) => !before.has(mail.id) && !ids.has(mail.id)).reverse();
  const all = [...since, ...known];
  mails.clear();
  for (const mail of all) mails.set(mail.id, mail);
  list.replaceChildren(...all.map(rowOf));
  settle();
  await show();
}

function arrive(mail) {
  if (mails.has(mail.id)) return;
  mails.set(mail.id, mail);
  list.prepend(rowOf(mail));
  byId("news").textContent = `New mail: ${mail.subject}`;
  settle();
  if (openNext || (!location.hash && !matchMedia("(max-width: 760px)").matches)) {
    openNext = false;
    location.hash = mail.id;
  }
}

async function show() {
  const id = location.hash.slice(1);
  const known = mails.has(id);
  document.body.classList.toggle("reading", known);
  list.querySelector("[aria-current]")?.removeAttribute("aria-current");
  if (!known) return closeMail();
  read.add(id);
  const row = byId(`row-${id}`);
  row.classList.remove("unread");
  row.firstElementChild.setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
  settle();
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

byId("empty").addEventListener("click", () => fetch("/inbox.json", { method: "DELETE" }));
window.addEventListener("hashchange", show);
setUpSamples(() => { openNext = true; });

const state = byId("state");
const news = new EventSource("/console/events");
news.addEventListener("open", async () => {
  await load();
  state.className = "state live";
  state.textContent = "listening";
});
news.addEventListener("error", () => {
  state.className = "state lost";
  state.textContent = "stopped";
});
news.addEventListener("mail", (event) => arrive(JSON.parse(event.data)));
news.addEventListener("emptied", () => {
  loads += 1;
  mails.clear();
  read.clear();
  list.replaceChildren();
  settle();
  history.replaceState(null, "", "#");
  show();
});
