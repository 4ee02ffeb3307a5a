// The page without this script is complete. It adds: the section being read marked in the contents, figures that
// enlarge, tables that sort. Nothing is loaded and nothing is kept.
"use strict";

// --- sorting: what a cell is worth ---------------------------------------------------------------------------------

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const UNITS = {
  ns: 1e-9, µs: 1e-6, μs: 1e-6, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, 毫秒: 1e-3, 秒: 1, 分钟: 60,
  B: 1, KB: 1e3, KiB: 1024, MB: 1e6, MiB: 1048576, GB: 1e9, GiB: 1073741824,
};
const NUMBER = /^[<>≤≥≈~±(\s]*([+−-]?)\s*(∞|[\d,]*\.?\d+)(?:\s*·\s*10(⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))?\s*([a-zµμA-Z]+|毫秒|秒|分钟)?/u;

function power(raised) {
  const digits = [...raised.replace("⁻", "")].map((one) => SUPERSCRIPTS.indexOf(one)).join("");
  return (raised.startsWith("⁻") ? -1 : 1) * Number(digits);
}

// A number for "1,234", "12 %", "29.6 [29.4, 29.8]", "3.21 ms"; null for "—" and nothing; else the text.
function keyOf(text) {
  const plain = text.replace(/[\u00a0\u202f\u200b\s]+/gu, " ").trim();
  if (plain === "" || /^[—–-]$/u.test(plain)) return null;
  const found = NUMBER.exec(plain);
  if (!found) return plain;
  const [, sign, digits, raised, unit] = found;
  const size = digits === "∞" ? Infinity : Number(digits.replaceAll(",", ""));
  return (sign && sign !== "+" ? -1 : 1) * size * (raised ? 10 ** power(raised) : 1) * (UNITS[unit] ?? 1);
}

// The order of rows by their keys; what is missing comes last either way, equals keep their order.
function orderOf(texts, descending, language) {
  const keys = texts.map(keyOf);
  const numeric = keys.every((key) => key === null || typeof key === "number");
  const collator = new Intl.Collator(language, { numeric: true });
  const compare = numeric ? (a, b) => (a === b ? 0 : a - b) : (a, b) => collator.compare(a, b);
  const worth = (row) => (numeric || keys[row] === null ? keys[row] : texts[row].trim());
  return texts.map((_, row) => row).sort((one, two) => {
    const [a, b] = [worth(one), worth(two)];
    if (a === null || b === null) return (a === null) - (b === null) || one - two;
    return (descending ? -1 : 1) * compare(a, b) || one - two;
  });
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    if (!header.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[header.ariaSort ?? ""];
      const direction = next === undefined ? "ascending" : next;
      headers.forEach((one) => one.removeAttribute("aria-sort"));
      const texts = rows.map((row) => row.cells[column]?.textContent ?? "");
      const order = direction ? orderOf(texts, direction === "descending", document.documentElement.lang) : rows.keys();
      body.append(...[...order].map((row) => rows[row]));
      if (direction) header.setAttribute("aria-sort", direction);
    });
  });
}

// --- contents ------------------------------------------------------------------------------------------------------

function followReader() {
  const contents = document.getElementById("contents");
  const details = contents.querySelector("details");
  const here = document.getElementById("here");
  const links = new Map();
  for (const link of contents.querySelectorAll("a")) {
    const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (section) links.set(section, link);
  }
  const narrow = window.matchMedia("(max-width: 72rem)");
  const fold = () => { details.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) details.open = false;
  });
  let current = null;
  function mark() {
    let found = links.values().next().value ?? null;
    for (const [section, link] of links) if (section.getBoundingClientRect().top < innerHeight / 4) found = link;
    if (found === current) return;
    current?.removeAttribute("aria-current");
    current = found;
    here.textContent = found ? found.textContent : "";
    if (!found) return;
    found.setAttribute("aria-current", "true");
    const [inner, outer] = [found.getBoundingClientRect(), contents.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) contents.scrollTop += inner.top - outer.top - outer.height / 3;
  }
  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  mark();
}

// --- figures -------------------------------------------------------------------------------------------------------

function button(name, sign, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = sign;
  made.setAttribute("aria-label", name);
  made.title = name;
  made.addEventListener("click", act);
  return made;
}

function makeZoomable(figures) {
  const words = document.body.dataset;
  const dialog = document.createElement("dialog");
  const bar = document.createElement("div");
  const pane = document.createElement("div");
  const caption = document.createElement("p");
  const image = document.createElement("img");
  let at = 0;
  function show(index) {
    at = (index + figures.length) % figures.length;
    const [shown, told] = [figures[at].querySelector("img"), figures[at].querySelector("figcaption")];
    image.src = shown.src;
    image.alt = shown.alt;
    caption.innerHTML = told ? told.innerHTML : "";
    magnify(false);
  }
  function magnify(large, event) {
    const [x, y] = event ? [event.offsetX / image.clientWidth, event.offsetY / image.clientHeight] : [0.5, 0.5];
    pane.classList.toggle("large", large);
    pane.scrollTo(x * pane.scrollWidth - pane.clientWidth / 2, y * pane.scrollHeight - pane.clientHeight / 2);
  }
  const buttons = [button(words.close, "✕", () => dialog.close())];
  if (figures.length > 1) {
    buttons.unshift(button(words.previous, "←", () => show(at - 1)), button(words.next, "→", () => show(at + 1)));
  }
  buttons.at(-1).autofocus = true;
  bar.append(...buttons);
  pane.append(image);
  dialog.append(bar, pane, caption);
  dialog.id = "zoom";
  dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target === pane) dialog.close(); });
  caption.addEventListener("click", (event) => { if (event.target.closest("a")) dialog.close(); });
  image.addEventListener("click", (event) => magnify(!pane.classList.contains("large"), event));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    else if (event.key === "ArrowRight") show(at + 1);
    else if (event.key === "+" || event.key === "=") magnify(true);
    else if (event.key === "-") magnify(false);
    else return;
    event.preventDefault();
  });
  document.body.append(dialog);
  figures.forEach((figure, index) => {
    const shown = figure.querySelector("img");
    const opener = button(`${words.enlarge}: ${figure.querySelector("figcaption strong")?.textContent ?? ""}`, "", () => {
      show(index);
      dialog.showModal();
    });
    opener.className = "zoom";
    shown.replaceWith(opener);
    opener.append(shown);
  });
}

// A table that is wider than the page scrolls: with the keyboard, too.
function makeScrollable(box) {
  if (box.scrollWidth <= box.clientWidth) return;
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", box.querySelector("caption strong")?.textContent ?? "");
}

function start() {
  followReader();
  const figures = [...document.querySelectorAll("figure")].filter((figure) => figure.querySelector("img"));
  if (figures.length) makeZoomable(figures);
  for (const table of document.querySelectorAll("main table")) {
    if (table.tHead && table.tBodies[0]?.rows.length > 2) makeSortable(table);
  }
  document.querySelectorAll("div.table").forEach(makeScrollable);
}

if (typeof document !== "undefined") start();
else module.exports = { keyOf, orderOf };
