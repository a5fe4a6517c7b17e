// Loads what OpenClaw is made of while its state is still in use elsewhere, and lets it begin once that is free: Node.js runs this first.
//
// It waits for as long as the file that OPENCLAW_HOSTED_WAIT names is there, and says in a line of the log that it does. Until then
// nothing of OpenClaw runs: loading its modules opens no file of the state, no port, and no other program.
import { existsSync, readFileSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";

const WAIT = process.env.OPENCLAW_HOSTED_WAIT;
const POLL_MS = 10;
// What most of OpenClaw 2026.9.6 hangs on, without the mark of the build that its files bear. One that is missing costs time, and nothing else.
const PARTS = [
  "cli/run-main",
  "run-command",
  "command-execution-startup",
  "doctor-config-preflight",
  "openclaw-database-preflight",
  "run",
  "server",
  "server-start",
  "server-startup-config",
  "server-worker-environment-startup",
  "server-worker-placement-startup",
  "server-startup-plugins",
  "server-startup-early",
  "server-startup-post-attach",
  "server-plugin-bootstrap",
  "server-runtime-subscriptions",
  "server-runtime-startup-services",
  "server-runtime-services",
  "server-aux-handlers",
  "server-methods",
  "server-node-session-runtime",
  "server-request-context",
  "server-instance-runtime",
  "server-channels",
  "server-cron",
  "server-reload-managed",
  "server-shutdown.runtime",
  "server-close.runtime",
  "session-row-projection",
  "ws-connection",
  "control-ui",
  "get-reply-from-config.runtime",
  "embedded-agent.runtime",
  "agent-runner.runtime",
  "extensions/admin-http-rpc/index",
  "extensions/anthropic/index",
  "extensions/device-pair/index",
  "extensions/memory-core/index",
  "extensions/openai/index",
];
const MARKED = /^(.*)-[A-Za-z0-9_-]{8}\.mjs$/;

function files(dist) {
  const marked = new Map();
  for (const name of existsSync(dist) ? readdirSync(dist) : []) {
    const part = MARKED.exec(name)?.[1];
    if (part) marked.set(part, [...(marked.get(part) ?? []), name]);
  }
  return PARTS.flatMap((part) => marked.get(part) ?? (existsSync(join(dist, `${part}.js`)) ? [`${part}.js`] : [])).map((name) => join(dist, name));
}

async function load() {
  const dist = join(dirname(realpathSync(process.argv[1])), "dist");
  let loaded = 0;
  for (const path of files(dist)) {
    if (!existsSync(WAIT)) return loaded;
    try {
      await import(pathToFileURL(path));
      loaded += 1;
    } catch {
      // It is OpenClaw's to say what is wrong with a part, once it needs it.
    }
  }
  return loaded;
}

function asked() {
  try {
    return isMainThread && WAIT ? readFileSync(WAIT, "utf8").trim() : "";
  } catch {
    return "";
  }
}

const order = asked();
if (order) {
  const parts = await load();
  console.log(`oc-hosted: ${parts} parts are loaded, waiting for the state (${order})`);
  while (existsSync(WAIT)) await sleep(POLL_MS);
}
