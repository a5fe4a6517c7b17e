// A Copy button beside each link or token that is shown. Without this file they can still be selected.
(() => {
  "use strict";
  const words = document.currentScript.dataset;
  const SAID_MS = 2000;

  const copied = async (text, source) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = source.matches("input") ? source : null; // plain HTTP has no clipboard
    field?.select();
    if (!field || !document.execCommand("copy")) throw new Error("no clipboard");
  };

  const add = (source) => {
    if (!navigator.clipboard && !source.matches("input")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small copier";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      try {
        await copied(source.value ?? source.textContent, source);
        button.textContent = words.copied;
      } catch {
        button.textContent = words.press;
      }
      setTimeout(() => (button.textContent = words.copy), SAID_MS);
    });
    source.insertAdjacentElement("afterend", button);
    source.dataset.copier = "yes";
  };

  const enhance = (root) => {
    for (const source of root.querySelectorAll("input.copy[readonly]:not([data-copier]), [data-copy]:not([data-copier])")) add(source);
  };
  document.addEventListener("DOMContentLoaded", () => enhance(document));
  document.addEventListener("htmx:afterSwap", (event) => enhance(event.target));
})();
