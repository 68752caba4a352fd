// Several runs in one picture: curves upon each other, and parallel coordinates. A run that is pointed at stands out.
"use strict";
(() => {
  const { data, color, short, scaleOf, asImage, key } = flightcheck;
  const LEFT = 64;
  const FAINT = "0.12";
  const FEW = ["blue", "amber", "green", "red", "grey", "ink"]; // as many as the page tells apart by colour
  const WIDEST_WORD = 18;
  const NOTHING = -0.14; // the place below an axis of a run that has no such value

  const position = new Map(data.runs.map((run, i) => [run, i]));

  function stroke(run) {
    const rank = data.ranks?.[position.get(run)];
    if (data.ranks) return rank === null ? color("grey") : vendor.interpolateRgb(color("blue"), color("amber"))(rank);
    return color(FEW[position.get(run) % FEW.length]);
  }

  // Lines of one figure, by run; the charts and the tables point at each other.
  const drawn = new Map();

  function pointAt(run) {
    for (const lines of drawn.values()) {
      for (const [name, group] of lines) group.style.strokeOpacity = run && name !== run ? FAINT : "";
    }
    for (const row of document.querySelectorAll("tr[data-of]")) row.classList.toggle("pointed", row.dataset.of === run);
  }

  // The lines of a chart were drawn in the order of these runs, before anything else that is a line.
  function remember(figure, chart, runs) {
    const groups = [...chart.querySelectorAll('g[aria-label="line"]')];
    drawn.set(figure, runs.map((run, i) => [run, groups[i]]));
    chart.addEventListener("input", () => pointAt(chart.value?.run));
    chart.addEventListener("pointerleave", () => pointAt(undefined));
    asImage(chart);
  }

  // Of a few runs the first is the widest line and lies below: where they agree, both are seen.
  const widthOf = (place, runs) => (runs > FEW.length ? 1.7 : 1.6 + (3 * (runs - 1 - place)) / Math.max(1, runs - 1));

  function legend(runs) {
    return data.ranks ? [] : [key(runs.map((run) => [run, stroke(run)]))];
  }

  function overlay(figure) {
    const { plot, line, dot, gridY, axisX, axisY, tip, pointerX } = vendor;
    const { title, step, lines } = data.overlays[Number(figure.dataset.place)];
    const runs = Object.keys(lines);
    const points = runs.map((run) =>
      lines[run].steps.map((at, i) => ({ step: at, value: lines[run].values[i] ?? NaN, run })));
    const known = points.flat().filter((p) => Number.isFinite(p.value));
    const type = scaleOf(known.map((p) => p.value));
    const told = (p) => `${p.run}\nstep ${p.step.toLocaleString("en")}: ${short(p.value)}`;
    const few = points.filter((p) => p.length <= 40).flat();
    const chart = plot({
      width: figure.clientWidth - 24, height: step ? 180 : 300, marginLeft: LEFT, marginRight: 18, marginBottom: 34,
      x: { domain: [0, Math.max(1, data.steps)] }, y: { type, label: null, nice: type === "linear" },
      style: { background: "transparent", fontSize: "12px", "--plot-background": color("card") },
      ariaLabel: `${title} over the steps, one line for each run; the numbers stand in the tables.`,
      marks: [
        gridY({ strokeOpacity: 0.12 }),
        axisX({ label: "step", tickFormat: (d) => d.toLocaleString("en"), ticks: Math.min(data.steps, 8) }),
        axisY({ label: null, tickFormat: short, ticks: step ? 3 : 5 }),
        ...points.map((p, i) => line(p, {
          x: "step", y: "value", stroke: stroke(runs[i]), strokeWidth: widthOf(i, runs.length), curve: step ? "step-after" : "linear",
        })),
        ...(step ? [] : [dot(few, { x: "step", y: "value", fill: (p) => stroke(p.run), r: 2.5 })]),
        tip(known, pointerX({ x: "step", y: "value", title: told })),
      ],
    });
    remember(figure, chart, runs);
    figure.replaceChildren(chart, ...legend(runs));
  }

  // The place of each cell of an axis between 0 and 1, and the ticks that tell what a place means.
  function scaleOfAxis(axis) {
    if (!axis.numeric) {
      const words = [...new Set(axis.cells.filter((c) => c !== null))].sort();
      const at = (word) => (words.length > 1 ? words.indexOf(word) / (words.length - 1) : 0.5);
      const every = Math.ceil(words.length / 12);
      return { at, ticks: words.filter((_, i) => i % every === 0).map((w) => [at(w), cut(w)]) };
    }
    const bend = axis.log ? Math.log : (v) => v;
    const known = [...new Set(axis.cells.filter((c) => c !== null))].sort((a, b) => a - b);
    const [low, high] = [bend(known[0]), bend(known.at(-1))];
    const at = (v) => (high > low ? (bend(v) - low) / (high - low) : 0.5);
    const back = (t) => (axis.log ? Math.exp(low + t * (high - low)) : low + t * (high - low));
    const shown = known.length <= 5 ? known : [0, 0.25, 0.5, 0.75, 1].map(back);
    return { at, ticks: shown.map((v) => [at(v), short(v)]) };
  }

  const cut = (word) => (word.length > WIDEST_WORD ? `${word.slice(0, WIDEST_WORD - 1)}…` : word);

  function parallel(figure) {
    const { plot, line, ruleX, text, tip, pointerX } = vendor;
    const scales = data.axes.map(scaleOfAxis);
    const last = data.axes.length - 1;
    const value = (cell) => (typeof cell === "number" ? short(cell) : cell ?? "not recorded");
    const lines = data.runs.map((run, r) => {
      const told = [run, ...data.axes.map((a) => `${cut(a.name)}: ${cut(value(a.cells[r]))}`)].join("\n");
      return data.axes.map((a, i) =>
        ({ run, told, axis: i, place: a.cells[r] === null ? NOTHING : scales[i].at(a.cells[r]) }));
    });
    const without = data.axes.flatMap((a, i) => (a.cells.includes(null) ? [{ axis: i, place: NOTHING, label: "—" }] : []));
    const ticks = scales.flatMap((s, i) => s.ticks.map(([place, label]) => ({ axis: i, place, label }))).concat(without);
    const width = Math.max(figure.clientWidth - 24, 120 * (last + 1));
    const chart = plot({
      width, height: 360, marginTop: 42, marginBottom: 16, marginLeft: 60, marginRight: 96,
      x: { domain: [0, last], axis: null }, y: { domain: [without.length ? NOTHING : 0, 1], axis: null },
      style: { background: "transparent", fontSize: "12px", "--plot-background": color("card") },
      ariaLabel: "One line for each run over everything in which they differ; the table below tells the same.",
      marks: [
        ruleX(data.axes, { x: (_, i) => i, y1: 0, y2: 1, stroke: color("grey") }),
        ...lines.map((points, r) => line(points, {
          x: "axis", y: "place", stroke: stroke(data.runs[r]), strokeWidth: 1.8, curve: "monotone-x",
        })),
        text(ticks, {
          x: "axis", y: "place", text: "label", dx: 6, textAnchor: "start", fill: color("ink"),
          stroke: color("card"), strokeWidth: 4,
        }),
        text(data.axes, {
          x: (_, i) => i, frameAnchor: "top", dy: -20, text: (a) => cut(a.name), fontWeight: 600, fill: color("ink"),
          rotate: 0,
        }),
        tip(lines.flat(), pointerX({ x: "axis", y: "place", title: "told" })),
      ],
    });
    remember(figure, chart, data.runs);
    figure.style.overflowX = "auto";
    figure.replaceChildren(chart, ...legend(data.runs));
  }

  // The rows of tables of runs begin with a run's letter.
  for (const row of document.querySelectorAll("main tbody tr")) {
    const run = row.cells[0].textContent;
    if (!position.has(run)) continue;
    row.dataset.of = run;
    row.addEventListener("pointerenter", () => pointAt(run));
    row.addEventListener("pointerleave", () => pointAt(undefined));
  }

  Object.assign(flightcheck, { overlay, parallel });
})();
