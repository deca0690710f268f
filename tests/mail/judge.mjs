// Reads [{name, html}] from standard input; prints for each the errors of the validator, and the features that mail
// clients do not support, or only in part, by the data of caniemail.com.
import { readFileSync } from "node:fs";
import { caniemail, rawData } from "caniemail";
import { HtmlValidate } from "html-validate";

// All clients in the data, but for those whose data has gaps: the package throws on them.
let clients = [
  ...new Set(rawData.data.flatMap(({ stats }) => Object.entries(stats).flatMap(([family, platforms]) =>
    Object.keys(platforms).map((platform) => `${family}.${platform}`)))),
].sort();

function supportOf(html) {
  try {
    return caniemail({ clients, html });
  } catch {
    clients = clients.filter((client) => hasData(client, html));
    return caniemail({ clients, html });
  }
}

function hasData(client, html) {
  try {
    caniemail({ clients: [client], html });
    return true;
  } catch {
    return false;
  }
}

const validator = new HtmlValidate({
  extends: ["html-validate:standard", "html-validate:a11y"],
  rules: {
    // A mail is laid out with tables and their attributes, because Outlook for Windows knows nothing else;
    // and Gmail makes a div of elements it does not know, but keeps the role.
    "no-deprecated-attr": "off",
    "prefer-native-element": "off",
  },
});

function byTitle(issues) {
  const found = {};
  for (const [client, list] of issues)
    for (const issue of list) (found[issue.title] ??= new Set()).add(client);
  return Object.fromEntries(Object.entries(found).map(([title, clients]) => [title, [...clients].sort()]));
}

const verdicts = {};
for (const { name, html } of JSON.parse(readFileSync(0, "utf8"))) {
  const { issues } = supportOf(html);
  const report = await validator.validateString(html);
  verdicts[name] = {
    invalid: report.results.flatMap((result) => result.messages).map((m) => `line ${m.line}: ${m.ruleId}: ${m.message}`),
    unsupported: byTitle(issues.errors),
    partial: byTitle(issues.warnings),
  };
}
console.log(JSON.stringify({ clients, verdicts }));
