// The layers as a graph with what each answers, and the slider that moves through the snapshots.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const MOST = 60; // nodes at a time; containers beyond that stay closed until they are chosen
  const WIDTH = 190;
  const TEXT = 40; // room for a node's name, type and gradient above its picture
  const PICTURE = { width: 170, height: 110 };
  const LABEL = 14;

  const layers = data.layers.map((x) => ({ ...x, children: [] }));
  for (const x of layers) if (x.parent !== null) layers[x.parent].children.push(x);
  const tops = layers.filter((x) => x.parent === null);
  const opened = new Set();
  let chosen = null;
  let at = data.steps.length - 1;
  let films = []; // what shows another part of its picture at another step

  function element(name, attributes = {}, text = "") {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  function html(name, text = "", className = "") {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const firstCalled = (x) => Math.min(x, ...layers[x].children.map((c) => firstCalled(c.index))); // layers stand in that order
  const visible = (x) => (opened.has(x.index) && x.children.length ? x.children.flatMap(visible) : [x]);

  function short(value) {
    if (value === null || value === undefined) return "not finite";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  }

  // Opens level by level while the nodes fit.
  function openAtFirst() {
    let shown = tops.length;
    let level = tops;
    while (level.length) {
      const next = [];
      for (const x of level) {
        if (!x.children.length || shown - 1 + x.children.length > MOST) continue;
        opened.add(x.index);
        shown += x.children.length - 1;
        next.push(...x.children);
      }
      level = next;
    }
    for (const x of tops) opened.add(x.index);
  }

  // A picture of which one snapshot is seen, in a place of at most so many pixels.
  function film(picture, place) {
    const times = Math.min(place.width / picture.width, place.height / picture.height, 14);
    const [width, height] = [picture.width * times, picture.height * times];
    const window_ = element("svg", {
      x: (place.x ?? 0) + (place.width - width) / 2, y: place.y ?? 0, width, height, class: "film",
      viewBox: `0 ${at * picture.height} ${picture.width} ${picture.height}`, preserveAspectRatio: "none",
    });
    window_.append(element("rect", { class: "ground", width: picture.width, height: picture.height * data.steps.length }),
      element("image", {
        href: picture.src, width: picture.width, height: picture.height * data.steps.length, preserveAspectRatio: "none",
      }));
    films.push(() => window_.setAttribute("viewBox", `0 ${at * picture.height} ${picture.width} ${picture.height}`));
    return window_;
  }

  const all = (name) => layers.flatMap((x) => x[name] ?? []).filter((v) => v > 0);
  const largest = { gradient: Math.max(0, ...all("gradient")), trained: Math.max(0, ...all("trained")) };
  const share = (name, value) => (value > 0 ? Math.max(0.01, 1 + Math.log10(value / largest[name]) / 8) : 0);

  function height(x) {
    if (!x.answers) return TEXT + 4;
    const { width, height: h } = x.answers;
    return TEXT + 8 + h * Math.min(PICTURE.width / width, PICTURE.height / h, 14);
  }

  function laidOut() {
    const graph = new vendor.Graph({ compound: true });
    graph.setGraph({ rankdir: "TB", nodesep: 22, ranksep: 26, marginx: 14, marginy: 14 + LABEL });
    graph.setDefaultEdgeLabel(() => ({}));
    const nodes = tops.flatMap(visible);
    for (const x of nodes) graph.setNode(String(x.index), { width: WIDTH, height: height(x) });
    const boxes = layers.filter((x) => x.parent !== null && opened.has(x.index) && !nodes.includes(x));
    const shown = boxes.filter((x) => visible(x).every((n) => nodes.includes(n)));
    for (const x of shown) graph.setNode(String(x.index), {});
    for (const x of [...nodes, ...shown]) {
      if (x.parent !== null && graph.hasNode(String(x.parent))) graph.setParent(String(x.index), String(x.parent));
    }
    const place = new Map(); // each layer's visible node: itself, or the closed container that holds it
    const put = (x, node) => { place.set(x.index, node.index); x.children.forEach((c) => put(c, node)); };
    nodes.forEach((x) => put(x, x));
    const arrows = new Map();
    for (const [source, target] of data.edges) {
      const [from, to] = [place.get(source), place.get(target)];
      if (from !== undefined && to !== undefined && from !== to) arrows.set(`${from} ${to}`, { from, to });
    }
    const drawn = withoutDetours([...arrows.values()], firstCalled, (x) => layers[x].parent);
    for (const { from, to } of drawn) graph.setEdge(String(from), String(to));
    vendor.layout(graph);
    return { graph, nodes, boxes: shown };
  }

  function onChoice(node, act) {
    node.addEventListener("click", act);
    node.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" && e.key !== " ") return;
      e.preventDefault();
      act();
    });
  }

  function drawnNode(x, place) {
    const closed = x.children.length > 0;
    const top = -place.height / 2;
    const node = element("g", {
      class: `node${chosen === x.index ? " chosen" : ""}`, transform: `translate(${place.x},${place.y})`, tabindex: 0,
      role: "button", "data-layer": x.index, "aria-label": `${x.path}, ${x.type}, ${x.shape}`,
    });
    if (closed) node.setAttribute("aria-expanded", "false");
    node.append(
      element("rect", { class: "box", x: -WIDTH / 2, y: top, width: WIDTH, height: place.height, rx: 6 }),
      element("text", { x: -WIDTH / 2 + 9, y: top + 15 }, cut(`${closed ? "▸ " : ""}${x.name}`, 26)),
      element("text", { class: "kind", x: -WIDTH / 2 + 9, y: top + 28 }, cut(`${x.type} · ${x.shape}`, 34)),
    );
    ["gradient", "trained"].forEach((name, i) => {
      if (!x[name]) return;
      const bar = element("rect", {
        class: `flow${i ? " own" : ""}`, x: -WIDTH / 2 + 9, y: top + 32 + 3 * i, height: 2, width: 0, rx: 1,
      });
      const size = () => bar.setAttribute("width", share(name, x[name][at]) * (WIDTH - 18));
      films.push(size);
      size();
      node.append(bar);
    });
    if (x.answers) node.append(film(x.answers, { x: -PICTURE.width / 2, y: top + TEXT, ...PICTURE }));
    for (const part of node.children) part.setAttribute("aria-hidden", "true");
    onChoice(node, () => {
      if (closed) opened.add(x.index);
      chosen = x.index;
      draw(true);
    });
    return node;
  }

  function drawnBox(x, place) {
    const group = element("g", { class: "group" });
    const label = element("text", {
      x: place.x - place.width / 2 + 7, y: place.y - place.height / 2, tabindex: 0, role: "button", "aria-expanded": "true",
      "data-layer": x.index, "aria-label": `${x.path}, ${x.type}`,
    }, `▾ ${cut(`${x.name} · ${x.type}`, 38)}`);
    onChoice(label, () => {
      opened.delete(x.index);
      chosen = x.index;
      draw(true);
    });
    group.append(element("rect", {
      x: place.x - place.width / 2, y: place.y - place.height / 2 - LABEL, width: place.width, height: place.height + LABEL, rx: 8,
    }), label);
    return group;
  }

  // Everything about the chosen layer.
  function tell() {
    const panel = document.getElementById("layer");
    const x = layers[chosen];
    const parts = [html("h3", x.path)];
    const facts = [
      ["Type", x.type], ["Settings", x.settings], ["Output", x.shape], ["Parameters", x.parameters?.toLocaleString("en")],
      ["MACs", x.macs?.toLocaleString("en")], ["Sees", x.sees], ["Calls", x.calls > 1 ? String(x.calls) : ""],
    ];
    const list = html("dl", "", "facts");
    for (const [name, value] of facts) if (value && value !== "0") list.append(html("dt", name), html("dd", value));
    parts.push(list);
    for (const [name, title] of [["answers", "Answer"], ["filters", "Filters"]]) {
      if (!x[name]) continue;
      const ends = `${short(x[name].signed ? -x[name].limit : 0)} to ${short(x[name].limit)}`;
      const svg = element("svg", { width: 260, height: 190, role: "img", "aria-label": `${title} of ${x.path}` });
      svg.append(film(x[name], { width: 260, height: 190 }));
      parts.push(html("h4", `${title}, colours from ${ends}`), svg);
    }
    for (const [name, title] of [["gradient", "Gradient at its output"], ["trained", "Gradient of the loss in its parameters"]]) {
      if (!x[name]) continue;
      const said = html("p");
      const say = () => { said.textContent = `${title}: ${short(x[name][at])}`; };
      films.push(say);
      say();
      parts.push(said);
    }
    panel.replaceChildren(...parts);
  }

  function draw(focus = false) {
    films = [];
    const { graph, nodes, boxes } = laidOut();
    const size = graph.graph();
    const svg = element("svg", {
      width: size.width, height: size.height, viewBox: `0 0 ${size.width} ${size.height}`, role: "group", "aria-label": "Layers",
    });
    const head = element("marker", {
      id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
    });
    head.append(element("path", { d: "M0,0L8,4L0,8Z", fill: "var(--grey)" }));
    const defs = element("defs");
    defs.append(head);
    svg.append(defs);
    for (const x of boxes) if (graph.hasNode(String(x.index))) svg.append(drawnBox(x, graph.node(String(x.index))));
    const line = vendor.path().x((p) => p.x).y((p) => p.y);
    for (const edge of graph.edges()) {
      const near = [edge.v, edge.w].includes(String(chosen)) ? " chosen" : "";
      svg.append(element("path", { class: `edge${near}`, d: line(graph.edge(edge).points), "marker-end": "url(#arrow)" }));
    }
    for (const x of nodes) svg.append(drawnNode(x, graph.node(String(x.index))));
    const box = document.getElementById("graph");
    const [top, left] = [box.scrollTop, box.scrollLeft];
    box.replaceChildren(svg);
    box.scrollTo(left, top);
    if (chosen !== null) tell();
    if (focus) svg.querySelector(`[data-layer="${chosen}"]`)?.focus();
  }

  // Another snapshot: no new layout, only other parts of the pictures.
  function show(index) {
    at = index;
    for (const change of films) change();
    const output = document.getElementById("at");
    if (output) output.textContent = `step ${data.steps[at]}`;
    const scores = data.scores?.[at];
    if (scores) {
      const known = scores.map((v) => v ?? -Infinity);
      const best = known.indexOf(Math.max(...known));
      document.getElementById("answer").textContent =
        scores.length === 1 ? `answers ${short(scores[0])}` : `best score: ${best} (${short(scores[best])})`;
    }
    const points = data.points?.[at];
    if (!points) return;
    for (const dot of document.querySelectorAll("#points circle")) {
      const [x, y] = points[Number(dot.dataset.example)];
      dot.setAttribute("cx", x * 100);
      dot.setAttribute("cy", -y * 100);
    }
  }

  function scrubbing() {
    const slider = document.getElementById("step");
    const button = document.getElementById("play");
    if (!slider) return;
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = "Play";
    };
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    button.addEventListener("click", () => {
      if (timer) { stop(); return; }
      let next = at === data.steps.length - 1 ? 0 : at + 1;
      const forward = () => {
        slider.value = String(next);
        show(next);
        next += 1;
        if (next >= data.steps.length) stop();
      };
      button.textContent = "Stop";
      timer = setInterval(forward, 600);
      forward();
    });
  }

  document.querySelector("[data-film]").hidden = false;
  document.getElementById("still").hidden = true;
  openAtFirst();
  chosen = (layers.find((x) => x.leaf) ?? layers[0]).index;
  draw();
  show(at);
  scrubbing();
  window.flightcheckFilm = { data, show, get at() { return at; } };
  document.documentElement.dataset.drawn = "1";
})();
