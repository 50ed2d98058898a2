// A slider for every latent. It moves through the probabilities of the prior, and the latent is their quantile: equal
// ways are equally likely, and no end is farther out than one draw in a thousand.

const FEW = 16; // sliders that are shown at first
const INACTIVE = 0.01; // variance of the posterior means below which a latent says nothing of the images

function makeSliders({ model, store, data: { latents } }) {
  const { mean, std, activity } = latents;
  const order = Array.from({ length: model.dim }, (_, d) => d);
  if (activity.length) order.sort((a, b) => activity[b] - activity[a]);
  const most = Math.max(...activity);
  const rows = order.map((d) => makeRow(d));
  byId("sliders").append(...rows.map((row) => row.element));

  function makeRow(d) {
    const input = element("input", { type: "range", min: 0.1, max: 99.9, step: 0.1, id: `latent-${d}` });
    const value = element("output", { htmlFor: input.id });
    const meter = element("span", { className: "meter", "aria-hidden": "true" }, element("i"));
    meter.firstChild.style.width = activity.length ? `${(100 * activity[d]) / most}%` : "0";
    const label = element("label", { htmlFor: input.id }, `z${d}`, ...(activity.length ? [meter] : []));
    input.addEventListener("input", () => {
      const z = store.state.z.slice();
      z[d] = mean[d] + std[d] * quantile(input.valueAsNumber / 100);
      store.setCode(z);
    });
    input.addEventListener("dblclick", () => {
      input.value = 50;
      input.dispatchEvent(new Event("input"));
    });
    return { d, input, value, element: element("div", { className: "slider" }, label, value, input) };
  }

  const percent = (z, d) => 100 * probability((z - mean[d]) / std[d]);

  store.listen((changed) => {
    const { z, q } = store.state;
    for (const { d, input, value } of rows) {
      const at = percent(z[d], d);
      // Where the slider was moved by hand it stays to the tenth: it is not set anew from the code.
      if (Math.abs(input.valueAsNumber - at) > 0.051) input.value = at;
      value.textContent = shown(z[d], 2, true);
      input.setAttribute("aria-valuetext", `${shown(z[d], 2, true)}, ${at.toFixed(0)} percent of the prior below`);
      if (!changed.has("q")) continue;
      const spread = Math.exp(q.logVar[d] / 2);
      input.style.setProperty("--low", `${percent(q.mean[d] - spread, d)}%`);
      input.style.setProperty("--high", `${percent(q.mean[d] + spread, d)}%`);
    }
  });

  const active = activity.length ? activity.filter((variance) => variance > INACTIVE).length : model.dim;
  const first = Math.min(FEW, active || model.dim);
  const more = byId("more");
  const fold = (all) => {
    rows.forEach((row, i) => (row.element.hidden = !all && i >= first));
    more.textContent = all
      ? "Show fewer"
      : `Show ${first === active ? "those that do nothing" : "all"} (${model.dim - first} more)`;
    more.setAttribute("aria-expanded", all);
  };
  more.hidden = first === model.dim;
  more.addEventListener("click", () => fold(more.getAttribute("aria-expanded") !== "true"));
  fold(false);
}
