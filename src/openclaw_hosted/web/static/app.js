// Times in the reader's own zone, running counters, and a few small courtesies. Every page works without.
(() => {
  "use strict";
  const zone = { dateStyle: "medium", timeStyle: "short" };
  // As the reader's own country writes times, where the page is in a language of theirs.
  const page = document.documentElement.lang;
  const locale = navigator.languages.find((each) => each.split("-")[0] === page) ?? page;

  const refresh = (root) => {
    for (const time of root.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      time.title = time.dateTime;
      time.textContent = at.toLocaleString(locale, zone);
      time.removeAttribute("data-local");
    }
    count();
  };

  const count = () => {
    for (const counter of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (Date.now() - Date.parse(counter.dataset.since)) / 1000);
      counter.textContent = seconds < 60 ? `${seconds.toLocaleString(page, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    }
  };

  // A service worker belongs to an instance's own pages. One with a wider scope reads along here: out with it.
  const OWN_SCOPE = /^\/oc-[a-z0-9]+\//;
  navigator.serviceWorker?.getRegistrations().then((all) => {
    for (const each of all) if (!OWN_SCOPE.test(new URL(each.scope).pathname)) each.unregister();
  });

  // What a page says once is not said again when it is loaded again.
  const sayOnce = () => {
    if (document.querySelector("[data-said]")) history.replaceState(history.state, "", location.pathname + location.hash);
  };

  const reloadLater = () => {
    const part = document.querySelector("[data-reload]");
    if (part) setTimeout(() => (document.hidden ? reloadLater() : location.reload()), part.dataset.reload * 1000);
  };

  // Problems that came without a new page: each stands below its field, where all that was typed is still there.
  const mark = (form) => {
    delete form.dataset.sent;
    for (const problem of form.querySelectorAll(".field-error[id$='-error']")) {
      const field = form.elements[problem.id.replace(/-error$/, "")];
      if (!(field instanceof HTMLElement)) continue;
      if (problem.textContent) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    const first = [...form.querySelectorAll("[aria-invalid]")].find((field) => field.checkVisibility());
    (first ?? form.querySelector("[role=alert]"))?.scrollIntoView({ block: "center" });
    first?.focus();
  };

  document.addEventListener("DOMContentLoaded", () => {
    refresh(document);
    for (const notice of document.querySelectorAll("[data-unless-at]")) notice.hidden = notice.dataset.unlessAt === location.origin;
    setInterval(count, 200);
    sayOnce();
    reloadLater();
    document.querySelector("[aria-invalid]")?.focus();
    document.querySelector("[data-select]")?.select();
  });
  for (const name of ["htmx:afterSwap", "live:shown"]) document.addEventListener(name, (event) => refresh(event.target));
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "form-problems") mark(event.detail.target.form ?? event.detail.target.closest("form"));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-once]")) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
