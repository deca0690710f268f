// The form that makes a provider's sandbox fail, and the list of what is pending.
import { byId, element } from "/console/page.js";

const POLL_MS = 1000; // while faults are pending: each request of a function uses one up
const NAMES = {
  "status": "Answer with an error", "rate-limit": "Refuse: rate limit", "hang": "Do not answer",
  "reset-before-body": "Reset the connection", "delay": "Answer late", "reset-after-accept": "Send it, lose the answer",
  "garbage": "Send it, answer nonsense",
};
const VALUES = { "status": ["Status", "status", 503, 400, 599], "rate-limit": ["Seconds", "seconds", 5, 0, 3600], "delay": ["Seconds", "seconds", 3, 0, 3600] };
let timer = 0;

function describe(fault) {
  const detail = fault.status ? ` ${fault.status}` : fault.seconds ? `, ${fault.seconds} s` : "";
  const number = fault.count === 1 ? "1 request" : `${fault.count} requests`;
  return `${fault.provider}: ${(NAMES[fault.kind] ?? fault.kind).toLowerCase()}${detail}, ${number}`;
}

function show(state) {
  clearTimeout(timer);
  const pending = state.faults.reduce((sum, fault) => sum + fault.count, 0);
  byId("fault-list").replaceChildren(...state.faults.map((fault) => element("li", {}, describe(fault))));
  byId("fault-count").textContent = pending ? `${pending} pending` : "";
  byId("fault-clear").hidden = !pending;
  if (pending) timer = setTimeout(load, POLL_MS);
}

async function call(method, body) {
  byId("fault-answer").textContent = "";
  const options = { method, headers: { "content-type": "application/json" } };
  if (body) options.body = JSON.stringify(body);
  const response = await fetch("/faults", options);
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) byId("fault-answer").textContent = answer.message;
  return response.ok ? answer : null;
}

async function load() {
  try {
    const state = await call("GET");
    if (state) show(state);
    return state;
  } catch {
    return null; // the stack restarts; the page says that it is disconnected
  }
}

function chooseKind() {
  const value = VALUES[byId("fault-kind").value];
  byId("fault-value-label").hidden = !value;
  if (!value) return;
  const [label, , initial, min, max] = value;
  byId("fault-value-name").textContent = label;
  Object.assign(byId("fault-value"), { min, max, value: initial });
}

export async function setUpFaults(chain) {
  const state = await load();
  if (!state) return;
  const first = chain.filter((name) => state.providers.includes(name));
  const providers = [...first, ...state.providers.filter((name) => !first.includes(name))];
  byId("fault-provider").replaceChildren(...providers.map((name) => element("option", { value: name }, name)));
  byId("fault-kind").replaceChildren(...Object.entries(NAMES).map(([kind, name]) => element("option", { value: kind }, name)));
  byId("fault-kind").addEventListener("change", chooseKind);
  chooseKind();
  byId("fault-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const kind = byId("fault-kind").value;
    const fault = { provider: byId("fault-provider").value, kind, count: Number(byId("fault-requests").value) };
    if (VALUES[kind]) fault[VALUES[kind][1]] = Number(byId("fault-value").value);
    const added = await call("POST", fault);
    if (added) show(added);
  });
  byId("fault-clear").addEventListener("click", async () => {
    await call("DELETE");
    await load();
  });
}
