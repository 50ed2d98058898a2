// Numbers of the page itself.

function makeAbout({ data, model, images, store }) {
  const facts = byId("facts");
  const add = (name, value) => facts.append(element("dt", {}, name), element("dd", {}, value));
  add("Model", data.about);
  add("Images", `${images.height} × ${images.width}, ${data.pixels}`);
  add("Parameters", `${shown(data.num_params, 0)}, rounded to 16 bits`);
  add("Cost of the rounding", roundingText(data.rounding));
  add("Latents", `${model.dim}, z0 to z${model.dim - 1}, ${priorText(data)}`);
  add(
    "Score",
    `Mean over ${data.samples} draws from q(z | x) of the evidence lower bound, in nats; ± is its standard error.`,
  );
  const time = element("span", {}, "…");
  add("Time to decode an image", time);
  store.listen(() => {
    const sorted = [...decodingTimes].sort((a, b) => a - b);
    if (sorted.length) time.textContent = `${shown(sorted[Math.floor(sorted.length / 2)], 1)} ms on this device`;
  });
}

function roundingText(rounding) {
  const percent = (v) => `${(100 * v).toPrecision(2)} %`;
  return (
    `Against the parameters in full, pixels of reconstructions differ by ${percent(rounding.mean)} of the range ` +
    `on average and ${percent(rounding.largest)} at most, scores by ${rounding.nats.toPrecision(2)} nats on average, ` +
    `on ${rounding.images}.`
  );
}

function priorText({ latents }) {
  if (latents.draws.length === 0) return "with the prior N(0, I)";
  const number = latents.draws.length / latents.mean.length;
  return `with a learned prior, of which random samples are ${number} draws; sliders follow their mean and spread`;
}
