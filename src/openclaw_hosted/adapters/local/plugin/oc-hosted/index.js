// What the platform asks of a gateway and OpenClaw's own admin API does not offer. Needs the gateway's token.
import { emitAgentEvent, onAgentEvent } from "openclaw/plugin-sdk/agent-harness-runtime";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { issueDeviceBootstrapToken } from "openclaw/plugin-sdk/device-bootstrap";
import { dispatchGatewayMethod } from "openclaw/plugin-sdk/gateway-method-runtime";
import { BadChange, bearsToken, changeCredentials } from "./credentials.js";
import { echo } from "./echo.js";
import { answer, readBody } from "./http.js";
import { introduce } from "./names.js";
import { answerForAbsentModel, PATIENCE_MS } from "./presence.js";
import { Reservation } from "./reserved.js";
import { Silence } from "./silence.js";

const MAX_BODY_BYTES = 65536;
const OWNER = {
  roles: ["operator"],
  purpose: "control-ui-owner",
  scopes: [
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.questions",
    "operator.read",
    "operator.talk.secrets",
    "operator.write",
  ],
};
const DISPATCHED = new Set([
  "channels.pairing.approve",
  "channels.pairing.dismiss",
  "channels.pairing.list",
  "secrets.reload",
  "sessions.delete",
  "sessions.list",
  "sessions.patch",
]);

const STARTED_AT = Date.now() / 1000 - process.uptime();
let stopping = false;
process.once("SIGTERM", () => (stopping = true));

// Of the process: OpenClaw has a plugin register itself several times.
const silence = new Silence(emitAgentEvent);
onAgentEvent((event) => silence.heard(event));
const reservation = new Reservation();

function refuse(res, status, code, message) {
  return answer(res, status, { ok: false, error: { code, message } });
}

async function ask(method, params) {
  const { ok, payload, error } = await dispatchGatewayMethod(method, params);
  if (!ok) throw new Error(`${method}: ${error?.message}`);
  return payload;
}

async function mintBootstrap({ names }) {
  if (names) await introduce(names, ask);
  const issued = await issueDeviceBootstrapToken({ profile: OWNER });
  return { bootstrapToken: issued.token, bootstrapProfile: "owner", expiresAtMs: issued.expiresAtMs };
}

function methodsOf(instanceId) {
  return {
    identity: () => ({ instanceId, pid: process.pid, startedAt: STARTED_AT, stopping, takesCredentials: true, closed: reservation.closed }),
    "browser.bootstrap": mintBootstrap,
    "credentials.change": (params) => {
      changeCredentials(params);
      return { startedAt: STARTED_AT };
    },
    claim: () => {
      reservation.claim();
      return {};
    },
  };
}

function handler(instanceId) {
  const methods = methodsOf(instanceId);
  return async (req, res) => {
    if (req.method !== "POST") return refuse(res, 405, "INVALID_REQUEST", "POST only");
    let request;
    try {
      request = await readBody(req, MAX_BODY_BYTES);
    } catch {
      return refuse(res, 400, "INVALID_REQUEST", "not a JSON body of at most 64 KB");
    }
    try {
      if (Object.hasOwn(methods, request.method)) {
        return answer(res, 200, { ok: true, payload: await methods[request.method](request.params ?? {}) });
      }
      if (!DISPATCHED.has(request.method)) return refuse(res, 400, "INVALID_REQUEST", "unknown method");
      const result = await dispatchGatewayMethod(request.method, request.params ?? {});
      return answer(res, result.ok ? 200 : 500, result);
    } catch (problem) {
      if (problem instanceof BadChange) return refuse(res, 400, "INVALID_PARAMS", problem.message);
      return refuse(res, 503, "UNAVAILABLE", String(problem));
    }
  };
}

function keepClosed(api, instanceId) {
  api.registerHttpRoute({
    path: `/${instanceId}`,
    auth: "plugin",
    match: "prefix",
    handler: (req, res) => !bearsToken(req) && reservation.answered(res),
    handleUpgrade: (req, socket) => reservation.refused(socket),
  });
}

export default definePluginEntry({
  id: "oc-hosted",
  name: "OpenClaw Hosted",
  description: "What the platform that hosts this gateway needs of it",
  register(api) {
    const instanceId = api.config?.gateway?.controlUi?.basePath?.replace(/^\//, "") ?? null;
    if (reservation.reserved && instanceId) keepClosed(api, instanceId);
    api.registerHttpRoute({
      path: "/api/v1/oc-hosted/rpc",
      auth: "gateway",
      match: "exact",
      gatewayRuntimeScopeSurface: "trusted-operator",
      handler: handler(instanceId),
    });
    api.on("before_agent_reply", answerForAbsentModel, { timeoutMs: PATIENCE_MS + 5000 });
    api.on("model_call_started", (event) => silence.calling(event));
    api.on("model_call_ended", (event) => silence.over(event));
    api.registerHttpRoute({ path: "/api/v1/oc-hosted/echo/chat/completions", auth: "gateway", match: "exact", handler: echo });
  },
});
