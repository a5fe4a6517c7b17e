// Says in the chat page that a model has said nothing for a while. OpenClaw itself waits for minutes, which a slow model may need, and shows nothing.
export const SILENT_MS = 25000;
const ITEM = "oc-hosted-silence";

function silenceOf({ provider, model }) {
  return `The model ${provider}/${model} has said nothing for ${SILENT_MS / 1000} seconds. OpenClaw goes on waiting, as a slow model may need minutes; Stop ends this turn.`;
}

// What OpenClaw's page shows in a turn as a remark on its progress, and takes away where it is empty. It is kept nowhere.
function remark({ runId, sessionKey }, progressText) {
  return { runId, sessionKey, stream: "item", data: { itemId: ITEM, kind: "preamble", phase: "end", title: "Model", progressText } };
}

// One wait for each turn whose model is being called, by the turn's id; whatever the turn shows begins it anew.
export class Silence {
  #emit;
  #waits = new Map();

  constructor(emit) {
    this.#emit = emit;
  }

  calling(call) {
    this.over(call);
    this.#wait(call);
  }

  heard({ runId, stream, data }) {
    const wait = this.#waits.get(runId);
    if (!wait || data?.itemId === ITEM) return;
    this.over(wait.call);
    if (stream !== "lifecycle") this.#wait(wait.call);
  }

  over({ runId }) {
    const wait = this.#waits.get(runId);
    if (!wait) return;
    clearTimeout(wait.timer);
    this.#waits.delete(runId);
    if (wait.told) this.#emit(remark(wait.call, ""));
  }

  #wait(call) {
    const wait = { call, told: false };
    wait.timer = setTimeout(() => {
      wait.told = true;
      this.#emit(remark(call, silenceOf(call)));
    }, SILENT_MS);
    this.#waits.set(call.runId, wait);
  }
}
