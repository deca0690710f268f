// The few things every part of the page needs. Text is only ever set as text: a mail is a stranger's.
export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, content = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

export async function json(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}
