// Sends one mail to each address of the command line; prints a report of each, with the seconds it would have slept.
import { Mailroom, MailroomError } from "./mailroom.js";

for (const url of process.argv.slice(2)) {
  const slept: number[] = [];
  const sleep = async (milliseconds: number) => void slept.push(milliseconds / 1000);
  const mailroom = new Mailroom({ url, key: "key", sleep });
  let report: { status: number; text: string };
  try {
    const delivery = await mailroom.send({ kind: "sign-in-code", to: "reader@example.com", data: { code: "048213" } });
    report = { status: 200, text: JSON.stringify(delivery) };
  } catch (error) {
    report = error instanceof MailroomError ? { status: error.status, text: error.message } : { status: -1, text: String(error) };
  }
  console.log(JSON.stringify({ ...report, slept }));
}
