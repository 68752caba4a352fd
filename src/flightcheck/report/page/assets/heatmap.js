// Heat maps of layer × step on a canvas: a thousand layers at a thousand steps are drawn at once.
"use strict";
(() => {
  const MISSING = 0, ZERO = 1, NAN = 2, INFINITE = 3, FIRST = 10, PER_DECADE = 100, LOWEST_DECADE = -45, PER_SHARE = 1000;
  const { data, LEFT, RIGHT, SEVERITY, color, short } = flightcheck;
  const TOP = 24;
  const BOTTOM = 26;

  async function unpacked(text) {
    const packed = atob(text);
    const bytes = new Uint8Array(packed.length); // a loop: ten times as fast as Uint8Array.from with a function
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    return new Uint16Array(buffer); // little-endian, as every processor is on which a browser runs
  }

  const numberOf = (code, kind) =>
    kind === "share" ? (code - FIRST) / PER_SHARE : 10 ** ((code - FIRST) / PER_DECADE + LOWEST_DECADE);

  function inWords(code, kind) {
    if (code === MISSING) return "not there";
    if (code === ZERO) return "exactly 0";
    if (code === NAN) return "NaN";
    if (code === INFINITE) return "infinite";
    const value = numberOf(code, kind);
    return kind === "share" ? `${(100 * value).toFixed(1)} %` : short(value);
  }

  // Range of the colours: of a scale the middle 98 % of all cells, so that one outlier does not make the rest alike.
  function rangeOf(cells, kind) {
    if (kind === "share") return [FIRST, FIRST + PER_SHARE];
    const around = (decade) => FIRST + (decade - LOWEST_DECADE) * PER_DECADE;
    if (kind === "ratio") return [around(-5), around(-1)];
    const counts = new Uint32Array(65536);
    let total = 0;
    for (const c of cells) if (c >= FIRST) { counts[c] += 1; total += 1; }
    let low = FIRST, high = FIRST, seen = 0;
    for (let c = FIRST; c < 65536 && seen <= 0.99 * total; c += 1) {
      if (seen <= 0.01 * total) low = c;
      if (counts[c]) high = c;
      seen += counts[c];
    }
    return high - low < 20 ? [low - 10, high + 10] : [low, high];
  }

  function ramp(kind) {
    if (kind === "share") {
      const shade = vendor.interpolateRgb(color("soft"), color("red"));
      return (t) => shade(Math.sqrt(t)); // a small share is to be seen, too
    }
    if (kind === "ratio") return vendor.interpolateRgbBasis([color("blue"), color("soft"), color("red")]);
    return vendor.interpolateViridis;
  }

  // Colours that no ramp has: black or white, and a magenta.
  const special = () => ({ [ZERO]: color("ink"), [NAN]: "#ff2fd0", [INFINITE]: "#ff2fd0" });

  // Colour of each code, as the canvas stores it.
  function paletteOf([low, high], kind) {
    const palette = new Uint32Array(65536);
    const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
      .getContext("2d", { willReadFrequently: true });
    const packed = (css) => {
      context.fillStyle = css;
      context.fillRect(0, 0, 1, 1);
      return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
    };
    const shade = ramp(kind);
    const shades = Array.from({ length: 256 }, (_, i) => packed(shade(i / 255)));
    for (let c = FIRST; c < 65536; c += 1) {
      const t = Math.min(1, Math.max(0, (c - low) / (high - low)));
      palette[c] = shades[Math.round(255 * t)];
    }
    for (const [code, css] of Object.entries(special())) palette[code] = packed(css);
    return palette;
  }

  // The column that holds a step: a measurement stands until the next one, the last one for the widest distance of two.
  function columnAt(steps, step) {
    let low = 0, high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= step) low = middle + 1; else high = middle;
    }
    return low - 1;
  }

  function paint(canvas, map, cells, palette) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const rows = map.labels.length, columns = map.steps.length;
    const [first, last] = flightcheck.domain();
    const column = Int32Array.from({ length: width }, (_, x) => {
      const step = first + ((x + 0.5) / width) * (last - first);
      return step < map.until ? columnAt(map.steps, step) : -1; // what comes after the last measurement is not known
    });
    let painted = -1;
    for (let y = 0; y < height; y += 1) {
      const row = Math.min(rows - 1, Math.floor((y * rows) / height));
      const start = y * width;
      if (row === painted) { pixels.copyWithin(start, start - width, start); continue; }
      for (let x = 0; x < width; x += 1) {
        if (column[x] >= 0) pixels[start + x] = palette[cells[row * columns + column[x]]];
      }
      painted = row;
    }
    context.putImageData(image, 0, 0);
  }

  // The model's own name, where all layers begin with it, only takes room; its own row keeps it.
  function shortLabels(labels) {
    const model = labels[0].split(".")[0];
    if (!labels.every((l) => l === model || l.startsWith(`${model}.`))) return labels;
    return labels.map((l) => (l === model ? `${model} itself` : l.slice(model.length + 1)));
  }

  function overlay(map, width, height, rowHeight) {
    const { select, scaleLinear, axisBottom } = vendor;
    const svg = select(document.createElementNS("http://www.w3.org/2000/svg", "svg"))
      .attr("width", width).attr("height", height + TOP + BOTTOM).attr("aria-hidden", "true");
    const x = scaleLinear(flightcheck.domain(), [LEFT, width - RIGHT]);
    svg.append("g").attr("transform", `translate(0,${TOP + height})`)
      .call(axisBottom(x).ticks(flightcheck.ticks(width)).tickSizeOuter(0).tickFormat((d) => d.toLocaleString("en")));
    const bySeverity = new Map();
    for (const mark of data.marks) for (const m of mark.modules) if (!bySeverity.has(m)) bySeverity.set(m, mark);
    const labels = shortLabels(map.labels);
    const every = Math.max(1, Math.ceil(12 / rowHeight));
    labels.forEach((label, row) => {
      const mark = bySeverity.get(map.modules[row]);
      if (row % every && !mark) return;
      const said = mark ? `${mark.code} ▸ ${label}` : label;
      const shown = said.length > 25 ? (mark ? `${mark.code} ▸ …${label.slice(-(23 - mark.code.length))}` : `…${label.slice(-24)}`) : said;
      svg.append("text").attr("x", LEFT - 6).attr("y", TOP + (row + 0.5) * rowHeight).attr("dy", "0.35em")
        .attr("text-anchor", "end").attr("font-size", 11).attr("fill", mark ? color(SEVERITY[mark.severity]) : "currentColor")
        .attr("font-weight", mark ? 700 : 400).text(shown);
    });
    for (const mark of flightcheck.readableMarks(x, width - RIGHT)) {
      const line = svg.append("g").attr("class", "finding").attr("transform", `translate(${x(mark.step)},0)`);
      const fill = color(SEVERITY[mark.severity]);
      line.append("path").attr("d", `M0,${TOP - 6}V${TOP + height}`).attr("stroke", color("card")).attr("stroke-width", 4);
      line.append("path").attr("d", `M0,${TOP - 6}V${TOP + height}`).attr("stroke", fill).attr("stroke-width", 2)
        .attr("stroke-dasharray", "5 3");
      line.append("text").attr("x", mark.left ? -4 : 4).attr("y", TOP - 8).attr("font-size", 12).attr("font-weight", 600)
        .attr("text-anchor", mark.left ? "end" : "start").attr("fill", fill).text(mark.label);
    }
    svg.append("rect").attr("class", "cursor").attr("fill", "none").attr("stroke", "currentColor").attr("stroke-width", 2)
      .attr("visibility", "hidden");
    return svg;
  }

  function legend(map, [low, high]) {
    const caption = document.createElement("figcaption");
    const scale = document.createElement("span");
    scale.className = "ramp";
    const bar = document.createElement("i");
    const shade = ramp(map.kind);
    bar.style.background = `linear-gradient(to right, ${Array.from({ length: 9 }, (_, i) => shade(i / 8)).join(",")})`;
    scale.append(inWords(low, map.kind), bar, inWords(high, map.kind));
    if (map.kind === "ratio") scale.append(Object.assign(document.createElement("span"), { textContent: "(middle 0.001)" }));
    caption.append(scale);
    const fills = { ...special(), [MISSING]: color("soft") };
    const absent = map.name === "gradient" ? "no gradient, or not measured" : "not measured";
    const blocks = [["exactly 0", ZERO], ["not finite", NAN], [absent, MISSING]];
    for (const [name, code] of map.kind === "share" ? blocks.slice(1) : blocks) {
      const item = document.createElement("span");
      item.className = "key block";
      item.style.setProperty("--key", fills[code]);
      item.textContent = name;
      caption.append(item);
    }
    return caption;
  }

  // The pointer and the arrow keys move over the cells; the line below tells each cell's number.
  function reader(box, canvas, map, cells, svg, rowHeight, reading) {
    const rows = map.labels.length, columns = map.steps.length;
    const [first, last] = flightcheck.domain();
    const width = canvas.clientWidth;
    const x = (step) => LEFT + ((step - first) / (last - first)) * width;
    let at = null;
    const show = (row, column) => {
      at = [row, column];
      const code = cells[row * columns + column];
      reading.textContent = `${map.labels[row]} · step ${map.steps[column].toLocaleString("en")} · ${inWords(code, map.kind)}`;
      const start = x(map.steps[column]);
      const end = x(column + 1 < columns ? map.steps[column + 1] : Math.min(last, map.until));
      svg.select(".cursor").attr("visibility", "visible").attr("x", start).attr("y", TOP + row * rowHeight)
        .attr("width", Math.max(2, end - start)).attr("height", Math.max(2, rowHeight));
    };
    canvas.addEventListener("pointermove", (e) => {
      const row = Math.floor(e.offsetY / rowHeight);
      const step = first + (e.offsetX / width) * (last - first);
      const column = columnAt(map.steps, step);
      if (row >= 0 && row < rows && column >= 0 && step < map.until) show(row, column);
    });
    canvas.addEventListener("focus", () => { reading.setAttribute("aria-live", "polite"); show(...(at ?? [0, 0])); });
    canvas.addEventListener("blur", () => reading.setAttribute("aria-live", "off"));
    canvas.addEventListener("keydown", (e) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
      if (!move) return;
      e.preventDefault();
      const [row, column] = at ?? [0, 0];
      const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
      show(inside(row + move[0], rows), inside(column + move[1], columns));
    });
  }

  const decoded = new Map();

  async function map(figure) {
    const chart = data.maps.find((m) => m.name === figure.dataset.name);
    if (!decoded.has(chart.name)) decoded.set(chart.name, await unpacked(chart.packed));
    const cells = decoded.get(chart.name);
    const rows = chart.labels.length;
    const rowHeight = Math.max(1, Math.min(20, 420 / rows));
    const width = figure.clientWidth - 24;
    const height = Math.ceil(rows * rowHeight);
    const canvas = document.createElement("canvas");
    const sharp = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = Math.round((width - LEFT - RIGHT) * sharp);
    canvas.height = Math.round(height * sharp);
    Object.assign(canvas.style, { left: `${LEFT}px`, top: `${TOP}px`, width: `${width - LEFT - RIGHT}px`, height: `${height}px` });
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `${chart.title}, ${rows} layers at ${chart.steps.length} steps; arrow keys read cells`);
    const range = rangeOf(cells, chart.kind);
    paint(canvas, chart, cells, paletteOf(range, chart.kind));
    const svg = overlay(chart, width, height, rowHeight);
    const box = document.createElement("div");
    box.className = "plot";
    box.style.height = `${height + TOP + BOTTOM}px`;
    box.append(canvas, svg.node());
    const reading = document.createElement("span");
    reading.className = "reading";
    const caption = legend(chart, range);
    caption.append(reading);
    figure.replaceChildren(box, caption);
    reader(box, canvas, chart, cells, svg, rowHeight, reading);
  }

  Object.assign(flightcheck, { map, decoded, unpacked, inWords });
})();
