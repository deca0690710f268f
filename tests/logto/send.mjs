// Sends messages through Logto's own HTTP email connector, as Logto core calls it, and says what became of each.
//   node send.mjs types                                            the types of mail that the installed kit knows
//   node send.mjs send < {"config": {...}, "messages": [...]}      sends them one after the other
import { readFileSync } from "node:fs";
import { TemplateType, sendMessagePayloadGuard } from "@logto/connector-kit";
import createConnector from "@logto/connector-http-email";

const [, , verb] = process.argv;

if (verb === "types") {
  console.log(JSON.stringify(Object.values(TemplateType)));
} else {
  const { config, messages } = JSON.parse(readFileSync(0, "utf8"));
  const connector = await createConnector({ getConfig: async () => config });
  connector.configGuard.parse(config);
  const outcomes = [];
  for (const message of messages) {
    sendMessagePayloadGuard.parse(message.payload);
    try {
      const answer = await connector.sendMessage(message);
      outcomes.push({ sent: true, status: answer.statusCode, body: answer.body });
    } catch (error) {
      outcomes.push({ sent: false, code: error.code, data: error.data });
    }
  }
  console.log(JSON.stringify(outcomes));
}
