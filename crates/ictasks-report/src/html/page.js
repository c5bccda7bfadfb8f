"use strict";
// Sorts and filters tables and zooms into time. Text is only ever set as text.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, text = "", attributes = {}) => {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const FILTER_FROM = 10;

  // Tables. A cell sorts by its data-v, else by its text; what is unknown comes last.
  const worth = cell => {
    const text = (cell.dataset.v ?? cell.textContent).trim();
    if (text === "" || text === "–" || text === "…") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  const sort = (table, head) => {
    const column = head.cellIndex;
    const first = head.classList.contains("figures") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    all("th", table).forEach(th => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map(row => [worth(row.cells[column]), row]);
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  const filter = (table, words, told) => {
    const rows = [...table.tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      row.words ??= row.textContent.toLowerCase();
      row.hidden = !words.every(word => row.words.includes(word));
      shown += !row.hidden;
    }
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  };
  for (const table of all("table.data")) {
    const rows = table.tBodies[0].rows.length;
    if (rows < 2 || table.hasAttribute("data-still")) continue;
    for (const head of all("thead th", table)) {
      if (head.hasAttribute("data-still") || !head.textContent.trim()) continue;
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, head));
    }
    if (rows < FILTER_FROM) continue;
    const tools = make("div", "", { class: "tools" });
    const label = make("label", "Filter ");
    const input = make("input", "", { type: "search", placeholder: "words that a row has" });
    const told = make("span", `${rows} rows`, { class: "soft", role: "status" });
    label.append(input);
    tools.append(label, told);
    table.closest(".scroll").before(tools);
    input.addEventListener("input", () => filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean), told));
  }

  // Charts over time share what is in view, as shares of the whole.
  const STEPS = [1e-3, 2e-3, 5e-3, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
    7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 1728000, 4320000, 8640000, 31536000];
  const two = number => String(Math.floor(number)).padStart(2, "0");
  const clock = (at, step) => {
    if (at === 0) return "0";
    if (step >= 86400) return `${Math.round(at / 86400)} d`;
    if (step >= 3600) return `${Math.round(at / 3600)} h`;
    if (step >= 60) return at < 7200 ? `${Math.round(at / 60)} min` : `${Math.floor(at / 3600)} h ${two(at % 3600 / 60)}`;
    if (step >= 1) {
      return at < 120 ? `${Math.round(at)} s`
        : at < 7200 ? `${Math.floor(at / 60)} min ${two(at % 60)} s`
        : `${Math.floor(at / 3600)} h ${two(at % 3600 / 60)} min ${two(at % 60)} s`;
    }
    return at < 1 ? `${Number((at * 1e3).toPrecision(4))} ms` : `${Number(at.toFixed(3))} s`;
  };
  const figures = all("figure.time");
  const view = { from: 0, to: 1 };
  const svg = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const ticks = (group, span) => {
    const from = view.from * span, to = view.to * span;
    const step = STEPS.find(step => (to - from) / step <= 6) ?? to - from;
    const drawn = [];
    for (let number = Math.ceil(from / step); number * step <= to * (1 + 1e-9); number++) {
      const share = (number * step - from) / (to - from);
      const tick = svg("g", drawn.length % 2 ? { class: "minor" } : {});
      const text = svg("text", { x: `${share * 100}%`, y: "100%", dy: 17,
        "text-anchor": share < .03 ? "start" : share > .97 ? "end" : "middle" });
      text.textContent = clock(number * step, step);
      tick.append(text);
      drawn.push(tick);
    }
    group.replaceChildren(...drawn);
  };
  const draw = () => {
    for (const figure of figures) {
      for (const chart of all("svg.chart", figure)) {
        const plot = chart.querySelector("svg.plot");
        const box = plot.viewBox.baseVal;
        box.x = view.from * 1e5;
        box.width = (view.to - view.from) * 1e5;
        ticks(chart.querySelector("g.x"), Number(figure.dataset.span));
        for (const note of all(".note", chart)) {
          note.at ??= parseFloat(note.getAttribute("x") ?? note.getAttribute("x1")) / 100;
          const share = (note.at - view.from) / (view.to - view.from);
          note.style.display = share < 0 || share > 1 ? "none" : "";
          for (const name of ["x", "x1", "x2"]) if (note.hasAttribute(name)) note.setAttribute(name, `${share * 100}%`);
        }
      }
    }
  };
  const show = (from, to) => {
    const width = Math.min(1, Math.max(1e-4, to - from));
    view.from = Math.min(1 - width, Math.max(0, from));
    view.to = view.from + width;
    draw();
  };
  const move = (zoom, shift) => {
    const middle = (view.from + view.to) / 2, width = view.to - view.from;
    show(middle + (shift - zoom / 2) * width, middle + (shift + zoom / 2) * width);
  };

  // What is under the pointer, from the tables of numbers.
  const cells = row => [...row.cells].map(cell => cell.textContent);
  const read = figure => figure.rows ??= all("#bars tbody tr, #concurrency-numbers tbody tr", figure)
    .map(row => ({ row: Number(row.dataset.r), cells: cells(row) }))
    .sort((a, b) => a.row >= 0 ? 0 : a.cells[0] - b.cells[0]);
  const bar = (figure, at, height, reach) => {
    const count = figure.querySelector("svg.plot").viewBox.baseVal.height / 100;
    const row = Math.floor(height * count);
    const near = read(figure).filter(bar => bar.row === row && bar.cells[1] - reach <= at && at <= Number(bar.cells[2]) + reach);
    const [found] = near.sort((a, b) => Math.abs(a.cells[1] - at) - Math.abs(b.cells[1] - at));
    return found ? `task ${found.cells[4]}: ${found.cells[3]}, ran ${Number((found.cells[2] - found.cells[1]).toPrecision(3))} s on ${found.cells[0]}` : "";
  };
  const step = (figure, at) => {
    const rows = read(figure);
    const found = rows[Math.min(rows.length - 1, Math.floor(at / Number(figure.dataset.span) * rows.length))];
    return found ? `${found.cells[2]} of ${found.cells[1]} cores held, ${found.cells[3]} tasks waited` : "";
  };

  for (const figure of figures) {
    const tools = make("div", "", { class: "tools" });
    const button = (text, act) => {
      const made = make("button", text, { type: "button" });
      made.addEventListener("click", act);
      tools.append(made);
    };
    button("Zoom in", () => move(.5, 0));
    button("Zoom out", () => move(2, 0));
    button("Earlier", () => move(1, -.5));
    button("Later", () => move(1, .5));
    button("Whole run", () => show(0, 1));
    const readout = make("span", "Drag across the chart to zoom; point at it to read it.", { class: "readout" });
    tools.append(readout);
    figure.querySelector(".canvas").before(tools);
    const span = Number(figure.dataset.span);
    for (const chart of all("svg.chart", figure)) {
      let start = null, area = null;
      const place = event => {
        const box = chart.getBoundingClientRect();
        const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
        return [share, (event.clientY - box.top) / box.height, box.width];
      };
      chart.addEventListener("pointerdown", event => {
        if (event.button || event.pointerType === "touch") return;
        [start] = place(event);
        area = svg("rect", { class: "selection", height: "100%" });
        chart.append(area);
        chart.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      chart.addEventListener("pointermove", event => {
        const [share, height, width] = place(event);
        const at = (view.from + share * (view.to - view.from)) * span;
        const told = figure.querySelector("#bars") ? bar(figure, at, height, 2 * (view.to - view.from) * span / width) : step(figure, at);
        readout.textContent = `at ${clock(at, (view.to - view.from) * span / 200)}${told ? ": " + told : ""}`;
        if (area) {
          area.setAttribute("x", `${Math.min(start, share) * 100}%`);
          area.setAttribute("width", `${Math.abs(start - share) * 100}%`);
        }
      });
      const end = event => {
        if (!area) return;
        area.remove();
        area = null;
        const [share, , width] = place(event), scale = view.to - view.from;
        if (event.type === "pointerup" && Math.abs(share - start) * width > 5) {
          show(view.from + Math.min(start, share) * scale, view.from + Math.max(start, share) * scale);
        }
      };
      chart.addEventListener("pointerup", end);
      chart.addEventListener("pointercancel", end);
    }
  }

  // On paper nothing can be unfolded.
  addEventListener("beforeprint", () => all("details:not(.numbers, .long)").forEach(details => { details.open = true; }));
})();
