// A database in memory for Better Auth.
import { memoryAdapter } from "better-auth/adapters/memory";

const names = "user session account verification organization member invitation twoFactor".split(" ");
export const database = memoryAdapter(Object.fromEntries(names.map((name) => [name, []])));
