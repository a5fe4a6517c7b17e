// Sends an archive to the API as it is, and goes on to the form of a new instance.
(() => {
  "use strict";
  const words = document.currentScript.dataset;
  const form = document.querySelector("form[data-bring]");
  if (!form) return;
  const bar = form.querySelector("progress");
  const problem = form.querySelector("[role=alert]");
  const button = form.querySelector("button");

  const said = (request) => {
    try {
      const body = JSON.parse(request.responseText);
      return (body.errors ?? []).map((each) => each.message).join(" ") || body.detail;
    } catch {
      return words.silent;
    }
  };

  const fail = (text) => {
    problem.textContent = text;
    problem.hidden = false;
    bar.hidden = true;
    button.disabled = false;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = form.querySelector("input[type=file]").files[0];
    if (!file) return;
    problem.hidden = true;
    bar.hidden = false;
    button.disabled = true;
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.bring);
    request.setRequestHeader("Content-Type", file.name.endsWith(".tar") ? "application/x-tar" : "application/gzip");
    request.setRequestHeader("X-CSRF-Token", form.dataset.token);
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) bar.value = sent.loaded / sent.total;
    });
    request.addEventListener("load", () => {
      if (request.status === 201) location.assign(form.dataset.next + encodeURIComponent(JSON.parse(request.responseText).id));
      else fail(said(request));
    });
    request.addEventListener("error", () => fail(words.lost));
    request.send(file);
  });
})();
