"use strict";

(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Words of data in a figure, which may look like a colour's name.
  const WORDS = new Set(["name", "text", "ticktext", "title", "customdata", "hovertemplate"]);

  // Figures name colours as var(--name); they become the theme's values.
  const resolve = (value) => {
    if (typeof value === "string") {
      const found = /^var\((--[\w-]+)\)$/.exec(value);
      return found ? css(found[1]) : value;
    }
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, part]) => [key, WORDS.has(key) ? part : resolve(part)]),
      );
    }
    return value;
  };

  const axis = (own) => ({
    gridcolor: css("--line"),
    zeroline: false,
    linecolor: css("--line"),
    tickcolor: css("--line"),
    fixedrange: true,
    ...own,
  });

  const draw = (element) => {
    const figure = resolve(JSON.parse(element.dataset.json));
    const layout = {
      ...figure.layout,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: css("--font"), size: 12, color: css("--text") },
      hoverlabel: {
        bgcolor: css("--surface"),
        bordercolor: css("--line"),
        font: { color: css("--text") },
      },
    };
    for (const name of ["xaxis", "yaxis"]) layout[name] ??= {};
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(name)) layout[name] = axis(layout[name]);
    }
    Plotly.react(element, figure.data, layout, { displayModeBar: false, responsive: true });
  };

  const figures = [...document.querySelectorAll("[data-figure]")];
  for (const element of figures) {
    element.dataset.json = element.querySelector("script").textContent;
    element.textContent = "";
    draw(element);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach(draw));

  // The newest days are at the right end.
  for (const element of document.querySelectorAll("[data-scroll-end]")) {
    element.scrollLeft = element.scrollWidth;
  }
})();
