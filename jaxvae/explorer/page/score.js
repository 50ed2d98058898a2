// What the model makes of the image: its reconstruction, and the bound of its log-probability.

function makeScore(app) {
  const { model, images, store, data } = app;
  const canvas = byId("reconstruction");
  canvas.style.aspectRatio = `${images.width} / ${images.height}`;
  let running = 0;

  store.listen((changed) => {
    if (!changed.has("x")) return;
    images.paint(canvas, model.decode(store.state.q.mean));
    const turn = ++running;
    byId("score").classList.add("working");
    setTimeout(() => estimate(turn), 120); // not for every point of a stroke
  });

  // The mean over samples of the posterior, a few at a time so that the page stays awake. The same image has the same
  // noise, hence the same score.
  function estimate(turn) {
    const { x, q } = store.state;
    const random = randomNumbers(1);
    const found = [];
    function some() {
      if (turn !== running) return;
      for (const begin = performance.now(); found.length < data.samples && performance.now() - begin < 12;) {
        found.push(model.bound(x, q, normals(random, model.dim)));
      }
      report(found);
      if (found.length < data.samples) setTimeout(some);
      else finish();
    }
    some();
  }

  function finish() {
    byId("score").classList.remove("working");
    app.scored = true;
  }

  function report(found) {
    const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
    const each = found.map(({ likelihood, divergence: kl }) => likelihood - kl);
    const elbo = mean(each);
    const error = Math.sqrt(mean(each.map((v) => (v - elbo) ** 2)) / (each.length - 1));
    byId("elbo").textContent = shown(elbo, 1);
    byId("error").textContent = each.length > 1 ? `± ${shown(error, 1)}` : "";
    byId("likelihood").textContent = `${shown(mean(found.map(({ likelihood }) => likelihood)), 1)} nats`;
    byId("divergence").textContent = `${shown(mean(found.map(({ divergence: kl }) => kl)), 1)} nats`;
    byId("bits").textContent = `${shown(-elbo / Math.LN2 / images.size, 3)}`;
    byId("bits-row").hidden = !data.discrete;
    compare(elbo, data.images?.elbo ?? []);
    Object.assign(app, { elbo });
  }
}

// Where a score lies among those of the images of the data.
function compare(elbo, others) {
  byId("among").hidden = others.length < 2;
  if (others.length < 2) return;
  const below = others.filter((other) => other < elbo).length / others.length;
  byId("rank").textContent = `Higher than ${Math.round(100 * below)} % of ${others.length} images of the data.`;
  drawHistogram(byId("histogram"), others, elbo);
}

function drawHistogram(canvas, values, mark) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * devicePixelRatio));
  if (width === 0) return;
  [canvas.width, canvas.height] = [width, height];
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor(0.01 * sorted.length)], sorted[sorted.length - 1]];
  const space = 0.15 * (high - low || 1);
  const place = (v) => Math.min(Math.max((v - low + space) / (high - low + 2 * space), 0.01), 0.99) * width;
  const bins = new Array(40).fill(0);
  for (const v of values) bins[Math.min(39, Math.floor((place(v) / width) * 40))]++;
  const context = canvas.getContext("2d");
  context.fillStyle = themeColour("--muted");
  bins.forEach((count, i) => {
    const tall = (count / Math.max(...bins)) * (height - 4 * devicePixelRatio);
    context.fillRect((i * width) / 40, height - tall, width / 40 - devicePixelRatio, tall);
  });
  context.fillStyle = themeColour("--accent");
  context.fillRect(place(mark) - 1.5 * devicePixelRatio, 0, 3 * devicePixelRatio, height);
}
