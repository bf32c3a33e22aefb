"use strict";
// Tables are whole without this script. It ticks, sorts, copies, draws every seed, and keeps what
// is chosen in the address.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const columns = new Map(data.columns.map((column) => [column.key, column]));
const OPPOSITE = { ascending: "descending", descending: "ascending" };
const form = document.querySelector(".choice");
const boards = all("table.board");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// The cells of each dataset and label, as positions in the columns of data.cells.
const cellsOf = new Map();
data.cells.seed.forEach((seed, i) => {
  const key = `${data.cells.dataset[i]} ${data.cells.label[i]}`;
  if (!cellsOf.has(key)) cellsOf.set(key, []);
  cellsOf.get(key).push(i);
});
const cells = (dataset, label) =>
  cellsOf.get(`${data.datasets.indexOf(dataset)} ${data.labels.indexOf(label)}`) || [];

const number = (value) =>
  typeof value === "number" ? value : { nan: NaN, inf: Infinity, "-inf": -Infinity }[value] ?? NaN;
const format = (column, value) =>
  typeof value === "number" ? value.toFixed(column.digits) : value ?? "–";

// What is ticked. A kind of which everything is shown as at first is not in the address.

const shownAtFirst = data.columns.filter((column) => column.group === "quality");
const kinds = {
  d: { names: data.datasets, first: data.datasets },
  m: { names: data.columns.map((c) => c.key), first: shownAtFirst.map((c) => c.key) },
  v: { names: data.labels, first: data.labels },
};
for (const kind of Object.values(kinds)) kind.ticked = new Set(kind.first);
const sortedBy = new Map();
let section = "";

function tickBoxes() {
  for (const [name, kind] of Object.entries(kinds)) {
    const place = document.querySelector(`[data-choice=${name}] .ticks`);
    for (const each of kind.first) place.append(tickBox(name, each, name === "m" ? columns.get(each).title : each));
  }
  const groups = Map.groupBy
    ? Map.groupBy(data.columns.filter((c) => c.summary), (c) => c.group)
    : new Map([["other", data.columns.filter((c) => c.summary)]]);
  for (const [group, members] of groups) {
    const ticks = element("div", { class: "ticks" }, ...members.map((c) => tickBox("m", c.key, c.title)));
    document.querySelector(".others").append(element("fieldset", {}, element("legend", {}, group), ticks));
  }
  document.querySelector("[data-choice=m] details").hidden = groups.size === 0;
}

function tickBox(kind, name, text) {
  const box = element("input", { type: "checkbox", "data-kind": kind });
  box.value = name;
  return element("label", { class: "tick" }, box, element("span", {}, text));
}

function readAddress() {
  const [anchor, query = ""] = location.hash.slice(1).split("?");
  const wanted = new URLSearchParams(query);
  section = decodeURIComponent(anchor);
  for (const [name, kind] of Object.entries(kinds)) {
    const known = wanted.getAll(name).filter((each) => kind.names.includes(each));
    kind.ticked = new Set(wanted.has(name) ? known : kind.first);
  }
  byId("filter-text").value = wanted.get("q") || "";
  byId("filter-trouble").checked = wanted.has("troubles");
  byId("seeds").checked = wanted.get("seeds") !== "no";
  sortedBy.clear();
  for (const each of wanted.getAll("sort")) {
    const [table, direction, ...key] = each.split(" ");
    if (byId(table)?.matches(".board") && OPPOSITE[direction]) sortedBy.set(table, [key.join(" "), direction]);
  }
}

