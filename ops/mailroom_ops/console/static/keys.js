// Keys: / search, j and k the next and previous row, ? help, Ctrl-K or Cmd-K the command palette.
import { element, json } from "./page.js";

const KEYS = [
  ["/", "Search"],
  ["j, k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["Ctrl-K, ⌘K", "Command palette: pages, tenants, actions, search"],
  ["?", "This help"],
  ["Esc", "Close"],
];

const isTyping = (target) => target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");

function step(by) {
  const links = [...document.querySelectorAll("main .rows tbody tr")].map((row) => row.querySelector("a, button")).filter(Boolean);
  const next = links[links.indexOf(document.activeElement) + by] ?? (document.activeElement.closest?.(".rows") ? null : links[0]);
  next?.focus();
  return Boolean(next);
}

function help() {
  const rows = KEYS.map(([key, text]) => element("div", {}, [element("dt", {}, element("kbd", { textContent: key })), element("dd", { textContent: text })]));
  open(element("dialog", { className: "keys", ariaLabel: "Keys" }, [element("h2", { textContent: "Keys" }), element("dl", {}, rows)]));
}

function open(dialog) {
  document.querySelector("dialog[open]")?.close();
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}

const pages = () => [...document.querySelectorAll(".pages a")].map((link) => ({ name: link.textContent, href: link.getAttribute("href"), group: "Page" }));

// Words may be in any order; an entry whose name begins with the text comes first.
function matching(entries, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = entries.filter(({ name, group }) => words.every((word) => `${group} ${name}`.toLowerCase().includes(word)));
  return fits.sort((a, b) => b.name.toLowerCase().startsWith(words[0] ?? "") - a.name.toLowerCase().startsWith(words[0] ?? "")).slice(0, 12);
}

function search(term, token) {
  const field = (name, value) => element("input", { type: "hidden", name, value });
  const form = element("form", { method: "post", action: "/console/deliveries" }, [field("token", token), field("what", term)]);
  document.body.append(form);
  form.submit();
}

async function palette() {
  const list = element("ul", { id: "palette-list", role: "listbox", ariaLabel: "Entries" });
  const input = element("input", { type: "text", placeholder: "Go to a page or tenant, or search an address or id", autocomplete: "off", spellcheck: false, role: "combobox", ariaExpanded: "true", ariaLabel: "Command" });
  input.setAttribute("aria-controls", "palette-list");
  open(element("dialog", { className: "palette", ariaLabel: "Command palette" }, [input, list]));
  let [entries, token, shown, at] = [pages(), "", [], 0];
  const go = (entry) => (entry.term ? search(entry.term, token) : location.assign(entry.href));
  const mark = () => {
    [...list.children].forEach((option, index) => (option.ariaSelected = String(index === at)));
    list.children[at]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", list.children[at]?.id ?? "");
  };
  const show = () => {
    const text = input.value.trim();
    shown = matching(entries, text);
    if (text && token) shown.push({ name: text, group: "Find an email:", term: text });
    at = 0;
    list.replaceChildren(...shown.map((entry, index) => {
      const option = element("li", { id: `palette-${index}`, role: "option" }, [element("span", { className: "soft", textContent: entry.group }), ` ${entry.name}`]);
      option.addEventListener("click", () => go(entry));
      return option;
    }));
    mark();
  };
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) at = (at + by + shown.length) % shown.length;
    else if (event.key === "Enter" && shown[at]) go(shown[at]);
    else return;
    event.preventDefault();
    mark();
  });
  show();
  ({ entries, token } = await json("/console/palette"));
  entries = [...pages(), ...entries];
  show();
}

export function setUpKeys() {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "k") {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const field = document.querySelector("main input[type=search]");
    const act = {
      "/": () => (field ? field.focus() : palette()),
      "?": help,
      j: () => step(1),
      k: () => step(-1),
    }[event.key];
    if (!act || (/^[jk]$/.test(event.key) && !document.querySelector("main .rows"))) return;
    event.preventDefault();
    act();
  });
}
