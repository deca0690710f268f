// Helpers of all pages. Text is always set as text, never as HTML: emails contain untrusted input.
export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, content = []) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...(Array.isArray(content) ? content : [content]));
  return node;
}

export async function json(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response.json();
}
