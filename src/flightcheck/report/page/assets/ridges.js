// Histograms over time as ridges: one panel each for a layer's weight, gradient and output; a layer is chosen above.
"use strict";
(() => {
  const { data, SEVERITY, color, short } = flightcheck;
  const BINS = 64, GAP = 15, HIGH = 30, LEFT = 46, RIGHT = 52, TOP = HIGH + 16, BOTTOM = 26;
  const TIED = 3; // so many equal quantiles are a value of its own: 6 % of all values and more
  let chosen = null;

  async function decoded(kind) {
    const halves = await flightcheck.unpacked(kind.packed);
    const bits = new Uint32Array(halves.length);
    for (let i = 0; i < bits.length; i += 1) bits[i] = halves[i] << 16;
    return new Float32Array(bits.buffer);
  }

  function atFirst() {
    const modules = data.marks.filter((m) => m.root).concat(data.marks).flatMap((m) => m.modules);
    const named = modules.map((m) => data.ridges.layers.findIndex((l) => l.module === m)).find((i) => i >= 0);
    if (named !== undefined) return named;
    const most = Math.max(...data.ridges.layers.map((l) => l.kinds));
    return data.ridges.layers.findIndex((l) => l.kinds === most);
  }

  // What one ridge shows: finite quantiles, the share of values that are none, and values that many share.
  function ridgeOf(step, quantiles) {
    if (quantiles[0] === -Infinity) return null;
    const values = [...quantiles].filter(Number.isFinite);
    const last = quantiles.length - 1;
    const bars = [];
    for (let i = 0; i < values.length;) {
      let end = i;
      while (end + 1 < values.length && values[end + 1] === values[i]) end += 1;
      if (end - i + 1 >= TIED) bars.push({ value: values[i], share: (end - i) / last });
      i = end + 1;
    }
    return { step, values, bars, lost: 1 - values.length / quantiles.length };
  }

  // Linear, or, where the ridges differ in width by more than a factor of 30, logarithmic away from zero.
  function scaleOf(ridges) {
    const inner = ridges.filter((r) => r.values.length > 4).map((r) => [r.values[1], r.values.at(-2)]);
    if (!inner.length) return null;
    const widths = inner.map(([a, b]) => b - a).filter((w) => w > 0);
    const bent = widths.length > 0 && Math.max(...widths) / Math.min(...widths) > 30;
    const unit = bent ? Math.min(...widths) / 2 : 1;
    const to = bent ? (v) => Math.asinh(v / unit) : (v) => v;
    const back = bent ? (u) => unit * Math.sinh(u) : (u) => u;
    let low = to(Math.min(...inner.map((i) => i[0])));
    let high = to(Math.max(...inner.map((i) => i[1])));
    const room = (high - low) * 0.12 || Math.abs(high) * 0.5 || 1;
    low -= room;
    high += room;
    return { to, back, low, high, bent };
  }

  // The share of values in each bin, from the quantiles: between two neighbours they lie evenly.
  function heights({ values }, { to, low, high }) {
    const bins = new Float64Array(BINS);
    const size = (high - low) / BINS;
    for (let i = 1; i < values.length; i += 1) {
      const [a, b] = [to(values[i - 1]), to(values[i])];
      if (!(b > a)) continue;
      const first = Math.max(0, Math.floor((a - low) / size));
      const last = Math.min(BINS - 1, Math.floor((b - low) / size));
      for (let k = first; k <= last; k += 1) {
        const inside = Math.min(b, low + (k + 1) * size) - Math.max(a, low + k * size);
        bins[k] += Math.max(0, inside) / (b - a);
      }
    }
    // Quantiles of a sample jump; a bin and its neighbours together do so less.
    return bins.map((b, k) => ((bins[k - 1] ?? 0) + 2 * b + (bins[k + 1] ?? 0)) / 4);
  }

  // Findings that began after the last recorded step stand below it.
  function marksAt(svg, ridges, y, width) {
    const { select } = vendor;
    const places = new Map();
    for (const mark of data.marks) {
      const after = ridges.findIndex((r) => r.step >= mark.step);
      const at = after < 0 ? ridges.length : after;
      places.set(at, [...(places.get(at) ?? []), mark]);
    }
    for (const [at, marks] of places) {
      const line = select(svg).append("g").attr("class", "finding").attr("transform", `translate(0,${y(at) - GAP + 3})`);
      const fill = color(SEVERITY[marks[0].severity]);
      line.append("path").attr("d", `M${LEFT},0H${width - RIGHT + 4}`).attr("stroke", fill).attr("stroke-width", 1.5)
        .attr("stroke-dasharray", "5 3");
      line.append("text").attr("x", width - RIGHT + 6).attr("dy", "0.35em").attr("font-size", 11).attr("font-weight", 600)
        .attr("fill", fill).text(marks[0].code + (marks.length > 1 ? ` +${marks.length - 1}` : ""));
      line.append("title").text(marks.map((m) => `${m.code}, step ${m.step.toLocaleString("en")}`).join("\n"));
    }
  }

  function axis(svg, x, scale, height) {
    const { select, axisBottom } = vendor;
    const group = select(svg).append("g").attr("transform", `translate(0,${height - BOTTOM + 4})`);
    group.call(axisBottom(x).ticks(3).tickSizeOuter(0).tickFormat((u) => short(scale.back(u))));
  }

  function panel(kind, ridges, width) {
    const { select, scaleLinear, path } = vendor;
    const height = TOP + GAP * ridges.length + BOTTOM;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const drawing = select(svg).attr("width", width).attr("height", height).attr("role", "img")
      .attr("aria-label", `${kind.name} of ${data.ridges.layers[chosen].label} at ${ridges.length} steps; the table holds numbers.`);
    const scale = scaleOf(ridges);
    const y = (i) => TOP + GAP * i;
    const title = `${kind.name}${scale?.bent ? " (axis logarithmic away from 0)" : ""}`;
    drawing.append("text").attr("x", LEFT).attr("y", 12).attr("font-size", 12).attr("font-weight", 600)
      .attr("fill", "currentColor").text(title);
    if (!scale) {
      drawing.append("text").attr("x", LEFT).attr("y", 32).attr("font-size", 12)
        .attr("fill", color("red")).text("no finite value");
      return svg;
    }
    const x = scaleLinear([scale.low, scale.high], [LEFT, width - RIGHT]);
    const outline = path();
    const every = Math.ceil(ridges.length / 12);
    ridges.forEach((ridge, i) => {
      const bins = heights(ridge, scale);
      const top = Math.max(...bins) || 1;
      const middle = (k) => x(scale.low + ((k + 0.5) / BINS) * (scale.high - scale.low));
      const points = [[LEFT, y(i)], ...[...bins].map((b, k) => [middle(k), y(i) - (b / top) * HIGH]), [width - RIGHT, y(i)]];
      const line = drawing.append("g").attr("class", "ridge");
      line.append("path").attr("d", outline(points)).attr("fill", color("blue-soft")).attr("fill-opacity", 0.85)
        .attr("stroke", color("blue")).attr("stroke-width", 1.2);
      for (const bar of ridge.bars) {
        const at = Math.min(width - RIGHT, Math.max(LEFT, x(scale.to(bar.value))));
        line.append("path").attr("class", "bar").attr("d", `M${at},${y(i)}v${-bar.share * HIGH}`)
          .attr("stroke", color("amber")).attr("stroke-width", 4);
      }
      const told = [`step ${ridge.step.toLocaleString("en")}`];
      if (ridge.values.length) told.push(`median ${short(ridge.values[Math.floor(ridge.values.length / 2)])}`);
      told.push(...ridge.bars.map((b) => `${Math.round(100 * b.share)} % exactly ${short(b.value)}`));
      if (ridge.lost > 0) told.push(`${Math.round(100 * ridge.lost)} % not finite`);
      line.append("title").text(told.join("\n"));
      if (ridge.lost > 0) {
        line.append("text").attr("x", LEFT + 4).attr("y", y(i) - 2).attr("font-size", 11).attr("fill", color("red"))
          .text(`${Math.round(100 * ridge.lost)} % not finite`);
      }
      if (i % every === 0) {
        line.append("text").attr("x", LEFT - 6).attr("y", y(i)).attr("text-anchor", "end").attr("font-size", 11)
          .attr("fill", "currentColor").text(ridge.step.toLocaleString("en"));
      }
    });
    marksAt(svg, ridges, y, width);
    axis(svg, x, scale, height);
    return svg;
  }

  function choice(redraw) {
    const label = document.createElement("label");
    label.textContent = "Layer ";
    const list = document.createElement("select");
    data.ridges.layers.forEach((layer, i) => list.append(new Option(layer.label, String(i), false, i === chosen)));
    list.addEventListener("change", () => { chosen = Number(list.value); redraw(); });
    label.append(list);
    return label;
  }

  async function ridges(figure) {
    chosen ??= atFirst();
    const { quantiles } = data.ridges;
    const box = document.createElement("div");
    box.className = "panels";
    const kinds = await Promise.all(data.ridges.kinds.map(async (kind) => ({ kind, values: await decoded(kind) })));
    const draw = () => {
      const drawn = [];
      const columns = figure.clientWidth > 700 ? 3 : 1;
      const width = Math.floor((figure.clientWidth - 24) / columns) - 8;
      for (const { kind, values } of kinds) {
        const start = chosen * kind.steps.length * quantiles;
        const found = kind.steps
          .map((step, i) => ridgeOf(step, values.subarray(start + i * quantiles, start + (i + 1) * quantiles)))
          .filter((r) => r !== null);
        if (found.length) drawn.push(panel(kind, found, width));
      }
      box.replaceChildren(...drawn);
    };
    const label = choice(draw);
    figure.replaceChildren(label, box);
    draw();
  }

  flightcheck.ridges = ridges;
})();
