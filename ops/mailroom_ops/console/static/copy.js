// Adds a copy button to each <code data-copy="DESCRIPTION">.
const RESET_MS = 3000;

function selectText(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    selectText(code);
    button.textContent = "Not allowed: press Ctrl-C";
  }
  setTimeout(() => (button.textContent = "Copy"), RESET_MS);
}

export function addCopyButtons(root = document) {
  for (const code of root.querySelectorAll("[data-copy]:not(.copyable)")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.ariaLabel = `Copy ${code.dataset.copy}`;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", () => copy(code, button));
    code.classList.add("copyable");
    code.after(" ", button);
  }
}

addCopyButtons();
