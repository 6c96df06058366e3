/* Completes conditions in the filter box: a combobox with a list, as ARIA describes it.
   Everything from the server is put in as text. Without this file the box works as before. */
"use strict";
(() => {
  const box = document.getElementById("filter");
  if (!box || !box.dataset.words) return;
  const MOST = 12;
  const list = document.createElement("ul");
  const said = document.createElement("p");
  list.id = "filter-words";
  list.className = "words";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  said.className = "hidden";
  said.setAttribute("role", "status");
  box.after(list, said);
  const attributes = {
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": list.id, "aria-haspopup": "listbox",
  };
  for (const [name, value] of Object.entries(attributes)) box.setAttribute(name, value);

  let words = null;  // fields by name, and their values
  let found = [];  // what is offered: {text, note, from}
  let active = -1;

  const load = async () => {
    if (words) return;
    words = {fields: new Map(), values: new Map()};
    try {
      const response = await fetch(box.dataset.words, {headers: {accept: "application/json"}});
      const given = response.ok ? await response.json() : {fields: {}, values: {}};
      for (const part of ["fields", "values"]) words[part] = new Map(Object.entries(given[part]));
    } catch { /* the box works without */ }
  };

  const quoted = text => `"${text.replace(/[\\"]/g, "\\$&")}"`;
  const operators = type => [
    ...(type === "number" ? [">=", "<=", "=", "!=", ">", "<"] : ["=", "!=", "like", "in (", "not like"]),
    ...(type === "any" ? [">=", "<="] : []),
  ];

  /* What may follow the text before the caret, and from where on it is replaced. */
  const offers = before => {
    const value = before.match(
      /([A-Za-z_][\w.-]*)\s*(?:[=<>!]=?|<>|\b(?:not\s+)?(?:like|in\s*\((?:\s*(?:"[^"]*"|'[^']*')\s*,)*))\s*(["']?)([^"'()]*)$/i);
    if (value && (value[2] || !/\S/.test(value[3]))) {
      const from = value[2] ? before.length - value[3].length - 1 : before.length;
      const start = value[3].toLowerCase();
      return (words.values.get(value[1]) || [])
        .filter(text => !value[2] || text.toLowerCase().startsWith(start))
        .map(text => ({text: quoted(text), note: "", from}));
    }
    if ((before.match(/(?:^|[^\\])["']/g) || []).length % 2) return [];  // within a text
    const [word] = before.match(/[\w.-]*$/);
    const rest = before.slice(0, before.length - word.length);
    const from = rest.length;
    const start = word.toLowerCase();
    const after = rest.match(/(?:^|[\s(])([A-Za-z_][\w.-]*)\s+$/);
    const joins = ["and", "or", "not"];
    let options;
    if (after && !joins.includes(after[1].toLowerCase()) && !/[=<>]\s*[\w.+-]*\s+$/.test(rest))
      options = operators(words.fields.get(after[1]) || "any").map(text => ({text, note: "", from}));
    else if (/(?:["')]|[=<>]\s*[\d.+-]+)\s+$/.test(rest))
      options = ["and", "or"].map(text => ({text, note: "", from}));
    else if (!rest.trim() || /(?:\(|\b(?:and|or|not))\s*$/i.test(rest))
      options = [...words.fields].map(([text, note]) => ({text, note, from}));
    else return [];
    return options.filter(one => one.text.toLowerCase().startsWith(start) && one.text !== word);
  };

  const close = () => {
    list.hidden = true;
    found = [];
    choose(-1);
    box.setAttribute("aria-expanded", "false");
  };

  const choose = number => {
    active = number;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === number)));
    if (number < 0) box.removeAttribute("aria-activedescendant");
    else {
      box.setAttribute("aria-activedescendant", list.children[number].id);
      list.children[number].scrollIntoView({block: "nearest"});
    }
  };

  const take = number => {
    const {text, from} = found[number];
    const end = box.selectionStart;
    const after = box.value.slice(end).replace(/^["']/, "");
    const space = text.endsWith("(") || /^\s/.test(after) ? "" : " ";
    box.value = box.value.slice(0, from) + text + space + after;
    box.selectionStart = box.selectionEnd = from + text.length + space.length;
    offer();
  };

  const offer = async () => {
    await load();
    if (document.activeElement !== box || box.selectionStart !== box.selectionEnd) return close();
    found = offers(box.value.slice(0, box.selectionStart)).slice(0, MOST);
    if (!found.length) return close();
    list.replaceChildren(...found.map(({text, note}, number) => {
      const item = document.createElement("li");
      item.id = `filter-word-${number}`;
      item.setAttribute("role", "option");
      item.textContent = text;
      if (note) {
        const small = document.createElement("span");
        small.textContent = note;
        item.append(" ", small);
      }
      item.addEventListener("mousedown", event => { event.preventDefault(); take(number); });
      return item;
    }));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    choose(-1);
    said.textContent = `${found.length} ${found.length === 1 ? "completion" : "completions"}`;
  };

  box.addEventListener("input", offer);
  box.addEventListener("click", offer);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step && list.hidden && event.key === "ArrowDown") offer();
    else if (step && !list.hidden)
      choose(active < 0 && step < 0 ? found.length - 1 : (active + step + found.length) % found.length);
    else if (event.key === "Enter" && active >= 0) take(active);
    else if (event.key === "Escape" && !list.hidden) close();
    else {
      if (event.key === "Enter") close();
      return;
    }
    event.preventDefault();
  });
})();
