// The network as a graph: modules, each coloured by what was found there; arrows along the values where they are known.
"use strict";
(() => {
  const { data } = flightcheck;
  const MOST = 40; // nodes at a time; containers beyond that stay closed until they are chosen
  const SIGN = { critical: "✗", error: "✗", warn: "!", info: "i", quiet: "✓", unseen: "–" };
  const WORD = {
    critical: "critical finding", error: "faulty", warn: "warning", info: "note", quiet: "nothing found", unseen: "not called",
  };
  const WORST = ["critical", "error", "warn", "info", "quiet", "unseen"];
  const FAULTS = ["critical", "error", "warn"];
  const WIDTH = 230;
  const SMALLEST = 0.6; // of its size, to which the drawing shrinks so that it fits; what is wider is scrolled
  const HEIGHT = 40;
  const LABEL = 14; // room for a container's name above its modules
  const NS = "http://www.w3.org/2000/svg";

  const modules = new Map();
  let tops = [];
  const opened = new Set();
  let chosen = null;

  function readModules() {
    modules.clear();
    for (const m of data.modules) modules.set(m.index, { ...m, children: [] });
    for (const m of modules.values()) if (m.parent !== null && modules.has(m.parent)) modules.get(m.parent).children.push(m);
    for (const m of [...modules.values()]) grouped(m);
    tops = [...modules.values()].filter((m) => m.parent === null || !modules.has(m.parent));
    if (!modules.has(chosen)) chosen = null;
  }
  readModules();

  // Of very many modules side by side, neighbours are put together under a node that can be opened.
  function grouped(m) {
    if (m.children.length <= MOST) return;
    const size = Math.max(10, Math.ceil(m.children.length / MOST));
    const inOrder = [...m.children].sort((a, b) => order(a) - order(b) || a.index - b.index);
    m.children = [];
    for (let i = 0; i < inOrder.length; i += size) {
      const children = inOrder.slice(i, i + size);
      const name = `${children[0].name} … ${children.at(-1).name}`;
      const group = {
        index: -1 - modules.size, parent: m.index, root: m.root, name, path: `${m.path}: ${name}`, type: "neighbours",
        leaf: false, order: -1, health: "unseen", codes: [], children,
      };
      for (const child of children) child.parent = group.index;
      modules.set(group.index, group);
      m.children.push(group);
    }
  }

  function everythingIn(m) {
    return [m, ...m.children.flatMap(everythingIn)];
  }

  // A closed container looks as its worst part does.
  function worst(m) {
    const all = everythingIn(m).map((x) => x.health);
    return WORST.find((health) => all.includes(health));
  }

  function order(m) {
    return Math.min(...everythingIn(m).filter((x) => x.order >= 0).map((x) => x.order), Infinity);
  }

  // One of several containers of the same type in the same place, such as the blocks of a transformer.
  function repeated(m) {
    const beside = m.parent === null ? tops : (modules.get(m.parent)?.children ?? []);
    return m.children.length > 0 && beside.filter((x) => x.type === m.type && x.children.length).length > 1;
  }

  // Opens level by level while the nodes fit; what holds a fault first. Blocks that are repeated stay closed, save those
  // that hold one.
  function openAtFirst() {
    let shown = tops.length;
    let level = tops;
    while (level.length) {
      const ranked = [...level].sort((a, b) => WORST.indexOf(worst(a)) - WORST.indexOf(worst(b)));
      const next = [];
      for (const m of ranked) {
        const called = m.children.some((c) => Number.isFinite(order(c))); // else only the container itself was
        if (repeated(m) && !FAULTS.includes(worst(m))) continue;
        if (!called || shown - 1 + m.children.length > MOST) continue;
        opened.add(m.index);
        shown += m.children.length - 1;
        next.push(...m.children);
      }
      level = next;
    }
  }

  function visible(m) {
    return opened.has(m.index) && m.children.length ? m.children.flatMap(visible) : [m];
  }

  function element(name, attributes = {}, text = "") {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  // The arrows of the layers, each between the nodes that stand for them now; a known way outdoes a mere order.
  function arrowsBetween(nodes) {
    const shown = new Map();
    for (const node of nodes) for (const inside of everythingIn(node)) shown.set(inside.index, node.index);
    const found = new Map();
    for (const [source, target, known] of data.arrows) {
      const [from, to] = [shown.get(source), shown.get(target)];
      if (from === undefined || to === undefined || from === to) continue;
      const key = `${from} ${to}`;
      found.set(key, { from, to, known: Boolean(known) || Boolean(found.get(key)?.known) });
    }
    const drawn = [...found.values()].filter((a) => a.known || !found.get(`${a.to} ${a.from}`));
    return withoutDetours(drawn, (x) => order(modules.get(x)), (x) => modules.get(x).parent);
  }

  function laidOut() {
    const graph = new vendor.Graph({ compound: true });
    graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 18, marginx: 14, marginy: 14 + LABEL });
    graph.setDefaultEdgeLabel(() => ({}));
    const nodes = tops.flatMap(visible);
    for (const m of nodes) graph.setNode(String(m.index), { width: WIDTH, height: HEIGHT });
    for (const m of modules.values()) {
      if (!opened.has(m.index) || !visible(m).length) continue;
      graph.setNode(String(m.index), {});
    }
    for (const m of modules.values()) {
      const parent = m.parent !== null && opened.has(m.parent) ? String(m.parent) : null;
      if (parent && graph.hasNode(String(m.index)) && graph.hasNode(parent)) graph.setParent(String(m.index), parent);
    }
    for (const { from, to, known } of arrowsBetween(nodes)) graph.setEdge(String(from), String(to), { known });
    vendor.layout(graph);
    return { graph, nodes };
  }

  function onChoice(node, act) {
    node.addEventListener("click", act);
    node.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" && e.key !== " ") return;
      e.preventDefault();
      act();
    });
  }

  function drawnGroup(m, place) {
    const group = element("g", { class: `group ${m.health}` });
    const label = element("text", {
      x: place.x - place.width / 2 + 7, y: place.y - place.height / 2, tabindex: 0, role: "button", "aria-expanded": "true",
      "data-module": m.index, "aria-label": `${m.path}, ${m.type}: ${WORD[worst(m)]}`,
    }, `▾ ${cut(`${m.name} · ${m.type}`, 38)}`);
    onChoice(label, () => {
      opened.delete(m.index);
      chosen = m.index;
      draw(true);
    });
    group.append(
      element("rect", {
        x: place.x - place.width / 2, y: place.y - place.height / 2 - LABEL, width: place.width,
        height: place.height + LABEL, rx: 8,
      }),
      label,
    );
    return group;
  }

  function drawnNode(m, place) {
    const closed = m.children.length > 0;
    const health = closed ? worst(m) : m.health;
    const codes = closed ? [...new Set(everythingIn(m).flatMap((x) => x.codes))] : m.codes;
    const inside = everythingIn(m).filter((x) => x !== m && x.index >= 0).length;
    const node = element("g", {
      class: `node ${health}${chosen === m.index ? " chosen" : ""}`, transform: `translate(${place.x},${place.y})`,
      tabindex: 0, role: "button", "data-module": m.index,
      "aria-label": `${m.path}, ${m.type}: ${WORD[health]}${codes.length ? `, ${codes.join(", ")}` : ""}`,
    });
    if (closed) node.setAttribute("aria-expanded", "false");
    const kind = closed ? `▸ ${m.type} · ${inside} inside` : m.type;
    node.append(
      element("rect", { x: -WIDTH / 2, y: -HEIGHT / 2, width: WIDTH, height: HEIGHT, rx: 6 }),
      element("text", { class: "health", x: -WIDTH / 2 + 11, y: 4 }, SIGN[health]),
      element("text", { x: -WIDTH / 2 + 28, y: -3 }, cut(m.name, codes.length ? 20 : 28)),
      element("text", { class: "kind", x: -WIDTH / 2 + 28, y: 12 }, cut(kind, 34)),
    );
    for (const part of node.children) part.setAttribute("aria-hidden", "true"); // the node's own name tells more
    if (codes.length) {
      const more = codes.length > 2 ? ` +${codes.length - 2}` : "";
      const label = element("text", { class: "health", x: WIDTH / 2 - 9, y: -3 }, codes.slice(0, 2).join(" ") + more);
      label.setAttribute("text-anchor", "end");
      label.setAttribute("aria-hidden", "true");
      node.append(label);
    }
    onChoice(node, () => {
      if (closed) opened.add(m.index);
      chosen = m.index;
      draw(true);
    });
    return node;
  }

  function tell() {
    const panel = document.getElementById("module");
    const source = document.getElementById(`module-${chosen}`);
    if (!source) {
      panel.textContent = modules.get(chosen)?.path ?? "";
      return;
    }
    panel.replaceChildren(...[...source.childNodes].map((child) => child.cloneNode(true)));
  }

  function draw(focus = false) {
    const { graph, nodes } = laidOut();
    const { width, height } = graph.graph();
    const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Modules" });
    const head = element("marker", {
      id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
    });
    head.append(element("path", { d: "M0,0L8,4L0,8Z", fill: "var(--grey)" }));
    const defs = element("defs");
    defs.append(head);
    svg.append(defs);
    for (const m of modules.values()) {
      const place = graph.hasNode(String(m.index)) ? graph.node(String(m.index)) : null;
      if (place && opened.has(m.index)) svg.append(drawnGroup(m, place));
    }
    const line = vendor.path().x((p) => p.x).y((p) => p.y);
    for (const edge of graph.edges()) {
      const { points, known } = graph.edge(edge);
      svg.append(element("path", { class: known ? "edge" : "edge order", d: line(points), "marker-end": "url(#arrow)" }));
    }
    for (const m of nodes) svg.append(drawnNode(m, graph.node(String(m.index))));
    const box = document.getElementById("graph");
    const size = Math.min(1, Math.max(SMALLEST, (box.clientWidth - 2) / width));
    svg.setAttribute("width", width * size);
    svg.setAttribute("height", height * size);
    const [top, left] = [box.scrollTop, box.scrollLeft];
    box.replaceChildren(svg);
    box.scrollTo(left, top);
    tell();
    if (focus) svg.querySelector(`[data-module="${chosen}"]`)?.focus();
    return { graph, nodes, size };
  }

  function network() {
    if (!opened.size) openAtFirst();
    const nodes = tops.flatMap(visible);
    if (chosen === null) chosen = nodes.reduce((a, b) => (WORST.indexOf(worst(b)) < WORST.indexOf(worst(a)) ? b : a)).index;
    const { graph, size } = draw();
    const place = graph.hasNode(String(chosen)) ? graph.node(String(chosen)) : null;
    const box = document.getElementById("graph");
    if (!place) return;
    const into = (at, size, room) => (at + room > size ? at - size / 2 : 0);
    const room = size * (WIDTH / 2 + 8);
    box.scrollTo(into(place.x * size, box.clientWidth, room), into(place.y * size, box.clientHeight, HEIGHT));
  }

  Object.assign(flightcheck, { network, readModules });
})();
