// Reads the time line out under the pointer. The page is complete without it.
(() => {
  const figure = document.getElementById("timeline");
  const svg = figure.querySelector("svg");
  const box = document.getElementById("readout");
  const data = JSON.parse(document.getElementById("data").textContent);
  const cursor = document.createElementNS(svg.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y2", svg.viewBox.baseVal.height);
  cursor.style.display = "none";
  svg.append(cursor);

  const last = (list, at) => {
    let found;
    for (const item of list) {
      if (item[0] > at) break;
      found = item;
    }
    return found;
  };
  const time = (us) =>
    us < 1e3 ? us + " µs" : us < 1e6 ? (us / 1e3).toPrecision(3) + " ms" : (us / 1e6).toPrecision(3) + " s";
  const line = (...cells) => {
    const row = document.createElement("div");
    for (const cell of cells) row.append(Object.assign(document.createElement("span"), { textContent: cell }));
    return row;
  };

  const read = (at) => {
    const rows = [line((at / 1e3).toFixed(2) + " s", (last(data.phases, at) || [0, ""])[1])];
    const bucket = data.buckets[Math.floor(at / data.width)];
    if (bucket) {
      const rate = (count) => Math.round((count * 1000) / data.width);
      const [ok, fail, info, p50, p95, p99, max] = bucket;
      rows.push(line("ok / fail / info", [ok, fail, info].map(rate).join(" / ") + " per s"));
      if (p50 !== undefined) rows.push(line("p50 / p95 / p99 / max", [p50, p95, p99, max].map(time).join(" / ")));
    }
    for (const [name, roles] of data.nodes) {
      const role = last(roles, at);
      rows.push(line(name, role ? data.roles[role[1]] : "–"));
    }
    for (const [from, to, what] of data.faults) if (from <= at && at <= to) rows.push(line("fault", what));
    return rows;
  };

  figure.addEventListener("pointermove", (event) => {
    const area = svg.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * data.canvas;
    const inside = x >= data.left && x <= data.right;
    box.hidden = !inside;
    cursor.style.display = inside ? "" : "none";
    if (!inside) return;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    box.replaceChildren(...read(((x - data.left) / (data.right - data.left)) * data.end));
    const outer = figure.getBoundingClientRect();
    const left = event.clientX - outer.left;
    const flip = left > outer.width / 2;
    box.style.left = flip ? "" : left + 16 + "px";
    box.style.right = flip ? outer.width - left + 16 + "px" : "";
    box.style.top = Math.max(0, Math.min(event.clientY - outer.top, outer.height - box.offsetHeight)) + "px";
  });
  figure.addEventListener("pointerleave", () => {
    box.hidden = true;
    cursor.style.display = "none";
  });
})();
