// A filter applies when it changes. The address has no empty parameters, and the focus stays on the field.
const FOCUS = "mailroom-filter";

export function setUpFilters() {
  for (const form of document.querySelectorAll("form[data-auto]")) {
    form.addEventListener("change", ({ target }) => {
      sessionStorage.setItem(FOCUS, JSON.stringify([target.name, target.type === "checkbox" ? target.value : ""]));
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      location.assign(`${form.getAttribute("action")}${query.size ? `?${query}` : ""}`);
    });
    const [name, value] = JSON.parse(sessionStorage.getItem(FOCUS) ?? "[]");
    const fields = name ? [...form.querySelectorAll(`[name="${CSS.escape(name)}"]`)] : [];
    fields.find((field) => !value || field.value === value)?.focus({ preventScroll: true });
  }
  sessionStorage.removeItem(FOCUS);
}
