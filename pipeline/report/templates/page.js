"use strict";

const page = JSON.parse(document.getElementById("page-data").textContent);

// Charts: Plotly draws the figures in the colours of the page, light or dark.

function pageColours() {
  const style = getComputedStyle(document.documentElement);
  const [ink, rule, card] = ["--ink", "--rule", "--card"].map((name) => style.getPropertyValue(name).trim());
  return {
    "font.color": ink, "font.family": style.fontFamily, "font.size": 12,
    "xaxis.gridcolor": rule, "yaxis.gridcolor": rule, "xaxis.linecolor": rule, "yaxis.linecolor": rule,
    "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": rule, "hoverlabel.font.color": ink,
  };
}

function drawCharts() {
  const options = { responsive: true, displayModeBar: false };
  return Promise.all([...document.querySelectorAll("[data-figure]")].map(async (element) => {
    const figure = page.figures[element.dataset.figure];
    await Plotly.newPlot(element, figure.data, figure.layout, options);
    await Plotly.relayout(element, pageColours());
  }));
}

function recolourCharts() {
  for (const element of document.querySelectorAll("[data-figure]")) Plotly.relayout(element, pageColours());
}

// The table of slices.

const FIGURES = ["value", "low", "high", "baseline", "change", "changeLow", "changeHigh"];

function sliceRows({ label, metric }) {
  return page.slices.rows.map((row) => {
    const figures = row.values[label][metric] || [], clicks = row.clicks[label];
    const named = Object.fromEntries(FIGURES.map((name, at) => [name, figures[at] ?? null]));
    return { ...row, ...named, rate: clicks === null || !row.examples ? null : clicks / row.examples };
  });
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
}

function sorted(rows, key, descending) {
  const known = rows.filter((row) => row[key] !== null).sort((a, b) => compare(a[key], b[key]) * (descending ? -1 : 1));
  return [...known, ...rows.filter((row) => row[key] === null)];
}

const text = (value, digits) => value === null ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + text(Math.abs(value), 4);

function element(tag, content, className) {
  const made = document.createElement(tag);
  if (content !== undefined) made.textContent = content;
  if (className) made.className = className;
  return made;
}

function scaleOf(rows) {
  const ends = rows.flatMap((row) => [row.value, row.low, row.high, row.baseline]).filter((value) => value !== null);
  const low = Math.min(...ends), high = Math.max(...ends);
  return { low, high, at: (value) => high > low ? 100 * (value - low) / (high - low) : 50 };
}

function bar(row, scale) {
  const cell = element("td", undefined, "bars"), track = element("div", undefined, "track");
  cell.append(track);
  if (row.value === null) return cell;
  const add = (className, left, width) => {
    const part = element("span", undefined, className);
    part.style.left = `${left}%`;
    if (width !== undefined) part.style.width = `${width}%`;
    track.append(part);
  };
  if (row.low !== null && row.high !== null) add("range", scale.at(row.low), scale.at(row.high) - scale.at(row.low));
  if (row.baseline !== null) add("tick", scale.at(row.baseline));
  add("point", scale.at(row.value));
  return cell;
}

function change(row, better) {
  const cell = element("td", undefined, "figure");
  if (row.change === null) {
    cell.textContent = "–";
    return cell;
  }
  const decided = row.changeLow > 0 ? "higher" : row.changeHigh < 0 ? "lower" : null;
  const trend = decided && better ? (decided === better ? "better" : "worse") : "";
  cell.append(element("span", trend ? `${signed(row.change)} ${trend}` : signed(row.change), trend));
  if (row.changeLow !== null && row.changeHigh !== null) cell.append(element("small", `${signed(row.changeLow)} to ${signed(row.changeHigh)}`));
  return cell;
}

function tableRow(row, scale, better) {
  const made = element("tr"), head = element("th", row.slice), value = element("td", text(row.value, 4), "figure");
  head.scope = "row";
  if (row.low !== null && row.high !== null) value.append(element("small", `${text(row.low, 4)} to ${text(row.high, 4)}`));
  made.append(
    head, element("td", text(row.examples, 0), "figure"), element("td", row.rate === null ? "–" : `${text(100 * row.rate, 1)}%`, "figure"),
    element("td", text(row.users, 0), "figure"), value, bar(row, scale), element("td", text(row.baseline, 4), "figure"), change(row, better),
  );
  return made;
}

function showSlices() {
  const metric = document.getElementById("slice-metric"), filter = document.getElementById("slice-filter");
  const heads = [...document.querySelectorAll("#slice-table th[data-key]")];
  const chosen = page.slices.metrics[metric.selectedIndex];
  const words = filter.value.toLowerCase().split(/\s+/);
  const shown = sliceRows(chosen).filter((row) => words.every((word) => row.slice.toLowerCase().includes(word)));
  const head = heads.find((one) => one.hasAttribute("aria-sort"));
  const rows = sorted(shown, head.dataset.key, head.getAttribute("aria-sort") === "descending");
  const scale = scaleOf(rows);
  document.getElementById("slice-value").textContent = chosen.name;
  document.getElementById("slice-rate").textContent = `${chosen.label || "Click"} rate`;
  document.getElementById("slice-scale").textContent = Number.isFinite(scale.low) ? `From ${text(scale.low, 4)} to ${text(scale.high, 4)}` : "";
  document.getElementById("slice-rows").replaceChildren(...rows.map((row) => tableRow(row, scale, chosen.better)));
  document.getElementById("slice-count").textContent = `${rows.length} of ${page.slices.rows.length} slices`;
}

function sortBy(head) {
  const descending = head.getAttribute("aria-sort") === "descending";
  for (const other of document.querySelectorAll("#slice-table th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "ascending" : "descending");
  showSlices();
}

function startSlices() {
  const metric = document.getElementById("slice-metric");
  for (const { name } of page.slices.metrics) metric.append(element("option", name));
  metric.addEventListener("change", showSlices);
  document.getElementById("slice-filter").addEventListener("input", showSlices);
  for (const head of document.querySelectorAll("#slice-table th[data-key]")) head.firstElementChild.addEventListener("click", () => sortBy(head));
  document.getElementById("slice-table").hidden = false;
  showSlices();
}

if (page.slices && page.slices.metrics.length) startSlices();
if (typeof Plotly === "undefined") {
  document.getElementById("no-charts").hidden = false;
} else drawCharts().then(() => {
  document.documentElement.dataset.drawn = "true";
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolourCharts);
});
