"use strict";

// The front page's map: other periods than the page holds, filters, one tab stop with arrow keys.
(() => {
  const table = document.querySelector("[data-map]");
  const form = document.querySelector("[data-filters]");
  if (!table || !form) return;
  const data = JSON.parse(document.querySelector("[data-map-days]").textContent);
  const head = table.tHead.rows;
  const rows = [...table.tBodies[0].rows];
  const scores = data.domains.map((domain) => domain.scores.split(","));
  const quiet = new Set(data.quiet);
  // Wider periods show colours and marks alone.
  const DENSE = 92;
  const monthName = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

  const places = (period) => {
    const all = data.days.map((_, place) => place);
    if (period.includes("-")) return all.filter((place) => data.days[place].startsWith(period));
    return all.slice(-Number(period));
  };

  // Names of domains stay in the page's own row heads; what is put together here is dates, keys,
  // and words that the program knows.
  const cell = (row, place) => {
    const domain = data.domains[row];
    const day = data.days[place];
    const state = data.codes[domain.states[place]];
    const step = `h${domain.steps[place]}`;
    const score = scores[row][place];
    const gain = domain.gains[place];
    const words = [state.label.charAt(0).toUpperCase() + state.label.slice(1)];
    if (score) words.push(`drift ${score}, 1 triggers`);
    if (gain) words.push(`AUC ${gain}`);
    const alert = domain.alerts?.[place] ?? "";
    if (alert) words.push("alert");
    const missing = state.name === "missing";
    const title = missing ? `${words[0]}: ${state.meaning}` : words.join("; ");
    const hidden = `<span class="vh">${title}</span>`;
    const key = rows[row].dataset.key;
    let href = "";
    if (domain.pages[place] === "1") href = `decision/${day}/${key}.html`;
    else if (state.name === "refused") href = `day/${day}.html`;
    else if (!missing) href = `day/${day}.html#${key}`;
    const number = score ? `<b>${score}</b>` : "";
    const told = state.name === "promoted" && gain ? `${state.mark}<span> ${gain}</span>` : state.mark;
    const mark = state.mark || alert ? `<i>${told}${alert}</i>` : "";
    const inside = href ? `<a href="${href}" title="${title}">${number}${mark}${hidden}</a>` : hidden;
    const why = href ? "" : ` title="${title}"`;
    return `<td class="${step} s-${state.name}"${why}>${inside}</td>`;
  };

  const column = (place) => {
    const day = data.days[place];
    const verdict = data.marks[data.verdicts[place] ?? ""];
    const mark = `<span class="mark v-${verdict.name}" title="${verdict.label}"><span aria-hidden="true">${verdict.mark}</span><span class="vh">${verdict.label}</span></span>`;
    const date = `<time datetime="${day}">${Number(day.slice(8))}</time>`;
    if (data.recorded[place] !== "1") return `<th scope="col" title="${day}">${date}${mark}</th>`;
    const title = `${day}: ${verdict.label}`;
    return `<th scope="col"><a href="day/${day}.html" title="${title}">${date}${mark}</a></th>`;
  };

  const monthHeads = (shown) => {
    const counts = new Map();
    for (const place of shown) {
      const month = data.days[place].slice(0, 7);
      counts.set(month, (counts.get(month) ?? 0) + 1);
    }
    return [...counts].map(
      ([month, count]) =>
        `<th scope="colgroup" colspan="${count}"><span>${monthName.format(new Date(`${month}-01T00:00Z`))}</span></th>`,
    );
  };

  const replaceCells = (row, html) => {
    while (row.cells.length > 1) row.deleteCell(-1);
    row.cells[0].insertAdjacentHTML("afterend", html.join(""));
  };

  let drawn = form.elements.period.value;
  let shown = places(drawn);

  const draw = (period) => {
    if (period === drawn) return;
    drawn = period;
    shown = places(period);
    replaceCells(head[0], monthHeads(shown));
    replaceCells(head[1], shown.map(column));
    rows.forEach((row, index) => replaceCells(row, shown.map((place) => cell(index, place))));
    table.classList.toggle("dense", shown.length > DENSE);
    const scroll = table.parentElement;
    scroll.scrollLeft = scroll.scrollWidth;
    oneStop();
  };

  const matches = (found, state) => (state === "asked" ? !quiet.has(found) : found === state);

  // Cells of another state step back.
  const faint = (state) => {
    if (!state && !table.querySelector(".faint")) return;
    rows.forEach((row, index) => {
      if (row.hidden) return;
      shown.forEach((place, column) => {
        const found = data.codes[data.domains[index].states[place]].name;
        row.cells[column + 1].classList.toggle("faint", state !== "" && !matches(found, state));
      });
    });
  };

  const fits = (index, text, state) => {
    const name = rows[index].cells[0].querySelector("bdi");
    const full = (name.title || name.textContent).toLowerCase();
    if (!full.includes(text)) return false;
    if (!state) return true;
    return shown.some((place) => {
      const found = data.codes[data.domains[index].states[place]].name;
      return matches(found, state);
    });
  };

  const apply = () => {
    const { domain, state, period } = form.elements;
    draw(period.value);
    const text = domain.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row, index) => {
      row.hidden = !fits(index, text, state.value);
      count += row.hidden ? 0 : 1;
    });
    faint(state.value);
    const total = `${rows.length} domain${rows.length === 1 ? "" : "s"}`;
    form.querySelector("[data-shown]").textContent =
      count === rows.length ? total : `${count} of ${total}`;
    document.querySelector("[data-none]").hidden = count > 0;
    remember();
    if (table.querySelector('a[tabindex="0"]')?.closest("tr").hidden) oneStop();
  };

  const remember = () => {
    const kept = new URLSearchParams();
    for (const name of ["domain", "state", "period"]) {
      const field = form.elements[name];
      const usual = name === "period" ? standard : "";
      if (field.value !== usual) kept.set(name, field.value);
    }
    const text = kept.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  };

  // The map is one stop of the tab key.
  const oneStop = (chosen) => {
    for (const link of table.querySelectorAll('a[tabindex="0"]')) link.tabIndex = -1;
    for (const link of table.querySelectorAll("a:not([tabindex])")) link.tabIndex = -1;
    const visible = rows.find((row) => !row.hidden);
    const link = chosen ?? visible?.querySelector("th a") ?? table.querySelector("thead a");
    if (link) link.tabIndex = 0;
  };

  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  table.addEventListener("keydown", (event) => {
    const from = event.target.closest("td, th");
    if (!from || !(event.key in STEPS || event.key === "Home" || event.key === "End")) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const lines = [head[1], ...rows.filter((row) => !row.hidden)];
    let line = lines.indexOf(from.parentElement);
    let place = from.cellIndex;
    let [down, right] = STEPS[event.key] ?? [0, event.key === "Home" ? 1 : -1];
    if (event.key === "Home") place = -1;
    if (event.key === "End") place = from.parentElement.cells.length;
    for (;;) {
      line += down;
      place += right;
      const cellThere = lines[line]?.cells[place];
      if (!cellThere) return;
      const link = cellThere.querySelector("a");
      if (!link) continue;
      oneStop(link);
      link.focus();
      return;
    }
  });
  table.addEventListener("focusin", (event) => {
    if (event.target.matches("a") && event.target.tabIndex !== 0) oneStop(event.target);
  });

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));

  const standard = drawn;
  form.hidden = false;
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of kept) {
    const field = form.elements[name];
    if (!field) continue;
    const before = field.value;
    field.value = value;
    if (field.value !== value) field.value = before;
  }
  oneStop();
  apply();
})();
