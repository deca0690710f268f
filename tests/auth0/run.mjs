// Runs the Action in a context of its own, as Auth0 does: `event` on standard input, what it called on `api` as output.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const { path, event } = JSON.parse(readFileSync(0, "utf8"));
const calls = [];
const api = {
  notification: {
    drop: (reason) => calls.push(["drop", reason]),
    retry: (reason) => calls.push(["retry", reason]),
  },
};
const exports = {};
const context = vm.createContext({
  exports,
  require: createRequire(import.meta.url),
  ...{ fetch, AbortSignal, Buffer, console, setTimeout, clearTimeout },
});
vm.runInContext(readFileSync(path, "utf8"), context, { filename: path });
await exports.onExecuteCustomEmailProvider(event, api);
console.log(JSON.stringify(calls));