function writeAddress() {
  const wanted = new URLSearchParams();
  for (const [name, kind] of Object.entries(kinds)) {
    const same = kind.ticked.size === kind.first.length && kind.first.every((each) => kind.ticked.has(each));
    if (!same) (kind.ticked.size ? [...kind.ticked] : [""]).forEach((each) => wanted.append(name, each));
  }
  if (byId("filter-text").value) wanted.set("q", byId("filter-text").value);
  if (byId("filter-trouble").checked) wanted.set("troubles", "yes");
  if (!byId("seeds").checked) wanted.set("seeds", "no");
  for (const [table, [key, direction]] of sortedBy) wanted.append("sort", `${table} ${direction} ${key}`);
  const query = wanted.toString();
  const hash = section + (query ? `?${query}` : "");
  // Not location.hash: every tick would be a step of the browser's history.
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// Tables

function addColumns(table) {
  const dataset = table.dataset.dataset;
  const present = new Set(all("thead th", table).map((each) => each.dataset.column));
  for (const key of kinds.m.ticked) {
    const column = columns.get(key);
    if (present.has(key) || !column.summary) continue;
    const rows = new Map(column.summary.filter((row) => row[0] === dataset).map((row) => [row[1], row]));
    if (!rows.size) continue;
    const first = column.better === "higher" ? "descending" : "ascending";
    const button = element("button", { type: "button", class: "sort", title: column.meaning || false }, column.title);
    if (column.better) button.append(column.better === "higher" ? " ↑" : " ↓");
    const head = element("th", { scope: "col", class: "number", "data-column": key, "data-first": first }, button);
    table.tHead.rows[0].append(head);
    for (const row of table.original) row.append(valueCell(rows.get(row.dataset.label), row));
  }
}

function valueCell(values, row) {
  const [, , mean, n, whole, mark] = values || [];
  if (!values) return element("td", { class: "number", "data-key": "" }, element("span", { class: "mean" }, "–"));
  const [text, deviation] = whole.split(" ± ");
  const spread = deviation ? `± ${deviation}` : "";
  const key = mean === "nan" ? "" : mean;
  const cell = element("td", { class: `number ${mark}`, "data-key": key }, element("span", { class: "mean" }, text));
  if (spread) cell.append(" ", element("span", { class: "spread" }, spread));
  if (mark === "chance") cell.append(element("span", { class: "sign" }, " ~"));
  if (String(n) !== row.cells[1].textContent) cell.append(" ", element("span", { class: "spread" }, `n = ${n}`));
  return cell;
}

const isRowShown = (row) =>
  kinds.v.ticked.has(row.dataset.label) &&
  row.dataset.label.toLowerCase().includes(byId("filter-text").value.trim().toLowerCase()) &&
  (!byId("filter-trouble").checked || "trouble" in row.dataset);

function show() {
  let [shown, total] = [0, 0];
  for (const table of boards) {
    const isQuality = table.id.startsWith("board-");
    if (isQuality) addColumns(table);
    const heads = [...table.tHead.rows[0].cells];
    const hidden = heads.map(
      (head) => columns.has(head.dataset.column) && !table.id.startsWith("cost-") && !kinds.m.ticked.has(head.dataset.column)
    );
    heads.forEach((head, i) => (head.hidden = hidden[i]));
    let here = 0;
    for (const row of table.original) {
      row.hidden = !isRowShown(row);
      here += !row.hidden;
      hidden.forEach((each, i) => (row.cells[i].hidden = each));
    }
    table.parentElement.hidden = here === 0;
    const message = table.parentElement.nextElementSibling;
    if (message.matches(".nothing")) message.hidden = here > 0;
    if (isQuality && kinds.d.ticked.has(table.dataset.dataset)) [shown, total] = [shown + here, total + table.original.length];
    applySort(table);
  }
  for (const each of all("[data-dataset]")) {
    if (each.tagName !== "TABLE") each.hidden = each.dataset.dataset !== "" && !kinds.d.ticked.has(each.dataset.dataset);
  }
  showBest();
  byId("filter-status").textContent = shown === total ? "" : `${shown} of ${total} rows shown`;
  for (const box of all("input[data-kind]", form)) box.checked = kinds[box.dataset.kind].ticked.has(box.value);
  drawCharts();
}

function showBest() {
  const table = byId("best");
  if (!table) return;
  const hidden = ["", ...data.datasets].map((name) => name && !kinds.d.ticked.has(name));
  for (const row of table.rows) [...row.cells].forEach((cell, i) => (cell.hidden = Boolean(hidden[i])));
  for (const row of table.tBodies[0].rows) row.hidden = !kinds.m.ticked.has(row.dataset.metric);
}

// By number where a cell has one, else by text; what has no number is last, either way.
function compare(a, b, column, sign) {
  const [one, other] = [a.cells[column], b.cells[column]];
  if (!("key" in one.dataset)) return sign * one.textContent.localeCompare(other.textContent, undefined, { numeric: true });
  const [left, right] = [one.dataset.key, other.dataset.key];
  if (left === "" || right === "") return (left === "") - (right === "");
  const value = (key) => (key.endsWith("inf") ? number(key) : Number(key));
  return sign * (value(left) - value(right) || 0);
}

// The first press puts the best on top, the second the worst, the third all back in order.
function sort(table, head) {
  const { column, first } = head.dataset;
  const [key, now] = sortedBy.get(table.id) || [];
  const next = key !== column ? first : now === first ? OPPOSITE[first] : "";
  if (next) sortedBy.set(table.id, [column, next]);
  else sortedBy.delete(table.id);
  applySort(table);
  writeAddress();
  const title = columns.get(column)?.title || column;
  byId("sort-status").textContent = next ? `Sorted by ${title}, ${next}` : "In the original order";
}

function applySort(table) {
  const [key, direction] = sortedBy.get(table.id) || [];
  all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
  const head = [...table.tHead.rows[0].cells].find((each) => each.dataset.column === key);
  const rows = [...table.original];
  if (head) {
    head.setAttribute("aria-sort", direction);
    rows.sort((a, b) => compare(a, b, head.cellIndex, direction === "descending" ? -1 : 1));
  }
  table.tBodies[0].append(...rows);
}

// Copies of what a table shows

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "–": "--", "↑": "$\\uparrow$", "↓": "$\\downarrow$" };
const GREEK = { α: "alpha", β: "beta", γ: "gamma", δ: "delta", ε: "epsilon", λ: "lambda", μ: "mu", ρ: "rho", σ: "sigma", τ: "tau", ϕ: "phi", θ: "theta" };
const escapeLatex = (text) =>
  text.replace(/[\\~^±–↑↓]|[&%$#_{}]|[α-ωϕ]/g, (c) => LATEX[c] || (GREEK[c] ? `$\\${GREEK[c]}$` : /[α-ω]/.test(c) ? c : `\\${c}`));
const escapeMarkdown = (text) => text.replace(/[\\`*_{}[\]<>#|~$]/g, "\\$&").replace(/\s+/g, " ");
const escapeCsv = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
// A spreadsheet would run a name that begins like a formula.
const inert = (text) => (/^[=+\-@\t\r]/.test(text) && isNaN(Number(text)) ? `'${text}` : text);

function shownCells(row) {
  return [...row.cells].filter((cell) => !cell.hidden);
}

function headText(head) {
  const { column } = head.dataset;
  const arrow = { higher: " ↑", lower: " ↓" }[columns.get(column)?.better] || "";
  return columns.has(column) ? columns.get(column).title + arrow : head.textContent.trim();
}

const labelOf = (cell) => cell.parentElement.dataset.label;
const part = (cell, name) => cell.querySelector(`.${name}`)?.textContent || "";
const cellText = (cell) =>
  cell.tagName === "TH" ? labelOf(cell) : [part(cell, "mean") || cell.textContent, part(cell, "spread")].filter(Boolean).join(" ");
const bodyRows = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);

function asCsv(table) {
  const heads = shownCells(table.tHead.rows[0]);
  const isValue = heads.map((head) => columns.has(head.dataset.column) && table.id !== "ranks");
  const names = heads.flatMap((head, i) => (isValue[i] ? [headText(head).replace(/ [↑↓]$/, ""), "std"] : [headText(head)]));
  const rows = bodyRows(table).map((row) =>
    shownCells(row).flatMap((cell, i) =>
      isValue[i] ? [part(cell, "mean").replace("–", ""), part(cell, "spread").replace(/^(± |n = .*)/, "")] : [inert(cellText(cell))]
    )
  );
  return [names, ...rows].map((row) => row.map(escapeCsv).join(",")).join("\r\n") + "\r\n";
}

function asMarkdown(table) {
  const heads = shownCells(table.tHead.rows[0]);
  const marked = (cell) => {
    const text = escapeMarkdown(cellText(cell));
    return cell.matches(".best") ? `**${text}**` : cell.matches(".second") ? `_${text}_` : cell.matches(".chance") ? `${text} \\~` : text;
  };
  const line = (texts) => `| ${texts.join(" | ")} |`;
  const rule = heads.map((_, i) => (i ? "---:" : ":---"));
  const rows = bodyRows(table).map((row) => line(shownCells(row).map(marked)));
  return [line(heads.map((head) => escapeMarkdown(headText(head)))), line(rule), ...rows].join("\n") + "\n";
}

function asLatex(table) {
  const heads = shownCells(table.tHead.rows[0]);
  const marked = (cell) => {
    const text = escapeLatex(cellText(cell));
    const command = cell.matches(".best") ? "textbf" : cell.matches(".second") ? "underline" : cell.matches(".chance") ? "textcolor{gray}" : "";
    return command ? `\\${command}{${text}}` : text;
  };
  const line = (texts) => `${texts.join(" & ")} \\\\`;
  const rows = bodyRows(table).map((row) => line(shownCells(row).map(marked)));
  const head = line(heads.map((each) => escapeLatex(headText(each))));
  const begin = `% needs booktabs and xcolor\n\\begin{tabular}{l${"r".repeat(heads.length - 1)}}\n\\toprule`;
  return [begin, head, "\\midrule", ...rows, "\\bottomrule\n\\end{tabular}"].join("\n") + "\n";
}

const WRITERS = { csv: asCsv, markdown: asMarkdown, latex: asLatex };

async function copy(button) {
  const place = button.parentElement;
  const text = WRITERS[button.dataset.as](byId(place.dataset.table));
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { class: "unseen" });
    area.value = text;
    place.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  byId("sort-status").textContent = `Copied as ${button.textContent}`;
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
}

// Every seed as a dot

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function drawCharts() {
  const tip = byId("tip");
  tip.hidden = true;
  for (const place of all(".charts")) {
    place.replaceChildren();
    if (!byId("seeds").checked || !kinds.d.ticked.has(place.dataset.dataset)) continue;
    const table = boards.find((each) => each.dataset.dataset === place.dataset.dataset);
    const labels = bodyRows(table).map((row) => row.dataset.label);
    const ticked = data.columns.filter((column) => kinds.m.ticked.has(column.key));
    for (const column of labels.length ? ticked : []) {
      const chart = element("figure", { class: "chart" });
      place.append(chart);
      if (!drawChart(chart, place.dataset.dataset, column, labels)) chart.remove();
    }
  }
}

function ticksBetween(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= raw);
  const first = Math.ceil(low / step - 1e-9) * step;
  const ticks = [];
  for (let i = 0; first + i * step <= high + step * 1e-9; i++) ticks.push(Number((first + i * step).toPrecision(12)));
  return ticks;
}

// Text is measured so that labels are neither cut nor wider than they must be.
const pen = document.createElement("canvas").getContext("2d");
pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
const widthOf = (text) => pen.measureText(text).width;

function fitted(text, room) {
  if (widthOf(text) <= room) return text;
  let length = text.length - 1;
  while (length > 1 && widthOf(`${text.slice(0, length)}…`) > room) length--;
  return `${text.slice(0, length)}…`;
}

// Values that span more than a factor of 50 are on a log scale, where 0 is at the left edge.
function scaleOf(values, left, right, mayBeLog) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const least = Math.min(...values.filter((value) => value > 0));
  const isLog = mayBeLog && low >= 0 && high / least > 50;
  if (low === high) [low, high] = [low - Math.abs(low || 1) * 0.1, high + Math.abs(high || 1) * 0.1];
  const bend = isLog ? Math.log10 : (each) => each;
  const [from, to] = isLog ? [bend(least), bend(high)] : [low, high];
  const margin = (to - from) * (isLog && low === 0 ? 0.15 : 0.05);
  const share = (value) => (isLog && value === 0 ? 0.02 : (bend(value) - from + margin) / (to - from + 2 * margin));
  const place = (value) => left + share(value) * (right - left);
  const room = Math.max(2, Math.floor((right - left) / 45));
  const ticks = isLog
    ? [...(low === 0 ? [0] : []), ...ticksBetween(from - margin * 0.3, to + margin, room).filter(Number.isInteger).map((each) => 10 ** each)]
    : ticksBetween(from - margin, to + margin, room);
  return { place, ticks, isLog };
}

