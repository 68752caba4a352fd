// Of a page that is served while a training goes on: shows what is new as it comes, and leaves alone what is being read.
"use strict";
(() => {
  const { data } = flightcheck;
  const told = document.getElementById("live");
  const news = document.getElementById("live-news");
  const shown = new Map(); // the text of each part as it came last
  const MOST_FAILURES = 5;
  let over = false;
  let failures = 0;
  let loading = null;
  let again = false;

  // A chart under the pointer or the keyboard stays as it is until it is left.
  flightcheck.inUse = (figure) =>
    !over && figure.childElementCount > 0 && (figure.matches(":hover") || figure.contains(document.activeElement));

  const nameOf = (part) => part.id || part.querySelector("[id]")?.id || part.tagName;
  const placeOf = (figure) => `${figure.dataset.chart} ${figure.dataset.name ?? ""}`;

  // Drawn charts move into the new part, so that nothing flickers; what was unfolded stays so.
  function keepState(before, after) {
    const drawn = new Map([...before.querySelectorAll("[data-chart]")].map((f) => [placeOf(f), f]));
    for (const figure of after.querySelectorAll("[data-chart]")) {
      const old = drawn.get(placeOf(figure));
      if (old) figure.replaceWith(old);
    }
    const folds = [...before.querySelectorAll("details")];
    const name = (fold) => fold.querySelector("summary")?.textContent;
    const unfolded = new Set(folds.filter((d) => d.open).map(name));
    for (const fold of after.querySelectorAll("details")) if (unfolded.has(name(fold))) fold.open = true;
  }

  // The element as it is now, with as little of it exchanged as possible: what is not, keeps focus, selection and place.
  function changed(before, after) {
    if (before.nodeType === Node.TEXT_NODE && after.nodeType === Node.TEXT_NODE) {
      if (before.data !== after.data) before.data = after.data;
      return before;
    }
    if (before.dataset?.chart && before.nodeName === after.nodeName && placeOf(before) === placeOf(after)) return before;
    const kept = "[data-chart], details";
    const [old, fresh] = [[...before.childNodes], [...after.childNodes]];
    const alike = old.length === fresh.length && old.every((n, i) => n.nodeName === fresh[i].nodeName);
    if (before.nodeName === after.nodeName && alike && after.matches?.(`${kept}, :has(${kept})`)) {
      if (before.className !== after.className) before.className = after.className;
      if (before.id !== after.id) before.id = after.id;
      old.forEach((n, i) => changed(n, fresh[i]));
      return before;
    }
    if (before.isEqualNode(after)) return before;
    if (before.nodeType === Node.ELEMENT_NODE && after.nodeType === Node.ELEMENT_NODE) keepState(before, after);
    before.replaceWith(document.adoptNode(after));
    return after;
  }

  function renew(text) {
    const main = document.querySelector("main");
    const parts = [...new DOMParser().parseFromString(text, "text/html").body.children];
    const before = new Map([...main.children].map((part) => [nameOf(part), part]));
    let previous = null;
    for (const part of parts) {
      const name = nameOf(part);
      const old = before.get(name);
      before.delete(name);
      let here = old;
      const text = part.outerHTML;
      if (!old) here = document.adoptNode(part);
      else if (shown.get(name) !== text) here = changed(old, part);
      shown.set(name, text);
      if (previous ? previous.nextElementSibling !== here : main.firstElementChild !== here) {
        if (previous) previous.after(here); else main.prepend(here);
      }
      previous = here;
    }
    for (const gone of before.values()) gone.remove();
  }

  async function fetchPart() {
    const answer = await fetch("part", { cache: "no-store" });
    if (!answer.ok) return;
    const part = await answer.json();
    renew(part.main);
    for (const key of Object.keys(data)) delete data[key];
    Object.assign(data, part.data);
    flightcheck.decoded.clear();
    flightcheck.readModules();
    document.title = part.title;
    if (news.textContent !== part.verdict) news.textContent = part.verdict;
    await flightcheck.drawing;
    flightcheck.drawing = flightcheck.drawAll();
    await flightcheck.drawing;
    document.documentElement.dataset.steps = String(data.steps);
  }

  // One at a time; what is asked for meanwhile is asked for once, afterwards.
  function load() {
    if (loading) {
      again = true;
      return loading;
    }
    loading = fetchPart().finally(() => {
      loading = null;
      if (again) {
        again = false;
        load();
      }
    });
    return loading;
  }

  function say(text, state) {
    told.textContent = text;
    told.dataset.state = state;
  }

  flightcheck.drawing.then(() => { document.documentElement.dataset.steps = String(data.steps); });
  const source = new EventSource("events");
  source.addEventListener("open", () => { failures = 0; });
  source.addEventListener("pulse", (event) => say(JSON.parse(event.data).text, "running"));
  source.addEventListener("page", () => { load().catch(() => {}); });
  source.addEventListener("end", async () => {
    over = true;
    try {
      await loading;
      await load();
      say("The training is over. This is its report; it is also in the file report.html of the run's folder.", "over");
    } catch {
      say("The training is over; its report is in the file report.html of the run's folder.", "over");
    }
    source.close();
  });
  source.addEventListener("error", () => {
    if (over) return;
    failures += 1;
    say("No connection to the training: it is gone, or does not answer. What stands here is its last known state.", "lost");
    if (failures >= MOST_FAILURES) source.close();
  });
})();
