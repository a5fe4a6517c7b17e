// The built-in echo model: an OpenAI-compatible API that answers with what it was told, so that a first look needs no key.
import { answer, readBody } from "./http.js";

const MODEL = "echo";
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const INTERNAL = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT";
const TIMESTAMP = /^\[\w{3} \d{4}-\d\d-\d\d [^\]]*\] /;
const WRAPPER = "Conversation info: ";
const WRAPPER_END = "```\n\n";

function textOf({ content }) {
  if (!Array.isArray(content)) return String(content ?? "");
  return content.filter((part) => part?.type === "text").map((part) => part.text).join("\n");
}

// The user's last own words, without the context that OpenClaw 2026.9 wraps around them.
function lastWords(messages) {
  const said = messages.filter((message) => message?.role === "user").map(textOf);
  const own = said.filter((text) => !text.startsWith(INTERNAL)).at(-1) ?? "";
  const [text] = own.replace(TIMESTAMP, "").split("\n\nRuntime: ", 1);
  if (!text.startsWith(WRAPPER)) return text.trim();
  const end = text.indexOf(WRAPPER_END);
  return end < 0 ? "" : text.slice(end + WRAPPER_END.length).trim();
}

function stream(res, about, content, usage) {
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const send = (chunk) => res.write(`data: ${JSON.stringify({ ...about, object: "chat.completion.chunk", ...chunk })}\n\n`);
  send({ choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }] });
  send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  send({ choices: [], usage });
  res.end("data: [DONE]\n\n");
  return true;
}

export async function echo(req, res) {
  let request;
  try {
    request = await readBody(req, MAX_BODY_BYTES);
    if (!Array.isArray(request.messages) || request.messages.some((message) => typeof message !== "object")) throw new Error();
  } catch {
    return answer(res, 400, { error: { message: "This is not a chat completion request." } });
  }
  const content = `You said: ${lastWords(request.messages)}`;
  const about = { id: "echo", created: Math.floor(Date.now() / 1000), model: MODEL };
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  if (request.stream) return stream(res, about, content, usage);
  const choice = { index: 0, message: { role: "assistant", content }, finish_reason: "stop" };
  return answer(res, 200, { ...about, object: "chat.completion", choices: [choice], usage });
}