function drawChart(chart, dataset, column, labels) {
  const rows = labels.map((label) => ({
    label,
    dots: cells(dataset, label).map((i) => ({ i, value: number(column.values[i]) })).filter((dot) => Number.isFinite(dot.value)),
  }));
  const values = rows.flatMap((row) => row.dots.map((dot) => dot.value));
  if (!values.length) return false;
  const reason = column.reasons[dataset] || "";
  const isChance = reason.includes("worse than chance");
  const width = Math.max(260, chart.clientWidth);
  const left = Math.min(width * 0.55, Math.max(...labels.map(widthOf)) + 14);
  const [step, top] = [19, 6];
  const height = top + rows.length * step + 24;
  const { place, ticks, isLog } = scaleOf(values, left, width - 10, column.better !== "higher");
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group" });
  picture.setAttribute("aria-label", `${column.title} on ${dataset}, every seed. Arrow keys move from dot to dot, Enter opens the cells.`);
  const bottom = height - 22;
  for (const tick of ticks) {
    const x = place(tick);
    picture.append(svg("line", { x1: x, x2: x, y1: top, y2: bottom, class: "grid" }));
    const within = Math.min(x, width - widthOf(String(tick)) / 2 - 1);
    picture.append(svg("text", { x: within, y: height - 7, class: "axis", "text-anchor": "middle" }, String(tick)));
  }
  const dots = [];
  rows.forEach((row, r) => {
    const y = top + r * step + step / 2;
    const isReference = data.references[data.labels.indexOf(row.label)];
    const name = svg("text", { x: left - 8, y: y + 4, class: isReference ? "name reference" : "name", "text-anchor": "end" }, fitted(row.label, left - 12));
    name.append(svg("title", {}, row.label));
    picture.append(svg("line", { x1: left, x2: width - 10, y1: y, y2: y, class: "lane" }), name);
    const mean = row.dots.reduce((sum, dot) => sum + dot.value, 0) / row.dots.length;
    for (const dot of row.dots) {
      const circle = svg("circle", { cx: place(dot.value), cy: y, r: 3.5, class: `dot${isChance ? " pale" : isReference ? " bound" : ""}` });
      picture.append(circle);
      const seed = data.cells.seed[dot.i];
      dots.push({ circle, row: r, label: row.label, seed, text: `${row.label}, seed ${seed}: ${column.title} ${format(column, dot.value)}` });
    }
    if (row.dots.length) picture.append(svg("line", { x1: place(mean), x2: place(mean), y1: y - 7, y2: y + 7, class: "mean-line" }));
  });
  const direction = isChance || !column.better ? "" : column.better === "lower" ? "← better" : "better →";
  const notes = [direction, isLog ? "log scale" : ""].filter(Boolean).join(", ");
  const caption = element("figcaption", {}, element("strong", {}, column.title), notes ? ` ${notes}` : "");
  if (reason) caption.append(element("span", { class: "chance" }, ` ~ ${reason}.`));
  chart.append(caption, picture);
  reachDots(picture, dots, dataset);
  return true;
}

