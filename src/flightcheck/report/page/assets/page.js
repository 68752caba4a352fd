// Draws every chart at its place, again when the width or the colours change; what stands there without it stays.
"use strict";
(() => {
  async function drawAll() {
    const started = performance.now();
    const figures = [...document.querySelectorAll("[data-chart]")].filter((f) => f.dataset.chart in flightcheck);
    for (const figure of figures) {
      if (flightcheck.inUse?.(figure)) continue;
      figure.hidden = false;
      try {
        await flightcheck[figure.dataset.chart](figure);
      } catch (error) {
        figure.hidden = true; // its numbers stand in the table
        console.error(error);
      }
    }
    document.documentElement.dataset.drawn = String(Math.round(performance.now() - started));
  }

  let width = 0;
  let waiting = 0;
  const again = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { flightcheck.drawing = drawAll(); }, 120);
  };
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) { width = window.innerWidth; again(); }
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("main details")) folded.open = true;
  });
  width = window.innerWidth;
  flightcheck.drawAll = drawAll;
  flightcheck.drawing = drawAll();
})();
