"use strict";

// The front page's map: other periods than the page holds, filters, one tab stop with arrow keys.
(() => {
  const table = document.querySelector("[data-map]");
  const form = document.querySelector("[data-filters]");
  if (!table || !form) return;
  const data = JSON.parse(document.querySelector("[data-map-days]").textContent);
  const head = table.tHead.rows;
  const body = table.tBodies[0];
  // Domains in order; those that the page does not hold get their row when it is shown.
  const entry = (key, name, tr) => ({ key, name: name.toLowerCase(), tr, period: tr ? "own" : "" });
  let entries = [...body.rows].map((tr) => {
    const name = tr.cells[0].querySelector("bdi");
    return entry(tr.dataset.key, name.title || name.textContent, tr);
  });
  const held = entries.length;
  const more = document.querySelector("[data-more]");
  const STEP = 200;
  let most = Math.max(held, STEP);
  const quiet = new Set(data.quiet);
  // Wider periods show colours and marks alone.
  const DENSE = 92;
  const monthName = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

  // Cells by month and key: those of the page's own days are in the page.
  const monthOf = (place) => data.days[place].slice(0, 7);
  const months = new Map();
  const starts = new Map();
  data.days.forEach((day, place) => {
    if (!starts.has(day.slice(0, 7))) starts.set(day.slice(0, 7), place);
  });
  const opened = (domain) => ({ ...domain, scores: domain.scores.split(",") });
  const own = data.domains.map(opened);
  let names = null;
  const asked = new Map();
  const load = (name) => {
    if (!asked.has(name)) {
      asked.set(
        name,
        new Promise((done) => {
          const script = document.createElement("script");
          script.src = `data/${name}.js`;
          script.onload = done;
          script.onerror = done;
          document.head.append(script);
        }),
      );
    }
    return asked.get(name);
  };
  window.driftuneMap = {
    month: (name, found) => {
      const cells = new Map();
      for (const key of Object.keys(found.domains)) cells.set(key, found.domains[key]);
      months.set(name, cells);
    },
    domains: (found) => {
      names = found;
    },
  };
  const NONE = { states: "", steps: "", pages: "", scores: [], gains: {} };

  // A domain's cells, and the place of a day among them.
  const cellsOf = (index, place) => {
    if (index < held && place >= data.first) return [own[index], place - data.first];
    const month = months.get(monthOf(place));
    const key = entries[index].key;
    const found = month?.get(key);
    if (!found) return [NONE, 0];
    if (typeof found.scores === "string") month.set(key, opened(found));
    return [month.get(key), place - starts.get(monthOf(place))];
  };
  const stateOf = (index, place) => {
    const [domain, at] = cellsOf(index, place);
    return data.codes[domain.states[at]] ?? { name: "missing", mark: "", label: "no data", meaning: "" };
  };

  const places = (period) => {
    const all = data.days.map((_, place) => place);
    if (period.includes("-")) return all.filter((place) => data.days[place].startsWith(period));
    return all.slice(-Number(period));
  };

  // Names of domains stay in the page's own row heads; what is put together here is dates, keys,
  // and words that the program knows.
  const cell = (row, place) => {
    const [domain, at] = cellsOf(row, place);
    const day = data.days[place];
    const state = stateOf(row, place);
    const step = `h${domain.steps[at] ?? "x"}`;
    const score = domain.scores[at];
    const gain = domain.gains[at];
    const words = [state.label.charAt(0).toUpperCase() + state.label.slice(1)];
    if (score) words.push(`drift ${score}, 1 triggers`);
    if (gain) words.push(`AUC ${gain}`);
    const alert = domain.alerts?.[at] ?? "";
    if (alert) words.push("alert");
    const missing = state.name === "missing";
    const title = missing ? `${words[0]}: ${state.meaning}` : words.join("; ");
    const hidden = `<span class="vh">${title}</span>`;
    const key = entries[row].key;
    let href = "";
    if (domain.pages[at] === "1") href = `decision/${day}/${key}.html`;
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

  const standard = form.elements.period.value;
  let drawn = standard;
  let shown = places(drawn);

  const drawRow = (index) => {
    const one = entries[index];
    if (!one.tr) {
      const tr = body.insertRow();
      tr.dataset.key = one.key;
      const head = document.createElement("th");
      head.scope = "row";
      head.className = "stick";
      const link = document.createElement("a");
      link.className = "domain";
      link.href = `domain/${one.key}.html`;
      const name = document.createElement("bdi");
      name.title = one.full;
      name.textContent = one.full.length > 32 ? `${one.full.slice(0, 31)}…` : one.full;
      const champion = document.createElement("small");
      champion.textContent = one.champion;
      link.append(name);
      head.append(link, champion);
      tr.append(head);
      one.tr = tr;
    }
    if (one.period === drawn || (one.period === "own" && drawn === standard)) return;
    replaceCells(one.tr, shown.map((place) => cell(index, place)));
    one.period = drawn;
  };

  const draw = (period) => {
    if (period === drawn) return;
    drawn = period;
    shown = places(period);
    replaceCells(head[0], monthHeads(shown));
    replaceCells(head[1], shown.map(column));
    table.classList.toggle("dense", shown.length > DENSE);
    const scroll = table.parentElement;
    requestAnimationFrame(() => {
      scroll.scrollLeft = scroll.scrollWidth;
    });
  };

  const matches = (found, state) => (state === "asked" ? !quiet.has(found) : found === state);

  // Cells of another state step back.
  const faint = (index, state) => {
    const { tr } = entries[index];
    if (!state && !tr.querySelector(".faint")) return;
    shown.forEach((place, column) => {
      const found = stateOf(index, place).name;
      tr.cells[column + 1].classList.toggle("faint", state !== "" && !matches(found, state));
    });
  };

  const fits = (index, text, state) => {
    if (!entries[index].name.includes(text)) return false;
    return !state || shown.some((place) => matches(stateOf(index, place).name, state));
  };

  // The files that a view needs and that are not there yet.
  const lacking = (period, beyond) => {
    const found = beyond && data.total > held && !asked.has("domains") ? ["domains"] : [];
    for (const place of places(period)) {
      const month = monthOf(place);
      if ((place < data.first || (beyond && data.total > held)) && !asked.has(month)) {
        if (!found.includes(month)) found.push(month);
      }
    }
    return found;
  };

  const joinNames = () => {
    if (names === null || entries.length > held) return;
    const there = new Map(entries.map((one) => [one.key, one]));
    for (const [key, name, champion] of names) {
      if (!there.has(key)) entries.push({ ...entry(key, name, null), full: name, champion });
    }
  };

  let turn = 0;
  const apply = async () => {
    const { domain, state, period } = form.elements;
    const text = domain.value.trim().toLowerCase();
    const beyond = text !== "" || state.value !== "" || most > Math.max(held, STEP);
    const mine = ++turn;
    const files = lacking(period.value, beyond);
    if (files.length > 0) await Promise.all(files.map(load));
    else if (asked.size > 0) await Promise.all(asked.values());
    if (mine !== turn) return;
    joinNames();
    draw(period.value);
    let count = 0;
    const visible = new Set();
    entries.forEach((_, index) => {
      if (!fits(index, text, state.value)) return;
      count += 1;
      if (visible.size < most) visible.add(index);
    });
    entries.forEach((one, index) => {
      if (visible.has(index)) {
        drawRow(index);
        one.tr.hidden = false;
        faint(index, state.value);
      } else if (one.tr) one.tr.hidden = true;
    });
    rows = entries.filter((one) => one.tr).map((one) => one.tr);
    const total = `${data.total} domain${data.total === 1 ? "" : "s"}`;
    const all = text === "" && state.value === "";
    form.querySelector("[data-shown]").textContent = all ? total : `${count} of ${total}`;
    document.querySelector("[data-none]").hidden = count > 0;
    if (more) more.hidden = (all ? data.total : count) <= visible.size;
    remember();
    const stop = table.querySelector('a[tabindex="0"]');
    if (!stop || stop.closest("tr").hidden) oneStop();
    else oneStop(stop);
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

  let rows = entries.map((one) => one.tr);

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
  more?.addEventListener("click", () => {
    most += STEP;
    apply();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));

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
