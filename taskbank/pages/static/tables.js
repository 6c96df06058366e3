// Sorts and filters tables of pages that no server answers. Without it they are read as they are.
"use strict";

const collator = new Intl.Collator("en", {numeric: true});
const shown = cell => cell.dataset.value ?? cell.textContent.trim();
const numeric = text => parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));

function compare(one, other, asNumber, up) {
  if (!one || !other) return (one === "") - (other === "");  // what is missing always comes last
  const order = asNumber ? numeric(one) - numeric(other) : collator.compare(one, other);
  return up ? order : -order;
}

function sortBy(table, head) {
  const up = head.ariaSort !== "ascending", place = head.cellIndex;
  for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
  head.ariaSort = up ? "ascending" : "descending";
  const asNumber = head.classList.contains("number");
  const rows = [...table.tBodies[0].rows].map(row => [shown(row.cells[place]), row]);
  rows.sort(([one], [other]) => compare(one, other, asNumber, up));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function addSearch(table, number) {
  const rows = table.tBodies[0].rows, box = document.createElement("div");
  const label = document.createElement("label"), input = document.createElement("input");
  const count = document.createElement("span");
  box.className = "search";
  label.textContent = "Find in this table";
  label.htmlFor = input.id = `search-${number}`;
  input.type = "search";
  count.className = "muted";
  count.setAttribute("role", "status");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      found += !row.hidden;
    }
    count.textContent = `${found} of ${rows.length} shown`;
  };
  input.addEventListener("input", filter);
  filter();
  box.append(label, input, count);
  (table.closest(".scroll") ?? table).before(box);
}

document.querySelectorAll("table[data-sort]").forEach((table, number) => {
  addSearch(table, number);
  for (const head of table.tHead.rows[0].cells) {
    if (head.querySelector("a, .hidden")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort-by";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, head));
    head.append(button);
  }
});
