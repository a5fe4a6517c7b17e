// Draws the plots of the overview, each from the figures in its own attribute, and fetches them anew once a minute. The table behind each
// plot has the same figures, and does without this.
(() => {
  "use strict";
  const part = document.querySelector("[data-plots]");
  if (!part || !window.uPlot) return;
  const EVERY_MS = 60000;
  const HEIGHT = 190;
  const drawn = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const tone = (element) => getComputedStyle(element).getPropertyValue("--tone").trim();

  const words = (value, unit) => {
    if (value === null || value === undefined) return "–";
    if (unit === "$") return `$${value.toFixed(3)}`;
    const text = value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 2 : 0 });
    return unit ? `${text} ${unit}` : text;
  };

  const ticked = (value) => (value < 1 && value > 0 ? `$${value.toFixed(2)}` : `$${value.toLocaleString()}`);

  const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  const moment = (tick) => {
    const at = new Date(tick * 1000);
    return at.getHours() || at.getMinutes() ? clock.format(at) : day.format(at);
  };

  // Bars stand one on the other: what is drawn is a sum, what is told is the figure itself.
  const stacked = (values) => values.map((_, number) => values[0].map((_, at) => values.slice(number).reduce((sum, line) => sum + (line[at] ?? 0), 0)));

  const tip = (told, unit, step) => {
    let box;
    return {
      hooks: {
        init: (plot) => {
          box = document.createElement("div");
          box.className = "tip";
          box.hidden = true;
          plot.over.append(box);
        },
        setCursor: (plot) => {
          const { idx, left } = plot.cursor;
          box.hidden = idx === null || idx === undefined || left < 0;
          if (box.hidden) return;
          const at = new Date(plot.data[0][idx] * 1000);
          const when = step >= 86400 ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
          box.replaceChildren(at.toLocaleString(undefined, when));
          told.lines.forEach((line, number) => {
            const row = document.createElement("div");
            row.textContent = `${line.label}: ${words(told.values[number][idx], unit)}`;
            box.append(row);
          });
          const wide = plot.over.clientWidth;
          box.style.left = `${Math.max(0, left + box.offsetWidth + 16 > wide ? left - box.offsetWidth - 12 : left + 12)}px`;
          box.style.top = "4px";
        },
      },
    };
  };

  const options = (told, colours, width) => {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const bars = told.shape === "bars" ? { paths: uPlot.paths.bars({ size: [0.8, 24] }), points: { show: false }, width: 0 } : {};
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      plugins: [tip(told, told.unit, told.step)],
      scales: { y: { range: (_, low, high) => [0, Math.max(told.unit === "$" ? 0.001 : 1, (high ?? 0) * 1.08)] } },
      axes: [
        { ...axis, size: 28, space: 64, grid: { show: false }, values: (_, ticks) => ticks.map(moment) },
        { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => (told.unit === "$" ? ticked(tick) : Number.isInteger(tick) ? words(tick, "") : "")) },
      ],
      series: [
        {},
        ...told.lines.map((line, number) => ({
          label: line.label,
          stroke: colours[number],
          fill: told.shape === "bars" ? colours[number] : number === 0 ? `color-mix(in srgb, ${colours[number]} 14%, transparent)` : undefined,
          width: 2,
          dash: line.tone === "soft" && told.shape === "lines" ? [6, 4] : undefined,
          points: { show: told.unit === "s", size: 4 },
          spanGaps: told.unit === "s",
          ...bars,
        })),
      ],
    };
  };

  const draw = (figure) => {
    const canvas = figure.querySelector(".canvas");
    if (!canvas) return;
    drawn.get(figure.dataset.name)?.destroy();
    const told = JSON.parse(figure.dataset.plot);
    const times = told.values[0].map((_, number) => told.first + number * told.step);
    const colours = [...figure.querySelectorAll(".legend li")].map(tone);
    const shown = told.shape === "bars" ? stacked(told.values) : told.values;
    drawn.set(figure.dataset.name, new uPlot(options(told, colours, canvas.clientWidth), [times, ...shown], canvas));
  };

  const drawAll = () => part.querySelectorAll("[data-plot]").forEach(draw);

  const fetchAnew = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(part.dataset.plots, { headers: { Accept: "text/html" } });
      if ([401, 403, 404].includes(answer.status)) clearInterval(timer);
      if (!answer.ok) return;
      const open = [...part.querySelectorAll("[data-plot]:has(details[open])")].map((figure) => figure.dataset.name);
      part.innerHTML = await answer.text();
      for (const name of open) part.querySelector(`[data-name="${name}"] details`)?.setAttribute("open", "");
      drawAll();
    } catch {
      // The platform is restarting, or the network is away: the next minute may be better.
    }
  };

  const resized = new ResizeObserver(() => {
    for (const [name, plot] of drawn) {
      const width = part.querySelector(`[data-name="${name}"] .canvas`)?.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  });

  drawAll();
  resized.observe(part);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  const timer = setInterval(fetchAnew, EVERY_MS);
})();
