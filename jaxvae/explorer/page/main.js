// Puts the page together.

const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

async function start() {
  const data = JSON.parse(byId("data").textContent);
  data.latents.draws = halves(bytesOf(data.latents.draws));
  const model = makeModel(data);
  const images = makeImages(data);
  const store = makeStore(model, images);
  const points = await readPoints(data, images);
  data.background = backgroundOf(points, images);
  const app = { data, model, images, store, points };
  makePicture(app);
  makeSliders(app);
  makeLegend(data);
  const map = makeMap(app);
  makeDrawing(app);
  makeScore(app);
  const path = makePath(app);
  makeAbout(app);
  makeTheme(() => {
    map.redraw();
    store.setCode(store.state.z);
  });
  begin(app, path);
  window.explorer = app; // for the console, and for tests
}

// The encoded images of the page: codes of all of them, pictures of the first ones.
async function readPoints({ images: found, latents }, images) {
  if (!found) return [];
  const codes = halves(bytesOf(found.codes));
  const pictures = await images.fromSheet(found.pictures, found.columns, found.shown);
  const dim = latents.mean.length;
  const inverted = isMostly(pictures, (v) => v > 0.9);
  const asInk = images.channels === 1 && (inverted || isMostly(pictures, (v) => v < 0.1));
  return found.elbo.map((elbo, i) => {
    const label = found.labels[i];
    const x = pictures[i];
    const point = { z: codes.slice(i * dim, (i + 1) * dim), x, elbo, number: i + 1, place: [0, 0] };
    if (Number.isInteger(label))
      Object.assign(point, { name: found.classes[label], colour: COLOURS[label % COLOURS.length] });
    if (x) point.picture = () => images.paint(images.newCanvas(), x, asInk ? inkOf(point.colour) : null, inverted);
    return point;
  });
}

function inkOf(colour) {
  const text = colour ?? themeColour("--ink");
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

function isMostly(pictures, test) {
  const some = pictures.slice(0, 50).flatMap((x) => Array.from(x));
  return some.length > 0 && some.filter(test).length > 0.5 * some.length;
}

// What images have at their borders: the median of every channel; black without images.
function backgroundOf(points, { width, height, channels, size }) {
  const seen = Array.from({ length: channels }, () => []);
  for (const { x } of points.slice(0, 100)) {
    if (!x) continue;
    for (let i = 0; i < size; i++) {
      const pixel = Math.floor(i / channels);
      const [row, column] = [Math.floor(pixel / width), pixel % width];
      if (row === 0 || column === 0 || row === height - 1 || column === width - 1) seen[i % channels].push(x[i]);
    }
  }
  return seen.map((values) => (values.length ? values.sort((a, b) => a - b)[Math.floor(values.length / 2)] : 0));
}

// The first image, and a path from it to the first one of another class.
function begin({ data, store, points }, path) {
  const [first] = points;
  if (first) store.setImage(first.x);
  else {
    store.setImage(new Float32Array(data.shape[0] * data.shape[1] * data.shape[2]));
    store.setCode(randomCode(data.latents));
  }
  const other = points.find(({ name, x }) => x && name !== first.name) ?? points[1];
  path.setEnds(store.state.z, other ? other.z : randomCode(data.latents));
}

// Light or dark: as the system has it, until the button is used.
function makeTheme(redraw) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  function apply() {
    const dark = chosen ?? system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    byId("theme").textContent = dark ? "Light" : "Dark";
    redraw();
  }
  byId("theme").addEventListener("click", () => {
    chosen = !(chosen ?? system.matches);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

start().catch((error) => {
  byId("failure").hidden = false;
  byId("failure").textContent = `The page does not work in this browser: ${error.message}`;
  throw error;
});
