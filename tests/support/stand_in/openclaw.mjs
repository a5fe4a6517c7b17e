// Stands for OpenClaw where a test is about the platform: starts at once, proves who it is, answers what the platform asks of it.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const config = readJson(process.env.OPENCLAW_CONFIG_PATH);
const secrets = () => (config.secrets ? readJson(config.secrets.providers.platform.path) : { gatewayToken: process.env.OPENCLAW_GATEWAY_TOKEN });
const { basePath } = config.gateway.controlUi;
if ("nonsense" in config.gateway) {
  console.error(JSON.stringify({ level: "error", time: new Date().toISOString(), message: "Gateway failed to start: Invalid config: gateway: unknown key nonsense" }));
  process.exit(78);
}
if (existsSync(`${process.env.OPENCLAW_STATE_DIR}/crash`)) process.exit(1);
const PAGE = `<!doctype html><openclaw-app data-machine="${process.env.HOME}"></openclaw-app>`;
const STARTED_AT = Date.now() / 1000 - process.uptime();
let stopping = false;
let suspended = false;
let drains = false;
const isAtTurn = () => existsSync(`${process.env.OPENCLAW_STATE_DIR}/turn`);
const rest = ({ requestId, drain }) => {
  if (suspended && drains !== drain) return { refused: "another gateway suspension is already prepared" };
  drains = drain;
  suspended = drain || !isAtTurn();
  return { status: isAtTurn() ? (drain ? "draining" : "busy") : "ready", ...(suspended ? { suspensionId: requestId } : {}) };
};
const PAYLOADS = {
  "gateway.suspend.prepare": rest,
  "gateway.suspend.resume": () => { suspended = false; return { ok: true, status: "running" }; },
  identity: () => ({ instanceId: basePath.slice(1), pid: process.pid, startedAt: STARTED_AT, stopping }),
  "browser.bootstrap": () => ({ bootstrapToken: randomBytes(24).toString("base64url"), expiresAtMs: Date.now() + 600000 }),
  "config.get": () => ({ hash: "0", config: readJson(process.env.OPENCLAW_CONFIG_PATH) }),
};

async function bodyOf(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
}

createServer(async (req, res) => {
  const say = (status, body) => {
    res.writeHead(status, { "content-type": "application/json" });
    res.end(JSON.stringify(body));
  };
  const body = await bodyOf(req);
  if (req.url.startsWith(basePath)) {
    res.writeHead(200, { "content-type": "text/html" });
    return res.end(PAGE);
  }
  if (req.headers.authorization !== `Bearer ${secrets().gatewayToken}`) return say(401, {});
  if (req.url === "/readyz") return say(200, { ready: true });
  if (suspended && req.url === "/v1/chat/completions") return say(503, {});
  if (req.url === "/v1/chat/completions") return say(200, { choices: [{ message: { content: body.messages.at(-1).content } }] });
  const payload = PAYLOADS[body.method]?.(body.params) ?? {};
  if (payload.refused) return say(503, { ok: false, error: { code: "UNAVAILABLE", message: payload.refused } });
  return say(200, { ok: true, payload });
}).listen(config.gateway.port, config.gateway.bind === "lan" ? "0.0.0.0" : "127.0.0.1");
process.once("SIGTERM", () => {
  // A turn is under way for as long as there is a file of this name; until it ends, questions are answered.
  stopping = true;
  setInterval(() => isAtTurn() || process.exit(0), 20);
});
