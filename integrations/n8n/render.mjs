// Fills the credentials template from the environment: `node render.mjs credentials.template.json OUT`, OUT for this user alone.
// "${NAME}" becomes a text, "${NAME:number}" a number, "${NAME:boolean}" true or false. What is not set ends it with the name.
import { readFileSync, writeFileSync } from "node:fs";

const [template, target] = process.argv.slice(2);
const optional = new Set(["MAIL_USER", "MAIL_PASSWORD"]);

function filled(value) {
  if (Array.isArray(value)) return value.map(filled);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, filled(part)]));
  }
  const found = typeof value === "string" && /^\$\{([A-Z0-9_]+)(?::(number|boolean))?\}$/.exec(value);
  return found ? fromEnvironment(found[1], found[2]) : value;
}

function fromEnvironment(name, kind) {
  const text = process.env[name] ?? "";
  if (!text && !optional.has(name)) {
    console.error(`n8n cannot start: ${name} is not set`);
    process.exit(2);
  }
  if (kind === "boolean") return text === "true";
  if (kind !== "number") return text;
  if (!/^\d+$/.test(text)) {
    console.error(`n8n cannot start: ${name} is not a number`);
    process.exit(2);
  }
  return Number(text);
}

writeFileSync(target, JSON.stringify(filled(JSON.parse(readFileSync(template, "utf8")))), { mode: 0o600 });
