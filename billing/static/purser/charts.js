// Draws the Vega-Lite specifications that a page carries. The page works without this:
// each chart has its figures in a table.
(() => {
  "use strict";

  const figures = [...document.querySelectorAll("[data-chart]")];
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  // What `var(--name)` means right now, in light or dark.
  const meaning = (value) => {
    if (value === "var(--font)") return getComputedStyle(document.body).fontFamily;
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };

  const resolved = (spec) => {
    if (typeof spec === "string") return spec.startsWith("var(--") ? meaning(spec) : spec;
    if (Array.isArray(spec)) return spec.map(resolved);
    if (spec === null || typeof spec !== "object") return spec;
    return Object.fromEntries(
      Object.entries(spec).map(([name, value]) => [name, resolved(value)]),
    );
  };

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  // Text only: nothing that comes from data is read as HTML.
  const showTip = (handler, event, item, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const list = document.createElement("dl");
    for (const [name, words] of Object.entries(value)) {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = words;
      list.append(term, detail);
    }
    tip.replaceChildren(list);
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - width - 8);
    const above = event.clientY - height - 14;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
  };

  const draw = async (figure) => {
    const plot = figure.querySelector(".plot");
    const spec = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    if (figure.view) figure.view.finalize();
    plot.replaceChildren();
    const { view } = await window.vegaEmbed(plot, resolved(spec), {
      actions: false,
      ast: true,
      defaultStyle: false,
      renderer: "canvas",
      tooltip: showTip,
    });
    figure.view = view;
  };

  const drawAll = () => figures.forEach(draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
})();
