// The brand page: redraws the mails and the notes while somebody types.
import { byId, element, json } from "/console/page.js";

const DELAY_MS = 250; // after the last key
const form = byId("brand");
const frames = [...document.querySelectorAll("iframe[data-scheme]")];
let timer = 0;
let version = 0; // of the drawing: a late response to an earlier one is dropped

function queryOf(changes = {}) {
  const query = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(changes)) query.set(name, value);
  return query;
}

// The whole mail without a second scroll bar.
function fit(frame) {
  const mail = frame.contentDocument;
  if (!mail?.scrollingElement || mail.URL === "about:blank") return;
  frame.style.height = "0";
  frame.style.height = `${mail.scrollingElement.scrollHeight + 2}px`;
}

function noteLine({ level, subject, text, todo }) {
  const words = [element("strong", {}, subject), ` ${text}.`, ...(todo ? [" ", element("span", { className: "soft" }, todo)] : [])];
  return element("li", { className: level }, words);
}

function showProblems(problems) {
  for (const line of form.querySelectorAll("[id^=problem-]")) {
    const name = line.id.slice("problem-".length);
    const problem = problems[name] ?? "";
    line.textContent = problem;
    line.hidden = !problem;
    const input = byId(`field-${name}`);
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

async function draw() {
  const drawing = ++version;
  const query = queryOf();
  // replace(), so that the frames add no entries to the page's history.
  for (const frame of frames) frame.contentWindow.location.replace(`${form.dataset.path}/mail.html?${queryOf({ scheme: frame.dataset.scheme })}`);
  try {
    const preview = await json(`${form.dataset.path}/preview.json?${query}`);
    if (drawing !== version) return;
    byId("from").textContent = preview.from;
    byId("reply_to").textContent = preview.reply_to || "–";
    byId("subject").textContent = preview.subject;
    byId("text").textContent = preview.text;
    byId("notes").replaceChildren(...preview.notes.map(noteLine));
    showProblems(preview.problems);
    byId("announcement").textContent = Object.keys(preview.problems).length ? "A value is not usable." : "The preview is redrawn.";
  } catch (error) {
    byId("announcement").textContent = error.message;
  }
}

function drawSoon() {
  clearTimeout(timer);
  timer = setTimeout(draw, DELAY_MS);
}

for (const picker of document.querySelectorAll("[data-picks]")) {
  const text = byId(picker.dataset.picks);
  const follow = () => {
    const [, digits] = /^#?([0-9a-f]{6})$/i.exec(text.value || text.placeholder) ?? [];
    if (digits) picker.value = `#${digits}`;
  };
  picker.hidden = false;
  follow();
  text.addEventListener("input", follow);
  picker.addEventListener("input", () => {
    text.value = picker.value;
    drawSoon();
  });
}

for (const frame of frames) {
  frame.addEventListener("load", () => fit(frame));
  fit(frame);
}
new ResizeObserver(() => frames.forEach(fit)).observe(document.querySelector(".mails"));
form.addEventListener("input", drawSoon);
for (const outside of document.querySelectorAll("[form=brand]")) outside.addEventListener("input", drawSoon);
