// The file that OpenClaw reads its credentials from, where the platform hands them to a gateway that runs. On machines of a cloud it lies in
// the container's memory, and a start of the container fills it anew from what the machine itself fetched.
import { closeSync, constants, fchmodSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createHash, timingSafeEqual } from "node:crypto";

const PATH = process.env.OPENCLAW_SECRETS_PATH ?? "/run/openclaw/secrets.json";
const TOKEN = "gatewayToken";
const NAME = /^[a-z][A-Za-z]{2,40}$/;
const MOST_LETTERS = 16384;

export class BadChange extends Error {}

// The message of what can't be parsed would quote it.
function present(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new Error("the credentials can't be read");
  }
}

function digest(text) {
  return createHash("sha256").update(text).digest();
}

// Raises `BadChange` where a name or value is none. The token is how the platform and the gateway know each other, and is not changed here.
function checked({ set = {}, remove = [] }) {
  const isName = (name) => typeof name === "string" && NAME.test(name) && name !== TOKEN;
  const isValue = (value) => typeof value === "string" && value.length > 0 && value.length <= MOST_LETTERS;
  if (!Array.isArray(remove)) throw new BadChange("remove is not a list");
  if (![...Object.keys(set), ...remove].every(isName)) throw new BadChange("a name is not that of a credential");
  if (!Object.values(set).every(isValue)) throw new BadChange("a value is not as it should be");
  return { values: Object.entries(set), remove };
}

export function changeCredentials(change, path = PATH) {
  const { values, remove } = checked(change);
  const kept = Object.entries(present(path)).filter(([name]) => !remove.includes(name));
  const draft = `${path}.${process.pid}.new`;
  const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  fchmodSync(descriptor, 0o600);
  writeFileSync(descriptor, `${JSON.stringify(Object.fromEntries([...kept, ...values]), null, 1)}\n`);
  closeSync(descriptor);
  renameSync(draft, path);
}

// Whether a request bears the gateway's token.
export function bearsToken(req, path = PATH) {
  const given = req.headers.authorization?.replace(/^Bearer /, "");
  if (!given) return false;
  const token = present(path)[TOKEN];
  return typeof token === "string" && timingSafeEqual(digest(token), digest(given));
}
