// A spare's gateway can be reached before it has an owner, where the way to it is built beforehand. Until the platform says that it has
// one, it answers nothing at its address but to the platform itself.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const CLOSED = "This OpenClaw has no owner yet.";
const RESERVED = process.env.OPENCLAW_HOSTED_RESERVED === "1";
const NOTE = join(process.env.OPENCLAW_STATE_DIR ?? "/home/node/.openclaw", "oc-hosted-claimed");

export class Reservation {
  constructor({ reserved = RESERVED, note = NOTE } = {}) {
    this.note = note;
    this.reserved = reserved;
    this.closed = reserved && !existsSync(note);
  }

  // Written down, as the container keeps its environment when it is started again.
  claim() {
    if (this.closed) writeFileSync(this.note, "");
    this.closed = false;
  }

  // Whether the request ends here.
  answered(res) {
    if (!this.closed) return false;
    res.writeHead(503, { "Cache-Control": "no-store", "Content-Type": "text/plain", "Retry-After": "1" });
    res.end(CLOSED);
    return true;
  }

  // Whether the connection ends here.
  refused(socket) {
    if (!this.closed) return false;
    socket.end(`HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: ${CLOSED.length}\r\n\r\n${CLOSED}`);
    return true;
  }
}
