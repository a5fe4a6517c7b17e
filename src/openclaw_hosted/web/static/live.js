// Keeps the changing part of a page up to date, by a stream of events or by short requests.
//
// A stream holds its connection for good, and over HTTP/1.1 a browser opens six to a host: with a stream in each tab, the seventh tab
// would never load. So there one tab at a time has a stream, the tab that holds a lock; the others ask. A hidden tab does neither.
(() => {
  "use strict";
  const part = document.querySelector("[data-live]");
  if (!part) return;
  const LOCK = "openclaw-hosted-live";
  const ASK_MS = 2000;
  const FIRST_EVENT_MS = 5000; // a proxy that keeps events back would leave the page as it is
  let shown = "";
  let source = null;
  let turn = new AbortController();
  let endStream = () => {};
  let isAsking = false;

  const show = (text) => {
    if (text.trim() === shown) return;
    shown = text.trim();
    part.innerHTML = shown;
    part.dispatchEvent(new CustomEvent("live:shown", { bubbles: true }));
  };

  const ask = async () => {
    if (source || isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
      if (answer.ok) show(await answer.text());
      else if ([401, 403, 404].includes(answer.status)) clearInterval(timer);
    } catch {
      // The platform is restarting, or the network is away: the next request may get through.
    } finally {
      isAsking = false;
    }
  };

  const stream = () =>
    new Promise((ended) => {
      const here = new EventSource(part.dataset.live);
      source = here;
      const silence = setTimeout(() => endStream(), FIRST_EVENT_MS);
      endStream = () => {
        clearTimeout(silence);
        here.close();
        source = null;
        endStream = () => {};
        ended();
      };
      here.addEventListener("state", (event) => {
        clearTimeout(silence);
        show(event.data);
      });
      here.addEventListener("error", () => {
        if (source === here && here.readyState === EventSource.CLOSED) endStream();
      });
    });

  const sharesOneConnection = () => /^h[23]/.test(performance.getEntriesByType("navigation")[0]?.nextHopProtocol ?? "");

  const follow = () => {
    ask();
    if (sharesOneConnection()) stream();
    else navigator.locks?.request(LOCK, { signal: turn.signal }, stream).catch(() => {}); // left the queue; only HTTPS and localhost have locks
  };

  const rest = () => {
    turn.abort();
    turn = new AbortController();
    endStream();
  };

  const timer = setInterval(ask, ASK_MS);
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : follow()));
  if (!document.hidden) follow();
})();
