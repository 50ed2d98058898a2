// The decoded image: large, to be saved, to be kept as an end of the path.

function makePicture({ model, images, store, data }) {
  const canvas = byId("picture");
  canvas.style.aspectRatio = `${images.width} / ${images.height}`;
  store.listen((changed) => {
    if (!changed.has("z")) return;
    const begin = performance.now();
    images.paint(canvas, model.decode(store.state.z));
    decodingTimes.unshift(performance.now() - begin);
    decodingTimes.length = Math.min(decodingTimes.length, 50);
  });
  byId("random").addEventListener("click", () => store.setCode(randomCode(data.latents)));
  byId("middle").addEventListener("click", () => store.setCode(data.latents.mean));
  byId("save").addEventListener("click", () => savePicture(canvas, data.title));
}

const decodingTimes = []; // milliseconds of the last images, the newest first

// A latent drawn from the prior: N(0, I), or one of the draws that are in the page.
function randomCode({ mean, draws }) {
  if (draws.length === 0) return normals(Math.random, mean.length);
  const row = Math.floor((Math.random() * draws.length) / mean.length);
  return draws.slice(row * mean.length, (row + 1) * mean.length);
}

function savePicture(canvas, name) {
  const scale = Math.ceil(512 / Math.max(canvas.width, canvas.height));
  const large = element("canvas", { width: canvas.width * scale, height: canvas.height * scale });
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob((file) => {
    const address = URL.createObjectURL(file);
    element("a", { href: address, download: `${name}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
}
