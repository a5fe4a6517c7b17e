// Brings the credentials and the configuration of a gateway in place before it starts, on machines that have no Python.
//
// Standard input: on its first line the configuration, the base64 of {"patch": an RFC 7396 merge patch for openclaw.json, "prune":
// [dotted paths of objects]}; below it what Secrets Manager answered to GetSecretValue, of which the texts are
// credentials. An empty part is left alone. Prints nothing. Exit code 65: a part is not what it should be.
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const SECRET_PROVIDER = "platform";
const MOST_BYTES = 4_000_000;
const SECRETS = process.env.OPENCLAW_SECRETS_PATH ?? "/run/openclaw/secrets.json";
const CONFIG = process.env.OPENCLAW_CONFIG_PATH ?? "/home/node/.openclaw/openclaw.json";

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mergePatch(target, patch) {
  const merged = new Map(Object.entries(target));
  for (const [key, value] of Object.entries(patch)) {
    const below = merged.get(key);
    if (value === null) merged.delete(key);
    else merged.set(key, isObject(value) ? mergePatch(isObject(below) ? below : {}, value) : value);
  }
  return Object.fromEntries(merged);
}

function at(document, path) {
  let found = document;
  for (const name of path.split(".")) found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  return isObject(found) ? found : {};
}

function refersToPlatform(stanza) {
  return isObject(stanza) && Object.values(stanza).some((value) => isObject(value) && value.provider === SECRET_PROVIDER);
}

function pruned(document, path, patch) {
  const wanted = at(patch, path);
  const unwanted = Object.entries(at(document, path)).filter(([name, stanza]) => !Object.hasOwn(wanted, name) && refersToPlatform(stanza));
  const removal = Object.fromEntries(unwanted.map(([name]) => [name, null]));
  const around = path.split(".").reduceRight((below, name) => ({ [name]: below }), removal);
  return unwanted.length ? mergePatch(document, around) : document;
}

// A tenant may have put anything there: no link is followed, no pipe waited for, no huge file read.
function existing() {
  let descriptor;
  try {
    descriptor = openSync(CONFIG, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = fstatSync(descriptor);
    const body = facts.isFile() && facts.size <= MOST_BYTES ? JSON.parse(readFileSync(descriptor, "utf8")) : {};
    return isObject(body) ? body : {};
  } catch {
    return {};
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function replace(path, body) {
  const draft = `${path}.${process.pid}.new`;
  const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  fchmodSync(descriptor, 0o600);
  writeFileSync(descriptor, `${JSON.stringify(body, null, 1)}\n`);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(draft, path);
}

function configure({ patch, prune = [] }) {
  const before = existing();
  const after = mergePatch(
    prune.reduce((document, path) => pruned(document, path, patch), before),
    patch,
  );
  if (!isDeepStrictEqual(after, before)) replace(CONFIG, after);
}

function refuse(what) {
  process.stderr.write(`${what}\n`);
  process.exit(65);
}

function parsed(what, text) {
  try {
    const body = JSON.parse(text);
    if (isObject(body)) return body;
  } catch {
    // The message would quote what it could not read.
  }
  return refuse(`${what} is not a JSON object`);
}

const [config, ...rest] = readFileSync(0, "utf8").split("\n");
const answer = rest.join("\n").trim();
if (answer) {
  const credentials = parsed("the secret", parsed("the answer of Secrets Manager", answer).SecretString);
  const texts = Object.entries(credentials).filter(([, value]) => typeof value === "string");
  if (!texts.length) refuse("the secret holds no credentials");
  replace(SECRETS, Object.fromEntries(texts));
}
if (config.trim()) {
  const body = parsed("the configuration", Buffer.from(config, "base64").toString("utf8"));
  if (!isObject(body.patch)) refuse("the configuration has no patch");
  configure(body);
}
