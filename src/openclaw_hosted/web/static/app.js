// Times in the reader's own zone, running counters, and two small courtesies. Every page works without.
(() => {
  "use strict";
  const zone = { dateStyle: "medium", timeStyle: "short" };

  const refresh = (root) => {
    for (const time of root.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      time.title = time.dateTime;
      time.textContent = at.toLocaleString(undefined, zone);
      time.removeAttribute("data-local");
    }
    count();
  };

  const count = () => {
    for (const counter of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (Date.now() - Date.parse(counter.dataset.since)) / 1000);
      counter.textContent = seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    }
  };

  // A service worker belongs to an instance's own pages. One with a wider scope reads along here: out with it.
  const OWN_SCOPE = /^\/oc-[a-z0-9]+\//;
  navigator.serviceWorker?.getRegistrations().then((all) => {
    for (const each of all) if (!OWN_SCOPE.test(new URL(each.scope).pathname)) each.unregister();
  });

  document.addEventListener("DOMContentLoaded", () => {
    refresh(document);
    for (const notice of document.querySelectorAll("[data-unless-at]")) notice.hidden = notice.dataset.unlessAt === location.origin;
    setInterval(count, 200);
    document.querySelector("[aria-invalid]")?.focus();
    document.querySelector("[data-select]")?.select();
  });
  for (const name of ["htmx:afterSwap", "live:shown"]) document.addEventListener(name, (event) => refresh(event.target));
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-once]")) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