// One stop of the tab key for each chart; arrow keys move among its dots.
function reachDots(picture, dots, dataset) {
  let current = -1;
  const tip = byId("tip");
  const focus = (index) => {
    dots[current]?.circle.classList.remove("current");
    current = index;
    tip.hidden = index < 0;
    if (index < 0) return;
    const { circle, text } = dots[index];
    circle.classList.add("current");
    tip.textContent = text;
    const box = circle.getBoundingClientRect();
    const half = tip.offsetWidth / 2;
    const x = Math.min(Math.max(box.x + box.width / 2, half + 4), document.documentElement.clientWidth - half - 4);
    tip.style.left = `${x + scrollX}px`;
    tip.style.top = `${box.y + scrollY}px`;
    picture.setAttribute("aria-label", text);
  };
  const sameSeedIn = (row) => {
    const its = dots.filter((dot) => dot.row === row);
    return dots.indexOf(its.find((dot) => dot.seed === dots[current].seed) || its[0]);
  };
  const move = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Escape") focus(-1);
    if (event.key === "Enter" && current >= 0) openRecord(dataset, dots[current].label, dots[current].seed);
    if (!(event.key in move)) return;
    event.preventDefault();
    if (current < 0) focus(0);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") focus(Math.min(Math.max(current + move[event.key], 0), dots.length - 1));
    else {
      const rows = [...new Set(dots.map((dot) => dot.row))];
      const next = rows[rows.indexOf(dots[current].row) + move[event.key]];
      if (next !== undefined) focus(sameSeedIn(next));
    }
  });
  picture.addEventListener("blur", () => focus(-1));
  dots.forEach(({ circle, label, seed }, index) => {
    circle.addEventListener("pointerenter", () => focus(index));
    circle.addEventListener("pointerleave", () => focus(-1));
    circle.addEventListener("click", () => openRecord(dataset, label, seed));
  });
}

