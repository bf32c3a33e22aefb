"use strict";
// Tables are whole without this script: it makes them sort and filter.

const boards = [...document.querySelectorAll("table.board")];
const form = document.querySelector(".filter");
const text = document.getElementById("filter-text");
const method = document.getElementById("filter-method");
const trouble = document.getElementById("filter-trouble");
const OPPOSITE = { ascending: "descending", descending: "ascending" };

// By number where a cell has one, else by text; what has no number is last, either way.
function compare(a, b, column, sign) {
  const [one, other] = [a.cells[column], b.cells[column]];
  if (!("key" in one.dataset)) return sign * one.textContent.localeCompare(other.textContent);
  const [left, right] = [one.dataset.key, other.dataset.key];
  if (left === "" || right === "") return (left === "") - (right === "");
  return sign * (number(left) - number(right) || 0);
}

function number(key) {
  return key.endsWith("inf") ? (key.startsWith("-") ? -Infinity : Infinity) : Number(key);
}

// The first press puts the best on top, the second the worst, the third all back in order.
function sort(table, heading) {
  const first = heading.dataset.first;
  const now = heading.getAttribute("aria-sort");
  const next = !now ? first : now === first ? OPPOSITE[first] : "";
  table.querySelectorAll("th[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
  if (next) heading.setAttribute("aria-sort", next);
  const sign = next === "descending" ? -1 : 1;
  const rows = [...table.original];
  if (next) rows.sort((a, b) => compare(a, b, heading.cellIndex, sign));
  table.tBodies[0].append(...rows);
  const name = heading.textContent.trim().split(/\s/)[0];
  document.getElementById("sort-status").textContent = next
    ? `${table.id}: sorted by ${name}, ${next}`
    : `${table.id}: in the original order`;
}

function filter() {
  const wanted = text.value.trim().toLowerCase();
  let shown = 0;
  let all = 0;
  for (const table of boards) {
    let here = 0;
    for (const row of table.original) {
      const { label, method: its } = row.dataset;
      row.hidden =
        !label.toLowerCase().includes(wanted) ||
        (method.selectedIndex > 0 && its !== method.value) ||
        (trouble.checked && !("trouble" in row.dataset));
      here += !row.hidden;
    }
    table.parentElement.nextElementSibling.hidden = here > 0;
    shown += here;
    all += table.original.length;
  }
  const status = shown === all ? "" : `${shown} of ${all} rows shown`;
  document.getElementById("filter-status").textContent = status;
}

for (const table of boards) {
  table.original = [...table.tBodies[0].rows];
  for (const button of table.querySelectorAll("thead button")) {
    button.disabled = false;
    button.addEventListener("click", () => sort(table, button.closest("th")));
  }
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
filter();
