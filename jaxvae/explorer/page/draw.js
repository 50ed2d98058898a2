// An image of one's own: drawn, or from a file. It is painted straight into the pixels that the model is given.

function makeDrawing({ images, store, data }) {
  const { width, height, channels } = images;
  const canvas = byId("own");
  canvas.style.aspectRatio = `${width} / ${height}`;
  const background = Array.from({ length: channels }, (_, c) => data.background[c]);
  const colour = byId("colour");
  const size = byId("size");
  let x = new Float32Array(images.size);
  let erasing = false;
  let last = null; // where the brush was

  colour.value = background.reduce((sum, v) => sum + v, 0) > channels / 2 ? "#000000" : "#ffffff";
  size.max = Math.max(4, Math.round(Math.min(width, height) / 4));
  size.value = Math.min(width, height) / 10;

  function brush() {
    if (erasing) return background;
    const parts = [1, 3, 5].map((at) => parseInt(colour.value.slice(at, at + 2), 16) / 255);
    return channels === 3 ? parts : [0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]];
  }

  // Paints a round brush with a soft edge; `end` and `begin` in pixels of the image.
  function stroke(begin, end) {
    const radius = size.valueAsNumber / 2;
    const paint = brush();
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const away = distanceTo(column + 0.5, row + 0.5, begin, end);
        const cover = Math.min(Math.max(radius + 0.5 - away, 0), 1);
        if (cover === 0) continue;
        for (let c = 0; c < channels; c++) {
          const i = (row * width + column) * channels + c;
          // No pixel moves back towards the background at the soft edge of a second stroke.
          const mixed = cover * paint[c] + (1 - cover) * background[c];
          if (erasing) x[i] = cover * paint[c] + (1 - cover) * x[i];
          else if (Math.abs(mixed - paint[c]) < Math.abs(x[i] - paint[c])) x[i] = mixed;
        }
      }
    }
    store.setImage(x);
  }

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const next = at(one);
      stroke(last, next);
      last = next;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));

  byId("erase").addEventListener("click", ({ currentTarget }) => {
    erasing = !erasing;
    currentTarget.setAttribute("aria-pressed", erasing);
  });
  byId("clear").addEventListener("click", () => {
    store.setImage(Float32Array.from({ length: images.size }, (_, i) => background[i % channels]));
  });
  byId("invert").addEventListener("click", () => store.setImage(x.map((v) => 1 - v)));

  handleFiles(async (file) => {
    const status = byId("own-status");
    try {
      store.setImage(images.fromPicture(await createImageBitmap(file), background));
      status.textContent = `${file.name} is shown.`;
    } catch {
      status.textContent = `${file.name} is no picture that this browser can read.`;
    }
  });

  store.listen((changed) => {
    if (!changed.has("x")) return;
    if (!last) x = store.state.x.slice(); // while the brush moves, its soft edges stay
    images.paint(canvas, store.state.x);
  });
}

// The distance of a point from a stretch of a line.
function distanceTo(x, y, [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1);
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

// Files that are chosen, dropped anywhere on the page, or pasted.
function handleFiles(take) {
  const input = byId("file");
  byId("open").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = "";
  });
  const drop = (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", event.type === "dragover");
    if (event.type === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  };
  for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, drop);
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files.length) take(clipboardData.files[0]);
  });
}