// The cells of a method on a dataset, in words

function openRecord(dataset, label, seed) {
  const its = cells(dataset, label);
  const statuses = its.map((i) => data.statuses[data.cells.status[i]]);
  const counts = data.statuses.map((each) => [statuses.filter((s) => s === each).length, each]).filter(([n]) => n);
  const settings = data.settings.find((each) => each[0] === dataset && each[1] === label);
  const shown = data.columns.filter((c) => (c.group === "cost" || kinds.m.ticked.has(c.key)) && its.some((i) => c.values[i] !== null));
  const facts = [
    ["Method", data.methods[data.labels.indexOf(label)]],
    ["Parameters", settings?.[2] || "none"],
    ["Cells", counts.map(([n, each]) => `${n} ${each}`).join(", ")],
    ["More", `python run_bench.py why RUN '${dataset}' '${label}' ${seed ?? data.cells.seed[its[0]] ?? 0}`],
  ];
  const list = element("dl", { class: "versions" });
  for (const [name, value] of facts) list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  const lines = [
    ["Status", (i) => data.statuses[data.cells.status[i]], "status"],
    ...(its.some((i) => data.reasons[i]) ? [["Reason", (i) => data.reasons[i] || "–", "reason"]] : []),
    ...shown.map((column) => [column.title, (i) => format(column, column.values[i]), "number"]),
    ["Finished", (i) => data.cells.finished[i].replace("T", " ") || "–", "number"],
  ];
  const state = (i) => `status-${data.statuses[data.cells.status[i]]}${data.cells.seed[i] === seed ? " current" : ""}`;
  const heads = its.map((i) => element("th", { scope: "col", class: `number ${state(i)}` }, `seed ${data.cells.seed[i]}`));
  const table = element("table", { class: "plain" }, element("caption", { class: "unseen" }, `Cells of ${label} on ${dataset}`));
  table.append(element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Value"), ...heads)), element("tbody"));
  for (const [name, text, kind] of lines) {
    const values = its.map((i) => element("td", { class: state(i) }, element("span", { class: kind }, text(i))));
    table.tBodies[0].append(element("tr", {}, element("th", { scope: "row" }, name), ...values));
  }
  byId("record-title").textContent = `${label} on ${dataset}`;
  const scroll = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": "Cells, one a seed" }, table);
  byId("record-content").replaceChildren(list, scroll);
  byId("record").showModal();
}

// Figures

function enlarge(button) {
  const image = button.querySelector("img");
  const whole = document.querySelector("#enlarged .whole");
  whole.replaceChildren(image.cloneNode());
  whole.classList.remove("twice");
  byId("enlarged").showModal();
  whole.focus();
}

// Navigation and theme

function markSection() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        const name = target.getAttribute("aria-labelledby");
        for (const link of all("nav a")) {
          if (link.hash === `#${name}`) {
            link.setAttribute("aria-current", "true");
            link.parentElement.parentElement.scrollLeft = link.offsetLeft - 16;
          } else link.removeAttribute("aria-current");
        }
      }
    },
    { rootMargin: "-20% 0px -75% 0px" }
  );
  all("main > section").forEach((each) => seen.observe(each));
}

