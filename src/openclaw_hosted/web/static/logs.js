// Times of log lines in the reader's own zone, which is named. Without this they are UTC.
(() => {
  "use strict";
  const words = document.currentScript.dataset;
  const HEAD = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?:Z|\+00:?00)?/;
  const two = (number) => String(number).padStart(2, "0");
  const here = (at) =>
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

  document.addEventListener("DOMContentLoaded", () => {
    for (const line of document.querySelectorAll(".log-lines li")) {
      const head = HEAD.exec(line.textContent);
      const at = head && new Date(`${head[1]}T${head[2]}Z`);
      if (!at || Number.isNaN(at.valueOf())) continue;
      const time = document.createElement("time");
      time.dateTime = at.toISOString();
      time.title = time.dateTime;
      time.textContent = here(at);
      line.replaceChildren(time, line.textContent.slice(head[0].length));
    }
    const zone = document.querySelector("[data-log-zone]");
    if (zone) zone.textContent = words.zone.replace("ZONE", Intl.DateTimeFormat().resolvedOptions().timeZone);
  });
})();
