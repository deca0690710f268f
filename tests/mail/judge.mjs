// Reads [{name, html}] from standard input; prints for each what the validator says, and what the three big clients
// do not do or only partly do, as caniemail.com knows it.
import { readFileSync } from "node:fs";
import { caniemail } from "caniemail";
import { HtmlValidate } from "html-validate";

const CLIENTS = ["gmail.*", "outlook.*", "apple-mail.*"];
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
  const { issues } = caniemail({ clients: CLIENTS, html });
  const report = await validator.validateString(html);
  verdicts[name] = {
    invalid: report.results.flatMap((result) => result.messages).map((m) => `line ${m.line}: ${m.ruleId}: ${m.message}`),
    unsupported: byTitle(issues.errors),
    partial: byTitle(issues.warnings),
  };
}
console.log(JSON.stringify(verdicts));
