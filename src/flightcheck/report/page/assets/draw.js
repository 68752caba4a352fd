// What all charts share: the data, colours of the reader's system, and the charts of curves.
"use strict";
const flightcheck = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const LEFT = 170; // one margin for all charts over steps, so that a step stands below itself
  const RIGHT = 18;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const SEVERITY = { critical: "red", error: "red", warn: "amber", info: "blue" };

  function short(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  }

  // The same with as many digits as it takes to tell the ticks of an axis apart: 1.015 and 1.02.
  function shortWithin(values) {
    const finite = values.filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const digits = Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / (high - low)) + 2);
    if (!(high > low) || digits <= 3) return short;
    return (v) => (Math.abs(v) >= 1e-3 && Math.abs(v) < 1e5 ? String(Number(v.toPrecision(Math.min(digits, 9)))) : short(v));
  }

  // The domain of all steps: one empty step at the end, so that the last one has a width.
  const domain = () => [0, Math.max(1, data.steps)];

  // Whole steps only, as many as have room.
  const ticks = (width) => Math.min(domain()[1], Math.max(3, width / 130));

  // Codes that begin at the same step are one mark.
  function marks() {
    const found = new Map();
    for (const mark of data.marks) {
      const known = found.get(mark.step);
      if (!known) found.set(mark.step, { step: mark.step, codes: [mark.code], severity: mark.severity });
      else known.codes.push(mark.code);
    }
    return [...found.values()].map((m) => {
      const more = m.codes.length > 2 ? ` +${m.codes.length - 2}` : "";
      return { ...m, label: m.codes.slice(0, 2).join(" ") + more };
    });
  }

  // Labels that would lie upon each other are left to the nearest line before them.
  function readableMarks(x, width) {
    let end = -Infinity;
    return marks().map((m) => {
      const at = x(m.step);
      const room = 7.5 * m.label.length + 8;
      const left = at + room > width;
      const start = left ? at - room : at;
      if (start < end) return { ...m, label: "", left };
      end = start + room;
      return { ...m, left };
    });
  }

  function findingMarks(width) {
    const { ruleX, text } = vendor;
    const x = vendor.scaleLinear(domain(), [LEFT, width - RIGHT]);
    const shown = readableMarks(x, width - RIGHT);
    const labels = (left) =>
      text(shown.filter((m) => m.left === left), {
        x: "step", text: "label", frameAnchor: "top", textAnchor: left ? "end" : "start", dx: left ? -4 : 4, dy: -12,
        fill: (m) => color(SEVERITY[m.severity]), fontWeight: 600,
      });
    return [
      ruleX(shown, { x: "step", stroke: (m) => color(SEVERITY[m.severity]), strokeDasharray: "4 3" }),
      labels(false), labels(true),
    ];
  }

  const points = (curve) => curve.steps.map((step, i) => ({ step, value: curve.values[i] ?? NaN, name: curve.name }));

  // A logarithmic axis where values span more than a factor of 30 and none of them is zero or below.
  function scaleOf(values) {
    const finite = values.filter(Number.isFinite);
    const low = Math.min(...finite);
    const high = Math.max(...finite);
    return low > 0 && high / low > 30 ? "log" : "linear";
  }

  function key(parts) {
    const caption = document.createElement("figcaption");
    for (const [name, fill] of parts) {
      const item = document.createElement("span");
      item.className = "key";
      item.style.setProperty("--key", fill);
      item.textContent = name;
      caption.append(item);
    }
    return caption;
  }

  // The mean over the points around each, a fifteenth of them on either side; where one of them is no number, none.
  function smoothed(curve) {
    const reach = Math.max(1, Math.floor(curve.values.length / 30));
    const values = curve.values.map((_, i) => {
      const around = curve.values.slice(Math.max(0, i - reach), i + reach + 1).map((v) => v ?? NaN);
      return around.reduce((a, b) => a + b, 0) / around.length;
    });
    return { ...curve, name: "mean of the steps around", values };
  }

  function curves(figure, options) {
    const { lines, dots = [], label, description, stroke, height, step = false, thick = [], guess = null } = options;
    const { plot, line, dot, gridY, axisX, axisY, ruleX, ruleY, tip, pointerX } = vendor;
    const width = figure.clientWidth - 24;
    const all = lines.flatMap(points);
    const values = all.map((p) => p.value);
    const broken = all.find((p) => !Number.isFinite(p.value));
    const type = scaleOf([...values, ...dots.map((d) => d.value), ...(guess === null ? [] : [guess])]);
    const title = (p) => `step ${p.step.toLocaleString("en")}\n${p.name}: ${short(p.value)}`;
    const chart = plot({
      width, height, marginLeft: LEFT, marginRight: RIGHT, marginTop: 28, marginBottom: 34,
      x: { domain: domain() }, y: { type, label: null, nice: type === "linear" },
      style: { background: "transparent", fontSize: "12px", "--plot-background": color("card") },
      ariaLabel: description,
      marks: [
        gridY({ strokeOpacity: 0.12 }),
        axisX({ label: "step", tickFormat: (d) => d.toLocaleString("en"), ticks: ticks(width) }),
        axisY({ label, tickFormat: shortWithin(values), ticks: height < 150 ? 3 : 5 }),
        ...findingMarks(width),
        ...(guess === null ? [] : [ruleY([guess], { stroke: color("ink"), strokeDasharray: "2 4", strokeWidth: 1.4 })]),
        ...(broken ? [ruleX([broken.step], { stroke: color("red"), strokeWidth: 2 })] : []),
        ...lines.map((l, i) =>
          line(points(l), { className: "each", x: "step", y: "value", stroke: stroke[i], curve: step ? "step-after" : "linear",
            strokeWidth: thick.length ? 0.9 : 1.8, strokeOpacity: thick.length ? 0.55 : 1 })),
        ...thick.map((l, i) => line(points(l), { x: "step", y: "value", stroke: stroke[i], strokeWidth: 2.6 })),
        dot(dots, { x: "step", y: "value", fill: color("amber"), r: 4 }),
        tip([...all.filter((p) => Number.isFinite(p.value)), ...dots], pointerX({ x: "step", y: "value", title })),
      ],
    });
    asImage(chart);
    figure.replaceChildren(chart);
    return broken;
  }

  // To a screen reader one picture with one name; the numbers are in the table.
  function asImage(chart) {
    chart.setAttribute("role", "img");
    for (const part of chart.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
  }

  const FEW = 40; // points that need no mean over them

  // The script's own numbers: one small chart for each.
  function own(figure) {
    const { plot, line, dot, gridY, axisX, axisY, tip, pointerX } = vendor;
    const room = figure.clientWidth - 24;
    const width = room > 700 && data.own.length > 1 ? Math.floor((room - 16) / 2) : room;
    figure.replaceChildren(...data.own.map((curve) => {
      const there = points(curve).filter((p) => Number.isFinite(p.value));
      const type = scaleOf(there.map((p) => p.value));
      const mark = { x: "step", y: "value" };
      const chart = plot({
        width, height: 150, marginLeft: 52, marginRight: 14, marginTop: 26, marginBottom: 34,
        ...(curve.apart ? {} : { x: { domain: domain() } }), y: { type, label: null, nice: type === "linear" },
        style: { background: "transparent", fontSize: "12px", "--plot-background": color("card") },
        ariaLabel: `${curve.name} over the steps; the numbers stand in the table below.`,
        marks: [
          gridY({ strokeOpacity: 0.12 }),
          axisX({ label: curve.apart ? "step that the script gave" : "step", ticks: 5, tickFormat: (d) => d.toLocaleString("en") }),
          axisY({ label: curve.name.slice(0, 40), ticks: 3, tickFormat: shortWithin(there.map((p) => p.value)) }),
          line(there, { ...mark, stroke: color("blue"), strokeWidth: 1.8 }),
          dot(there.length > FEW ? [] : there, { ...mark, fill: color("blue"), r: 2.2 }),
          tip(there, pointerX({ ...mark, title: (p) => `step ${p.step.toLocaleString("en")}\n${short(p.value)}` })),
        ],
      });
      asImage(chart);
      return chart;
    }));
  }

  const PALETTE = ["blue", "amber", "green", "red", "grey"];

  function loss(figure) {
    const dots = data.evaluation ? points(data.evaluation) : [];
    const stroke = [color("blue")];
    const description = "Training loss over the steps; the numbers stand in the table below.";
    const thick = data.loss.values.length > FEW ? [smoothed(data.loss)] : [];
    const guess = data.guess;
    const broken = curves(figure, { lines: [data.loss], dots, label: "loss", description, stroke, thick, guess });
    const parts = [[thick.length ? "training: each step, and the mean around it" : "training", color("blue")]];
    if (guess !== null) parts.push([`a constant guess: ${short(guess)}`, color("ink")]);
    if (dots.length) parts.push(["evaluation", color("amber")]);
    if (broken) parts.push([`not finite from step ${broken.step}`, color("red")]);
    figure.append(key(parts));
  }

  function rate(figure) {
    const stroke = data.rates.map((_, i) => color(PALETTE[i % PALETTE.length]));
    const description = "Learning rate over the steps; the numbers stand in the table below.";
    // A line ends where the training does, although only its corners are recorded.
    const lines = data.rates.map((r) => ({ ...r, name: r.name.slice(0, 40) }));
    curves(figure, { lines, label: "learning rate", description, stroke, height: 130, step: true });
    figure.append(key(lines.map((r, i) => [r.name, stroke[i]])));
  }

  function trial(figure) {
    const { plot, line, gridY, axisX, axisY } = vendor;
    const { control, patched, steps, metric } = data.trials[figure.dataset.name];
    const series = (all, name) =>
      all.flatMap((values, seed) =>
        values.map((value, i) => ({
          step: (i / Math.max(1, values.length - 1)) * steps, value: value ?? NaN, seed: `${name} ${seed}`,
        })));
    const before = series(control, "before");
    const after = series(patched, "after");
    const type = scaleOf([...before, ...after].map((p) => p.value));
    const mean = (all) => all[0].map((_, i) => {
      const there = all.map((values) => values[i] ?? NaN);
      return { step: (i / Math.max(1, all[0].length - 1)) * steps, value: there.reduce((a, b) => a + b, 0) / there.length };
    });
    // Where both run side by side, the wide line below is still seen.
    const lines = (seeds, all, name, width) => [
      line(seeds, { x: "step", y: "value", z: "seed", stroke: color(name), strokeWidth: 1, strokeOpacity: 0.4 }),
      line(mean(all), { x: "step", y: "value", stroke: color(name), strokeWidth: width }),
    ];
    const chart = plot({
      width: Math.max(240, figure.clientWidth), height: 160, marginLeft: 46, marginBottom: 30, marginTop: 22,
      y: { type, label: null, nice: type === "linear" },
      style: { background: "transparent", fontSize: "11px" },
      ariaLabel: "The metric over the steps of the trials, without the change and with it.",
      marks: [
        gridY({ strokeOpacity: 0.12 }), axisX({ label: "step of the trial", ticks: 5 }),
        axisY({ label: metric || null, ticks: 4, tickFormat: short }),
        ...lines(before, control, "red", 5), ...lines(after, patched, "green", 2),
      ],
    });
    asImage(chart);
    const lost = before.filter((p) => !Number.isFinite(p.value)).length;
    const asItIs = lost ? "as it is: not finite" : "as it is: mean and seeds";
    figure.replaceChildren(chart, key([[asItIs, color("red")], ["with the change", color("green")]]));
  }

  return { data, LEFT, RIGHT, SEVERITY, color, short, domain, ticks, readableMarks, scaleOf, asImage, loss, own, rate, trial, key };
})();
