// Starts the gateway, has it do what a first visit has it do, and ends it cleanly.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const PORT = 8080;
const TOKEN = "compile-only";
const DEADLINE = Date.now() + 120_000;
const state = process.env.OPENCLAW_STATE_DIR;
const config = {
  gateway: {
    mode: "local",
    bind: "loopback",
    port: PORT,
    auth: { mode: "token", token: TOKEN },
    http: { endpoints: { chatCompletions: { enabled: true } } },
  },
  models: {
    mode: "merge",
    providers: {
      echo: {
        baseUrl: `http://127.0.0.1:${PORT}/api/v1/oc-hosted/echo`,
        apiKey: TOKEN,
        api: "openai-completions",
        models: [{ id: "echo", name: "Echo", input: ["text"], contextWindow: 128000, maxTokens: 4096 }],
      },
    },
  },
  agents: { defaults: { model: { primary: "echo/echo" } } },
  plugins: { load: { paths: ["/opt/oc-hosted"] }, entries: { "admin-http-rpc": { enabled: true }, "oc-hosted": { enabled: true } } },
  browser: { enabled: false },
  update: { checkOnStart: false },
};

async function ask(path, body) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const answer = await fetch(`http://127.0.0.1:${PORT}${path}`, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${text.slice(0, 300)}`);
  return text;
}

async function isReady() {
  try {
    return Boolean(await ask("/readyz"));
  } catch {
    return false;
  }
}

mkdirSync(state, { recursive: true, mode: 0o700 });
writeFileSync(`${state}/openclaw.json`, JSON.stringify(config), { mode: 0o600 });
const gateway = spawn(process.execPath, ["/opt/openclaw/node_modules/openclaw/openclaw.mjs", "gateway"], { stdio: "inherit" });
gateway.on("exit", (code) => process.exit(code ?? 1));
process.on("exit", () => gateway.kill("SIGKILL"));
while (!(await isReady())) {
  if (Date.now() > DEADLINE) throw new Error("the gateway was not ready within 120 s");
  await sleep(200);
}
await ask("/");
const said = await ask("/v1/chat/completions", { model: "openclaw", messages: [{ role: "user", content: "hello" }] });
if (!said.includes("You said: hello")) throw new Error(`the first turn failed: ${said.slice(0, 300)}`);
await ask("/tools/invoke", { tool: "memory_search", args: { query: "hello" }, sessionKey: "agent:main:main" });
gateway.kill("SIGTERM");
