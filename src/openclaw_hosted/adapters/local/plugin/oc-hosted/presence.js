// Says in a turn that the server of its model can't be reached. OpenClaw itself tries such a server again for 90 seconds and more.
import { readFileSync } from "node:fs";
import { get as overHttp } from "node:http";
import { get as overHttps } from "node:https";

export const PATIENCE_MS = 20000;
const UNREACHED = {
  ECONNREFUSED: "nothing listens there, or the way to it is closed",
  ECONNRESET: "the connection ended without an answer",
  EAI_AGAIN: "its name is not known",
  ENOTFOUND: "its name is not known",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ETIMEDOUT: "it does not answer",
  SILENT: `it did not answer within ${PATIENCE_MS / 1000} seconds`,
};
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

// The code of what keeps a server from being reached. Whatever it answers, it is there; and what is wrong with that is OpenClaw's to say.
export function problemOf(address, patienceMs) {
  return new Promise((resolve) => {
    const request = (address.startsWith("https:") ? overHttps : overHttp)(address, (response) => {
      response.destroy();
      resolve(undefined);
    });
    const patience = setTimeout(() => request.destroy(Object.assign(new Error(), { code: "SILENT" })), patienceMs);
    request.on("error", ({ code }) => resolve(Object.hasOwn(UNREACHED, code) ? code : undefined));
    request.on("close", () => clearTimeout(patience));
  });
}

// The server to look at before a turn; none where a proxy or another model stands in, as those are OpenClaw's to ask.
export function serverOf(config, provider, environment) {
  const { baseUrl } = config.models?.providers?.[provider] ?? {};
  const behindProxy = PROXIES.some((name) => environment[name] || environment[name.toLowerCase()]);
  if (provider === "echo" || !baseUrl || behindProxy || config.agents?.defaults?.model?.fallbacks?.length) return undefined;
  return ["http:", "https:"].includes(URL.parse(`${baseUrl}/models`)?.protocol) ? baseUrl : undefined;
}

function present() {
  try {
    return JSON.parse(readFileSync(process.env.OPENCLAW_CONFIG_PATH, "utf8"));
  } catch {
    return {};
  }
}

export async function answerForAbsentModel(event, { modelProviderId, modelId }) {
  const server = serverOf(present(), modelProviderId, process.env);
  const code = server && (await problemOf(`${server}/models`, PATIENCE_MS));
  if (!code) return undefined;
  const text = `The server of the model ${modelProviderId}/${modelId} can't be reached: ${UNREACHED[code]} (${code}). Start it, or choose another model in this instance's settings, then write again.`;
  return { handled: true, reply: { text } };
}
