// Tooltips of charts at once, instead of the browser's after a second. The table below each chart has the same figures.
export function setUpTooltips() {
  const slots = document.querySelectorAll(".plot .slot");
  if (!slots.length) return;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.querySelector("main").append(tip);
  for (const slot of slots) {
    const title = slot.querySelector("title");
    slot.dataset.text = title.textContent;
    title.remove();
    slot.addEventListener("pointermove", (event) => {
      tip.textContent = slot.dataset.text;
      tip.hidden = false;
      const [x, y] = [event.pageX + 14, event.pageY + 14];
      tip.style.left = `${Math.min(x, document.documentElement.clientWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${y}px`;
    });
    slot.addEventListener("pointerleave", () => (tip.hidden = true));
  }
}
