// Leads connections from the bridge of machines on to servers of models on this computer. Arguments: LISTEN_HOST TARGET_HOST PORT...
import { connect, createServer } from "node:net";

const MOST_CONNECTIONS = 256;
const RETRY_MS = 5000;
const [listenHost, targetHost, ...ports] = process.argv.slice(1);

for (const port of ports.map(Number)) {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => {
    const far = connect({ host: targetHost, port, allowHalfOpen: true });
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.resetAndDestroy()).on("close", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  server.maxConnections = MOST_CONNECTIONS;
  const listen = () => server.listen(port, listenHost);
  // The bridge may come later, and a server that listens on all addresses has the port itself: machines reach it as it is.
  server.on("error", () => setTimeout(listen, RETRY_MS));
  listen();
}
