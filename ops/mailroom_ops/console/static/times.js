// One clock on all pages: the reader's own, with the date when it is not today, and UTC on hover.
const two = (number) => String(number).padStart(2, "0");
const dayOf = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const clockOf = (at) => [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");

export function localize(root) {
  document.documentElement.classList.add("local-time");
  const today = dayOf(new Date());
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    if (!("local" in time.dataset)) continue;
    time.replaceChildren(clockOf(at));
    if (dayOf(at) !== today) {
      const date = time.ownerDocument.createElement("span");
      date.className = "date";
      date.textContent = dayOf(at);
      time.prepend(date, " ");
    }
  }
}
