// Refreshes every element with data-live="SECONDS" from the page's own address while the page is visible. Unchanged nodes
// stay, with their focus; the scroll position stays too.
import { addCopyButtons } from "./copy.js";
import { localize } from "./times.js";

const parts = () => [...document.querySelectorAll("[data-live]")];
const [switcher, state, pause, note] = ["live", "live-state", "pause", "live-note"].map((id) => document.getElementById(id));
const ANNOUNCEMENT_INTERVAL_MS = 30000;
const REQUEST_TIMEOUT_MS = 20000;

let timer = 0;
let request = null;
let newNodes = 0;
let announcedAt = 0;

const isPaused = () => pause.getAttribute("aria-pressed") === "true";

function show(name, text) {
  if (state.textContent === text) return;
  state.className = `state ${name}`;
  state.textContent = text;
}

// Updates `old` to equal `fresh`. Nodes with an id are matched by it, others by their position.
function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const name of new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()])) {
    if (fresh.hasAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    else old.removeAttribute(name);
  }
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const others = [...old.childNodes].filter((child) => !child.id);
  const children = [...fresh.childNodes].map((child) => {
    const match = child.id ? named.get(child.id) : others[0]?.nodeName === child.nodeName ? others.shift() : undefined;
    if (match) patch(match, child);
    else if (child.id) newNodes += 1;
    return match ?? child;
  });
  arrange(old, children);
}

// A node that is moved loses its focus, so only misplaced ones are moved.
function arrange(parent, children) {
  const kept = new Set(children);
  for (const child of [...parent.childNodes]) if (!kept.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.childNodes[index] !== child) parent.insertBefore(child, parent.childNodes[index] ?? null);
  });
}

function keepScrollPosition(change) {
  const rows = scrollY > 0 ? [...document.querySelectorAll("[data-live] tr[id]")] : [];
  const first = rows.find((row) => row.getBoundingClientRect().bottom > 0);
  const before = first?.getBoundingClientRect().top;
  change();
  const same = first && document.getElementById(first.id);
  if (same) scrollBy(0, same.getBoundingClientRect().top - before);
}

async function refresh() {
  request = new AbortController();
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
  try {
    const response = await fetch(location.href, { signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok) throw new Error(page.querySelector("h1")?.textContent ?? `HTTP ${response.status}`);
    if (isPaused()) return;
    localize(page);
    addCopyButtons(page);
    keepScrollPosition(() => {
      for (const part of parts()) {
        const fresh = page.getElementById(part.id);
        if (fresh) patch(part, document.adoptNode(fresh));
      }
    });
    show("live", "live");
    if (newNodes && Date.now() - announcedAt > ANNOUNCEMENT_INTERVAL_MS) {
      note.textContent = `${newNodes} new`;
      [newNodes, announcedAt] = [0, Date.now()];
    }
  } catch (error) {
    if (request.signal.aborted) return;
    const message = error instanceof TypeError ? "The console is not running." : error.message;
    note.textContent = message;
    show("lost", message);
  }
}

const seconds = () => Math.min(...parts().map((part) => Number(part.dataset.live)));

async function run() {
  clearTimeout(timer);
  switcher.hidden = parts().length === 0; // a job that was watched has ended
  if (switcher.hidden || isPaused() || document.hidden) return;
  await refresh();
  clearTimeout(timer);
  timer = setTimeout(run, seconds() * 1000);
}

pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  request?.abort();
  show(isPaused() ? "" : "live", isPaused() ? "paused" : "live");
  run();
});
document.addEventListener("visibilitychange", run);

switcher.hidden = false;
show("live", "live");
timer = setTimeout(run, seconds() * 1000);