function goTo(id) {
  const target = byId(id);
  if (!target) return;
  section = id;
  writeAddress();
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

function switchTheme() {
  const button = byId("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => (button.textContent = isDark() ? "Light" : "Dark");
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  dark.addEventListener("change", name);
  name();
}

// Begin

for (const table of boards) {
  table.original = [...table.tBodies[0].rows];
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches(".sort")) sort(table, button.closest("th"));
    if (button?.matches(".open")) openRecord(table.dataset.dataset, button.closest("tr").dataset.label);
  });
}
all("button:disabled").forEach((button) => (button.disabled = false));
all(".copying").forEach((each) => {
  each.hidden = false;
  each.addEventListener("click", (event) => event.target.matches("button") && copy(event.target));
});
all("figure .zoom").forEach((button) => button.addEventListener("click", () => enlarge(button)));
all(".download").forEach((link) => {
  link.hidden = false;
  link.href = link.closest("figure").querySelector("img").src;
});
all("dialog").forEach((dialog) => {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
});
document.querySelector("#enlarged .whole").addEventListener("click", (event) => event.currentTarget.classList.toggle("twice"));
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  event.preventDefault();
  // The address stays: a late change of it would take the focus back.
  if (link.matches(".skip")) byId("main").focus();
  else goTo(link.hash.slice(1));
});

tickBoxes();
form.hidden = false;
form.addEventListener("change", (event) => {
  const { kind } = event.target.dataset;
  if (kind) kinds[kind].ticked[event.target.checked ? "add" : "delete"](event.target.value);
  show();
  writeAddress();
});
byId("filter-text").addEventListener("input", () => (show(), writeAddress()));
byId("find-metric").addEventListener("input", (event) => {
  event.stopPropagation();
  const wanted = event.target.value.trim().toLowerCase();
  for (const label of all(".others label")) label.hidden = !label.textContent.toLowerCase().includes(wanted);
  for (const group of all(".others fieldset")) group.hidden = !group.querySelector("label:not([hidden])");
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  history.replaceState(null, "", location.pathname + location.search);
  readAddress();
  show();
});
addEventListener("hashchange", () => (readAddress(), show(), goTo(section)));
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) requestAnimationFrame(drawCharts);
  width = innerWidth;
});

switchTheme();
readAddress();
show();
if (section) goTo(section);
markSection();
