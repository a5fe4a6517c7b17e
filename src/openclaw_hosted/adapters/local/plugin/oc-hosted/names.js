// Calls the owner what the platform calls them, where OpenClaw has no name of its own for them but "Owner". A name that was given in
// OpenClaw stays. The assistant keeps its name: that is configuration, and a turn that begins while OpenClaw takes up another one fails.
import { setTimeout } from "node:timers/promises";

const PATIENCE_MS = 1000;
const OWNER = "gateway-owner";

async function nameOwner(ask, displayName) {
  const { profiles } = await ask("users.list", {});
  const owner = profiles.find(({ id }) => id === OWNER);
  if (owner && !owner.displayName) await ask("users.setDisplayName", { profileId: OWNER, displayName });
}

// Nobody is kept out because a name could not be given, and nobody waits long for it: whatever is refused is left as it is, and a page
// that is open already shows a name that comes later.
export async function introduce({ owner }, ask) {
  const named = Promise.allSettled([owner && nameOwner(ask, owner)]);
  await Promise.race([named, setTimeout(PATIENCE_MS, undefined, { ref: false })]);
}
