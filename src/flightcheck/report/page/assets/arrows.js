// Which arrows of a graph of modules are drawn.
"use strict";

// A residual stream hands each value on to everything that comes later. An arrow is left out where others lead the same
// way forward: by one module between two of the same container, by any number where it enters or leaves one.
// Arrows are {from, to, …}; order(node) is when a node is first called, parent(node) the container that holds it.
function withoutDetours(arrows, order, parent) {
  const forward = (a) => order(a.from) < order(a.to);
  const next = new Map();
  for (const a of arrows) if (forward(a)) next.set(a.from, [...(next.get(a.from) ?? []), a.to]);
  const after = (at) => next.get(at) ?? [];
  const reaches = new Map();
  function reached(at) {
    if (!reaches.has(at)) reaches.set(at, new Set(after(at).flatMap((x) => [x, ...reached(x)])));
    return reaches.get(at);
  }
  return arrows.filter((a) => {
    if (!forward(a)) return true;
    const beside = parent(a.from) === parent(a.to);
    return !after(a.from).some((x) => x !== a.to && (beside ? after(x).includes(a.to) : reached(x).has(a.to)));
  });
}
