"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const lastOf = (list) => list[list.length - 1];

  // -- the time axis: each day is as wide as each other, and nights are left out ------------------

  const days = data.days;
  const place = (second) => {
    let low = 0, high = days.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (days[middle][1] <= second) low = middle; else high = middle - 1;
    }
    const [, first, last] = days[low];
    return low + (last > first ? Math.min(Math.max((second - first) / (last - first), 0), 1) * 0.999 : 0.5);
  };
  const secondAt = (x) => {
    const day = days[Math.min(Math.max(Math.floor(x), 0), days.length - 1)];
    return day[1] + Math.min((x - Math.floor(x)) / 0.999, 1) * (day[2] - day[1]);
  };
  const written = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: data.zone, hourCycle: "h23", ...options });
  const clock = written({ hour: "2-digit", minute: "2-digit" });
  const moment = (second) => {
    const parts = Object.fromEntries(
      written({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" })
        .formatToParts(new Date(second * 1000)).map((part) => [part.type, part.value]));
    return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}`;
  };
  const dayAxis = (u, axis, low, high, space) => {
    const most = Math.max(1, Math.floor(u.bbox.width / devicePixelRatio / 70));
    if (high - low < 3) {
      const step = [1 / 13, 2 / 13, 4 / 13, 1, 2].find((each) => (high - low) / each <= most) || 3;
      const found = [];
      for (let x = Math.ceil(low / step) * step; x < high; x += step) found.push(x);
      return found;
    }
    const step = Math.ceil((high - low) / most);
    const found = [];
    for (let x = Math.ceil(low); x < high; x += step) found.push(x);
    return found;
  };
  const dayLabels = (u, places) => {
    const within = places.length > 1 && places[1] - places[0] < 1 || u.scales.x.max - u.scales.x.min < 3;
    let year = "";
    return places.map((x) => {
      const day = days[Math.floor(x + 1e-9)];
      if (!day || !day[0]) return "";
      const start = !within || x - Math.floor(x + 1e-9) < 1e-6;
      const text = start ? day[0].slice(5) : clock.format(new Date(secondAt(x) * 1000));
      if (day[0].slice(0, 4) === year) return text;
      year = day[0].slice(0, 4);
      return `${text}\n${start ? year : day[0]}`;
    });
  };

  // -- charts -------------------------------------------------------------------------------------

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const dollars = (value) => value == null ? "-" : value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const percent = (value) => value == null ? "-" : `${(value * 100).toFixed(2)}%`;
  const short = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const shortPercent = (value) => `${Number((value * 100).toPrecision(4))}%`;
  const charts = [];
  const main = document.querySelector("main");
  let width = main.clientWidth;

  const axes = (x, y) => [x, y].map((own) => ({
    stroke: () => colour("quiet"), grid: { stroke: () => colour("line"), width: 1 },
    ticks: { stroke: () => colour("line"), width: 1 }, font: "12px system-ui, sans-serif", ...own,
  }));
  const widest = Math.max(...[Math.min, Math.max].map((of) =>
    short(Math.round(data.equity.equity.reduce((a, b) => of(a, b)))).length));
  const axisWidth = Math.max(56, 14 + widest * 7.2); // the same for all, so that their days are below each other
  const withZero = (u, low, high) => {
    const [least, most] = [Math.min(low ?? 0, 0), Math.max(high ?? 0, 0)];
    return least === most ? [0, 1] : [least && uPlot.rangeNum(least, 0, 0.1, true)[0], most && uPlot.rangeNum(0, most, 0.1, true)[1]];
  };
  const zoomTogether = (u, key) => {
    if (key !== "x") return;
    const { min, max } = u.scales.x;
    for (const { chart, ofTime } of charts) {
      const { x } = chart.scales;
      if (ofTime && (x.min !== min || x.max !== max)) chart.setScale("x", { min, max });
    }
  };

  // -- spans without data: a day without a name, in which no line is drawn but a dashed one ----------

  const gaps = days.filter(([name]) => !name).map(([, second]) => second);
  const gapAfter = (second) => gaps.find((gap) => gap > second) ?? Infinity;
  const broken = (times, values) => {
    const found = [[], []], add = (x, value) => { found[0].push(x); found[1].push(value); };
    times.forEach((second, n) => {
      const gap = n ? gapAfter(times[n - 1]) : Infinity;
      if (gap <= second) add(place(gap), null);
      add(place(second), values[n]);
    });
    return found;
  };
  const drawGaps = (u) => {
    const c = u.ctx, { left, top, width, height } = u.bbox;
    c.save();
    c.strokeStyle = colour("quiet");
    c.lineWidth = devicePixelRatio;
    c.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const gap of gaps) {
      const x = u.valToPos(place(gap), "x", true);
      if (x < left || x > left + width) continue;
      c.beginPath();
      c.moveTo(x, top);
      c.lineTo(x, top + height);
      c.stroke();
    }
    c.restore();
  };
  const hideIdleLegend = (u) => u.root.classList.toggle("idle", u.cursor.left < 0);

  const draw = (id, series, values, { ofTime = true, height, yText, xText, hooks = {}, within, fromZero }) => {
    const target = document.getElementById(id);
    const timeAxis = ofTime ? { splits: dayAxis, values: dayLabels } : { values: xText };
    const chart = new uPlot({
      width, height,
      scales: { x: { time: false }, y: fromZero ? { range: withZero } : {} },
      axes: axes(timeAxis, { values: (u, ticks) => ticks.map(yText), size: axisWidth }),
      series, legend: { live: true },
      cursor: ofTime ? { sync: { key: "time" }, drag: { x: true, y: false } } : { drag: { x: false, y: false } },
      hooks: {
        ready: [hideIdleLegend], setScale: ofTime ? [zoomTogether] : [], draw: [...(ofTime ? [drawGaps] : []), ...(hooks.draw || [])],
        setCursor: [hideIdleLegend, ...(hooks.setCursor || [])],
      },
    }, values, target);
    chart.setScale("x", within || { min: 0, max: days.length });
    charts.push({ chart, ofTime, target });
  };
  const when = { label: "time", value: (u, x) => x == null ? "-" : moment(secondAt(x)) };

  const timeCharts = () => {
    const { equity, exposure, returns } = data;
    const dots = { show: equity.time.length < 3 };
    draw("equity", [when, {
      label: "equity", stroke: () => colour("curve"), fill: () => colour("fill"), width: 1.5, points: dots,
      value: (u, v) => dollars(v),
    }], broken(equity.time, equity.equity), { height: 260, yText: short });
    draw("drawdown", [when, {
      label: "below its peak", stroke: () => colour("loss"), width: 1.5, points: dots,
      fill: () => colour("loss") + "22", fillTo: 0, value: (u, v) => percent(v),
    }], broken(equity.time, equity.fall), { height: 160, yText: shortPercent, fromZero: true });
    draw("exposure", [when, {
      label: "invested", stroke: () => colour("curve"), fill: () => colour("fill"), width: 1, points: dots,
      paths: uPlot.paths.stepped({ align: -1 }), value: (u, v) => percent(v),
    }], broken(exposure.time, exposure.mean), { height: 160, yText: shortPercent, fromZero: true });
    const index = Object.fromEntries(days.map((day, n) => [day[0], n]));
    draw("returns", [{ label: "day", value: (u, v) => v == null ? "-" : days[Math.floor(v)][0] }, bars(
      "return", (u, n) => u.data[1][n] < 0, percent)],
      [returns.map(([day]) => index[day] + 0.5), returns.map(([, gained]) => gained)],
      { height: 180, yText: shortPercent, fromZero: true });
  };

  const bars = (label, losing, text) => {
    const tint = {
      unit: 3,
      values: (u) => {
        const [gain, loss] = [colour("gain"), colour("loss")];
        return u.data[0].map((_, n) => (losing(u, n) ? loss : gain));
      },
    };
    return {
      label, points: { show: false }, stroke: () => colour("curve"), fill: () => colour("curve"), width: 0,
      paths: uPlot.paths.bars({ size: [0.8, 40], disp: { fill: tint, stroke: tint } }),
      value: (u, v) => text(v),
    };
  };

  const results = () => {
    const target = document.getElementById("results");
    if (!data.results) { target.textContent = "No trade was closed."; return; }
    const { begin, width, counts } = data.results;
    const middle = counts.map((_, n) => begin + (n + 0.5) * width);
    const series = bars("trades", (u, n) => middle[n] < 0, (v) => v == null ? "-" : String(v));
    draw("results", [
      { label: "made", value: (u, v) => v == null ? "-" : `${dollars(v - width / 2)} to ${dollars(v + width / 2)}` }, series,
    ], [middle, counts], {
      ofTime: false, height: 180, fromZero: true, yText: (v) => Number.isInteger(v) ? String(v) : "",
      xText: (u, ticks) => ticks.map(short), within: { min: begin - width / 2, max: begin + (counts.length + 0.5) * width },
    });
  };

  // -- the price of a symbol, with entries, exits and blocked orders -----------------------------

  const shapes = {
    entry: (c, x, y, r) => { c.moveTo(x, y + 2); c.lineTo(x - r, y + 2 + 1.7 * r); c.lineTo(x + r, y + 2 + 1.7 * r); c.closePath(); c.fill(); },
    exit: (c, x, y, r) => { c.moveTo(x, y - 2); c.lineTo(x - r, y - 2 - 1.7 * r); c.lineTo(x + r, y - 2 - 1.7 * r); c.closePath(); c.fill(); },
    blocked: (c, x, y, r) => { c.moveTo(x - r, y - r); c.lineTo(x + r, y + r); c.moveTo(x + r, y - r); c.lineTo(x - r, y + r); c.stroke(); },
  };
  const tints = { entry: "gain", exit: "loss", blocked: "warn" };
  let shown = null;

  const drawMarks = (u) => {
    const c = u.ctx, { min, max } = u.scales.x;
    const within = shown.marks.filter(({ x }) => x >= min && x <= max);
    const radius = (within.length > 0.3 * u.width ? 2.5 : 4.5) * devicePixelRatio;
    c.save();
    c.beginPath();
    c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    c.clip();
    c.lineWidth = 2 * devicePixelRatio;
    const tinted = Object.fromEntries(Object.entries(tints).map(([kind, name]) => [kind, colour(name)]));
    for (const { x, price, kind } of within) {
      c.fillStyle = c.strokeStyle = tinted[kind];
      c.beginPath();
      shapes[kind](c, u.valToPos(x, "x", true), u.valToPos(price, "y", true), radius);
    }
    c.restore();
  };
  const tellMark = (u) => {
    const { left, top } = u.cursor, line = document.getElementById("mark");
    let near = null, least = 20 ** 2;
    if (left >= 0) for (const mark of shown.marks) {
      const away = (u.valToPos(mark.x, "x") - left) ** 2 + (u.valToPos(mark.price, "y") - top) ** 2;
      if (away < least) [near, least] = [mark, away];
    }
    line.textContent = near ? `${moment(near.second)} ${near.kind}: ${near.text}` : "";
  };
  const showPrice = (symbol) => {
    const found = data.prices.find((each) => each.symbol === symbol);
    shown = { ...found, marks: found.marks.map(([second, price, kind, text]) => ({ second, price, kind, text, x: place(second) })) };
    const at = charts.findIndex(({ target }) => target.id === "price");
    const old = at >= 0 ? charts.splice(at, 1)[0].chart : null;
    const { min, max } = old ? old.scales.x : { min: 0, max: days.length };
    if (old) old.destroy();
    draw("price", [when, {
      label: symbol, stroke: () => colour("curve"), width: 1.25, points: { show: shown.time.length < 3 },
      value: (u, v) => dollars(v),
    }], broken(shown.time, shown.close), {
      height: 320, yText: short, within: { min, max }, hooks: { draw: [drawMarks], setCursor: [tellMark] },
    });
    document.getElementById("price").dataset.symbol = symbol;
  };
  const prices = () => {
    const select = document.getElementById("symbol");
    if (!data.prices.length) {
      document.getElementById("price").textContent = "No order was made in a symbol that has bars.";
      select.remove();
      return;
    }
    for (const { symbol } of data.prices) select.add(new Option(symbol, symbol));
    select.addEventListener("change", () => showPrice(select.value));
    showPrice(data.prices[0].symbol);
  };

  // -- tables: a click on a heading, or Enter on it, sorts ---------------------------------------

  const valueOf = (cell) => {
    if ("value" in cell.dataset) return Number(cell.dataset.value);
    const text = cell.textContent;
    if (!cell.classList.contains("number")) return text;
    return text === "" || text === "-" ? -Infinity : Number(text.replace(/[,%+]/g, ""));
  };
  const sort = (head) => {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const at = head.cellIndex, body = head.closest("table").tBodies[0];
    const rows = [...body.rows].map((row) => [valueOf(row.cells[at]), row]);
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (ascending ? 1 : -1));
    body.append(...rows.map(([, row]) => row));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  };
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }

  // -- sizes, themes and paper -------------------------------------------------------------------

  const paperWidth = 680; // of A4 and of letter, in pixels
  let printing = false;
  const fit = () => {
    width = printing ? paperWidth : main.clientWidth;
    for (const { chart } of charts) if (chart.width !== width) chart.setSize({ width, height: chart.height });
  };
  const redraw = () => { for (const { chart } of charts) chart.redraw(true, true); };
  const print = (begins) => {
    printing = begins;
    if (begins) document.documentElement.dataset.theme = "light";
    else delete document.documentElement.dataset.theme;
    fit();
    redraw();
  };
  timeCharts();
  prices();
  results();
  new ResizeObserver(fit).observe(main);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
