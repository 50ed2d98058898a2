"use strict";
// The training curves: one metric at a time, its values under the pointer or the arrow keys.
(() => {
  const holder = document.getElementById("curves");
  if (!holder) return;
  const series = JSON.parse(document.getElementById("curves-data").textContent);
  const WIDTH = 900, HEIGHT = 340, LEFT = 70, RIGHT = 34, TOP = 10, BOTTOM = 34;
  const select = holder.querySelector("select"), svg = holder.querySelector("svg"), output = holder.querySelector("output");
  const namespace = "http://www.w3.org/2000/svg";
  let shown = null, at = null;

  const element = (name, attributes, text) => {
    const made = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
    return made;
  };
  const written = (value) => Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(2) : String(+value.toPrecision(5));
  // Limits that leave out the first, far larger losses, but never a validation.
  const limits = (metric) => {
    const train = metric.train.map((point) => point[1]), valid = metric.valid.map((point) => point[1]);
    const sorted = train.slice(Math.floor(train.length / 20)).sort((a, b) => a - b);
    const all = [...(sorted.length ? [sorted[0], sorted[sorted.length - 1]] : []), ...valid];
    const low = Math.min(...all), high = Math.max(...all), margin = (high - low || Math.abs(high) || 1) * 0.06;
    return [low - margin, high + margin];
  };
  const ticks = (low, high, number) => {
    const raw = (high - low) / number, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(value);
    return found;
  };

  const draw = () => {
    const metric = series[select.value];
    const [low, high] = limits(metric);
    const last = Math.max(...[...metric.train, ...metric.valid].map((point) => point[0]), 1);
    const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * step / last;
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
    svg.replaceChildren();
    element("title", {}, `${select.value} against training steps`);
    for (const value of ticks(low, high, 6)) {
      element("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), stroke: "var(--line)" });
      element("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end", "font-size": 13, fill: "var(--soft)" }, written(value));
    }
    for (const step of ticks(0, last, 6))
      element("text", { x: x(step), y: HEIGHT - 12, "text-anchor": "middle", "font-size": 13, fill: "var(--soft)" },
        step.toLocaleString("en"));
    for (const part of ["train", "valid"]) {
      const inside = metric[part].map(([step, value]) => `${x(step)},${Math.max(TOP, Math.min(HEIGHT - BOTTOM, y(value)))}`);
      if (!inside.length) continue;
      element("polyline", { points: inside.join(" "), fill: "none", stroke: `var(--${part})`, "stroke-width": 2 });
      if (part === "valid") for (const point of inside) {
        const [cx, cy] = point.split(",");
        element("circle", { cx, cy, r: 3, fill: "var(--valid)" });
      }
    }
    const cursor = element("line", { y1: TOP, y2: HEIGHT - BOTTOM, stroke: "var(--soft)", visibility: "hidden" });
    shown = { metric, x, cursor, last };
    at = null;
    output.textContent = "Point at the curves, or use the arrow keys, for values.";
  };
  const nearest = (points, step) => points.reduce((best, point) =>
    best === null || Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best, null);
  const show = (step) => {
    at = Math.max(0, Math.min(shown.last, step));
    const found = ["train", "valid"].map((part) => [part, nearest(shown.metric[part], at)]).filter(([, point]) => point);
    shown.cursor.setAttribute("x1", shown.x(at));
    shown.cursor.setAttribute("x2", shown.x(at));
    shown.cursor.setAttribute("visibility", "visible");
    output.textContent = found.map(([part, [step, value]]) =>
      `${part === "train" ? "training" : "validation"} ${written(value)} at step ${step.toLocaleString("en")}`).join("  ·  ");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show((((event.clientX - box.left) * WIDTH / box.width) - LEFT) / (WIDTH - LEFT - RIGHT) * shown.last);
  });
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    show((at ?? shown.last / 2) + move * shown.last / 100);
  });
  select.addEventListener("change", draw);
  draw();
})();
