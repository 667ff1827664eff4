// Asks for the preview of a form again as it is filled in. The page works without this:
// its button does the same.
(() => {
  "use strict";

  const form = document.querySelector("form[data-preview]");
  const button = form.querySelector("[name=preview]");
  const PAUSE = 400; // ms without a key
  let timer, asked;

  const refresh = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(location.href, {
        method: "POST",
        body: new FormData(form, button),
        signal: asked.signal,
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const preview = page.getElementById("preview");
      if (answer.ok && preview) document.getElementById("preview").replaceWith(preview);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE);
  });
})();
