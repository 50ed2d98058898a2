// The path between two codes.

const FRAMES = 9;

function makePath({ model, images, store }) {
  const ends = { a: null, b: null };
  const position = byId("position");
  const kind = byId("path");
  const play = byId("play");
  let playing = null;

  const strip = byId("strip");
  const frames = Array.from({ length: FRAMES }, (_, i) => {
    const canvas = element("canvas", { "aria-hidden": "true" });
    canvas.style.aspectRatio = `${images.width} / ${images.height}`;
    const t = i / (FRAMES - 1);
    const button = element(
      "button",
      { type: "button", "aria-label": `${Math.round(100 * t)} % of the way from A to B` },
      canvas,
    );
    button.addEventListener("click", () => go(t));
    strip.append(button);
    return { t, canvas, button };
  });

  const along = (t) => (kind.value === "arc" ? onArc : onLine)(ends.a, ends.b, t);

  function go(t) {
    position.value = 100 * t;
    store.setCode(along(t));
    mark();
  }

  function mark() {
    const t = position.valueAsNumber / 100;
    for (const frame of frames) frame.button.classList.toggle("here", Math.abs(frame.t - t) < 0.5 / (FRAMES - 1));
  }

  function redraw() {
    for (const { t, canvas } of frames) images.paint(canvas, model.decode(along(t)));
    mark();
  }

  function keep(end) {
    ends[end] = store.state.z.slice();
    position.value = end === "a" ? 0 : 100;
    redraw();
  }

  function setEnds(a, b) {
    Object.assign(ends, { a: Float32Array.from(a), b: Float32Array.from(b) });
    redraw();
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = null;
    play.textContent = "Play";
  }

  // There and back in six seconds.
  function start() {
    const begin = performance.now() - (position.valueAsNumber / 100) * 3000;
    play.textContent = "Stop";
    const step = (now) => {
      const t = ((((now - begin) / 3000) % 2) + 2) % 2;
      go(t < 1 ? t : 2 - t);
      playing = requestAnimationFrame(step);
    };
    playing = requestAnimationFrame(step);
  }

  for (const end of ["a", "b"]) byId(`keep-${end}`).addEventListener("click", () => keep(end));
  position.addEventListener("input", () => {
    stop();
    go(position.valueAsNumber / 100);
  });
  kind.addEventListener("change", redraw);
  play.addEventListener("click", () => (playing === null ? start() : stop()));
  return { setEnds };
}
