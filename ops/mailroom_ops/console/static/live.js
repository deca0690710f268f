// Draws every element with data-live="SECONDS" anew from the page's own address, while somebody looks at it. What has not
// changed stays as it is, with its focus; what is read stays where it is on the screen.
const parts = () => [...document.querySelectorAll("[data-live]")];
const [switcher, state, pause, note] = ["live", "live-state", "pause", "live-note"].map((id) => document.getElementById(id));
const QUIET = 30000; // ms between two things said aloud about what is new

let timer = 0;
let asking = null;
let news = 0;
let said = 0;

const isPaused = () => pause.getAttribute("aria-pressed") === "true";

function show(name, text) {
  if (state.textContent === text) return;
  state.className = `state ${name}`;
  state.textContent = text;
}

// Makes `old` say what `fresh` says. An element with an id is the same wherever it stands; what has none, by its place.
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
  const wanted = [...fresh.childNodes].map((child) => {
    const known = child.id ? named.get(child.id) : others[0]?.nodeName === child.nodeName ? others.shift() : undefined;
    if (known) patch(known, child);
    else if (child.id) news += 1;
    return known ?? child;
  });
  place(old, wanted);
}

// A node that is moved loses its focus, so only what stands elsewhere is moved.
function place(parent, wanted) {
  const stay = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!stay.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (parent.childNodes[index] !== child) parent.insertBefore(child, parent.childNodes[index] ?? null);
  });
}

function inPlace(change) {
  const rows = scrollY > 0 ? [...document.querySelectorAll("[data-live] tr[id]")] : [];
  const first = rows.find((row) => row.getBoundingClientRect().bottom > 0);
  const before = first?.getBoundingClientRect().top;
  change();
  const same = first && document.getElementById(first.id);
  if (same) scrollBy(0, same.getBoundingClientRect().top - before);
}

async function look() {
  asking = new AbortController();
  const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(20000)]);
  try {
    const answer = await fetch(location.href, { signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) throw new Error(page.querySelector("h1")?.textContent ?? `answered ${answer.status}`);
    if (isPaused()) return;
    inPlace(() => {
      for (const part of parts()) {
        const fresh = page.getElementById(part.id);
        if (fresh) patch(part, document.adoptNode(fresh));
      }
    });
    show("live", "live");
    if (news && Date.now() - said > QUIET) {
      note.textContent = `${news} new`;
      [news, said] = [0, Date.now()];
    }
  } catch (error) {
    if (asking.signal.aborted) return;
    const lost = error instanceof TypeError ? "the console has ended" : error.message;
    note.textContent = lost;
    show("lost", lost);
  }
}

const seconds = () => Math.min(...parts().map((part) => Number(part.dataset.live)));

async function turn() {
  clearTimeout(timer);
  switcher.hidden = parts().length === 0; // what was waited for has ended
  if (switcher.hidden || isPaused() || document.hidden) return;
  await look();
  clearTimeout(timer);
  timer = setTimeout(turn, seconds() * 1000);
}

pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  asking?.abort();
  show(isPaused() ? "" : "live", isPaused() ? "paused" : "live");
  turn();
});
document.addEventListener("visibilitychange", turn);

switcher.hidden = false;
show("live", "live");
timer = setTimeout(turn, seconds() * 1000);
