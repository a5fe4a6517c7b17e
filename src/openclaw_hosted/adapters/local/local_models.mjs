// Leads connections from the bridge of machines on to servers of models on this computer. Arguments: LISTEN_HOST TARGET_HOST PORT...
import { connect, createServer } from "node:net";

const MOST_CONNECTIONS = 256;
const [listenHost, targetHost, ...ports] = process.argv.slice(1);

for (const port of ports) {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => {
    const far = connect({ host: targetHost, port: Number(port), allowHalfOpen: true });
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.resetAndDestroy()).on("close", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.listen(Number(port), listenHost);
}
