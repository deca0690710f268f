// The texts page: redraws the mails and the problems while somebody types.
import { byId, element, json } from "/console/page.js";

const DELAY_MS = 400; // after the last key
const form = byId("texts");
const frames = [...document.querySelectorAll("iframe[data-scheme]")];
let timer = 0;
let version = 0; // of the drawing: a late response to an earlier one is dropped

function fit(frame) {
  const mail = frame.contentDocument;
  if (!mail?.scrollingElement || mail.URL === "about:blank") return;
  frame.style.height = "0";
  frame.style.height = `${mail.scrollingElement.scrollHeight + 2}px`;
}

async function draw() {
  const drawing = ++version;
  const entered = new FormData(form);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const preview = await json(`${form.dataset.path}/preview.json`, { method: "POST", headers, body: new URLSearchParams(entered) });
  if (drawing !== version) return;
  byId("from").textContent = preview.from;
  byId("subject").textContent = preview.subject;
  byId("text").textContent = preview.text;
  if (byId("size")) byId("size").textContent = preview.size;
  byId("problems").replaceChildren(...preview.problems.map((problem) => element("li", { className: "wrong" }, problem)));
  const query = new URLSearchParams({ draft: preview.draft });
  for (const name of ["kind", "locale", "form"]) query.set(name, entered.get(name));
  for (const frame of frames) {
    query.set("scheme", frame.dataset.scheme);
    frame.contentWindow.location.replace(`${form.dataset.path}/mail.html?${query}`);
  }
}

function drawSoon(event) {
  if (event.target.name === "new_name") return;
  clearTimeout(timer);
  timer = setTimeout(draw, DELAY_MS);
}

for (const frame of frames) {
  frame.addEventListener("load", () => fit(frame));
  fit(frame);
}
new ResizeObserver(() => frames.forEach(fit)).observe(document.querySelector(".mails"));
form.addEventListener("input", drawSoon);
for (const outside of document.querySelectorAll("[form=texts]")) outside.addEventListener("input", drawSoon);
