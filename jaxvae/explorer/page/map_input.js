// Pointer and keyboard on the map: choose an image, or move the code through the plane.

function handleMap({ store, points }, canvas, { place, move, frame }) {
  const status = byId("map-status");

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => (v / box.width) * frame().size);
  };

  function nearest([x, y]) {
    let [best, distance] = [null, Infinity];
    for (const point of points) {
      const away = Math.hypot(point.place[0] - x, point.place[1] - y);
      if (away < distance) [best, distance] = [point, away];
    }
    return { best, distance };
  }

  function choose(point) {
    const { x, z, name, elbo } = point;
    if (x) store.setImage(x);
    else store.setCode(z);
    const ofClass = name === undefined ? "" : `, class ${name}`;
    status.textContent = `Image ${point.number}${ofClass}: score ${shown(elbo, 1)} nats.`;
  }

  const decoded = () => byId("view").value === "decoded";
  let dragging = null;

  canvas.addEventListener("pointerdown", (event) => {
    const from = at(event);
    const { best, distance } = nearest(from);
    dragging = { from, moved: false };
    if (best && !decoded() && distance < 16 * devicePixelRatio) choose(best);
    else move(...from);
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const [x, y] = at(event);
    dragging.moved ||= Math.hypot(x - dragging.from[0], y - dragging.from[1]) > 6 * devicePixelRatio;
    if (dragging.moved) move(x, y);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (dragging = null));

  canvas.addEventListener("keydown", (event) => {
    const step = frame().size * (event.shiftKey ? 0.08 : 0.02);
    const [x, y] = place();
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in ways) move(x + ways[event.key][0], y + ways[event.key][1]);
    else if ((event.key === "Enter" || event.key === " ") && points.length) choose(nearest([x, y]).best);
    else return;
    event.preventDefault();
  });
}
