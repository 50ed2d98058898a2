// The map: encoded images in a plane of the space of codes, or what the decoder makes of that plane.

const COLOURS = [
  "#4269d0",
  "#e07b1f",
  "#2f9e5b",
  "#d6455d",
  "#8a63d2",
  "#18a3b8",
  "#b2771b",
  "#d65fa8",
  "#6c8f1d",
  "#7d8590",
];

function makeMap(app) {
  const { images, store, data, points } = app;
  const canvas = byId("map");
  const choices = directions(data);
  const selects = [byId("across"), byId("upwards")];
  selects.forEach((select, i) => {
    select.append(...choices.map(({ name }, value) => element("option", { value }, name)));
    select.selectedIndex = Math.min(i, choices.length - 1);
    select.addEventListener("change", redraw);
  });
  const view = byId("view");
  if (points.length === 0) {
    view.value = "decoded";
    view.closest("label").hidden = true;
  }
  view.addEventListener("change", redraw);
  const tiles = makeTiles(app);
  let frame = { plane: [], ranges: [], size: 1 };
  let background = null;

  const plane = () => selects.map((select) => choices[select.selectedIndex]);
  const toCanvas = ([right, up]) => {
    const [[left, rightmost], [bottom, top]] = frame.ranges;
    return [((right - left) / (rightmost - left)) * frame.size, ((top - up) / (top - bottom)) * frame.size];
  };
  const fromCanvas = ([x, y]) => {
    const [[left, rightmost], [bottom, top]] = frame.ranges;
    return [left + (x / frame.size) * (rightmost - left), top - (y / frame.size) * (top - bottom)];
  };

  function redraw() {
    const size = Math.round(canvas.clientWidth * devicePixelRatio);
    if (size === 0) return;
    [canvas.width, canvas.height] = [size, size];
    const places = points.map(({ z }) => coordinates(z, plane()));
    frame = { plane: plane(), size, ranges: [0, 1].map((axis) => rangeOf(places.map((place) => place[axis]))) };
    points.forEach((point, i) => (point.place = toCanvas(places[i])));
    background = view.value === "decoded" ? null : drawPoints(points, size);
    show();
  }

  function show() {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (background) {
      tiles.stop();
      context.drawImage(background, 0, 0);
    } else tiles.draw(context, frame, fromCanvas, store.state.z, cross);
    cross();
  }

  // A ring round the place of the code that is shown.
  function cross() {
    const context = canvas.getContext("2d");
    const [x, y] = toCanvas(coordinates(store.state.z, frame.plane)).map((v) => Math.min(Math.max(v, 0), frame.size));
    for (const [width, colour] of [
      [5, "--card"],
      [2.5, "--accent"],
    ]) {
      context.beginPath();
      context.arc(x, y, 9 * devicePixelRatio, 0, 2 * Math.PI);
      context.lineWidth = width * devicePixelRatio;
      context.strokeStyle = themeColour(colour);
      context.stroke();
    }
  }

  function drawPoints(shownPoints, size) {
    const layer = element("canvas", { width: size, height: size });
    const context = layer.getContext("2d");
    const side = Math.max(22, Math.min(40, size / devicePixelRatio / 14)) * devicePixelRatio;
    for (const { place, colour } of shownPoints) {
      context.fillStyle = colour ?? themeColour("--muted");
      context.globalAlpha = 0.55;
      context.beginPath();
      context.arc(...place, 2.2 * devicePixelRatio, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    context.imageSmoothingQuality = "high";
    const drawn = []; // places of pictures: two of them hardly cover each other
    for (const { place, picture } of shownPoints) {
      const apart = ([x, y]) => Math.max(Math.abs(x - place[0]), Math.abs(y - place[1])) > 0.8 * side;
      if (!picture || !drawn.every(apart)) continue;
      drawn.push(place);
      const [wide, high] = [images.width, images.height].map((v) => (side * v) / Math.max(images.width, images.height));
      context.drawImage(picture(), place[0] - wide / 2, place[1] - high / 2, wide, high);
    }
    return layer;
  }

  const move = (x, y) => store.setCode(movedTo(store.state.z, fromCanvas([x, y]), frame.plane));
  handleMap(app, canvas, { place: () => toCanvas(coordinates(store.state.z, frame.plane)), move, frame: () => frame });
  store.listen((changed) => changed.has("z") && show());
  new ResizeObserver(redraw).observe(canvas);
  return { redraw };
}

// The classes and their colours below the map.
function makeLegend({ images }) {
  const classes = images?.classes ?? [];
  byId("legend").append(
    ...classes.map((name, i) => {
      const dotOf = element("i", { "aria-hidden": "true" });
      dotOf.style.background = COLOURS[i % COLOURS.length];
      return element("li", {}, dotOf, name);
    }),
  );
}
