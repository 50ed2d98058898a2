// What the decoder makes of the plane through the code that is shown, tile by tile, the middle first.

const TILES = 11; // in a row

function makeTiles({ model, images }) {
  let turn = 0; // of the drawing that goes on
  let drawn = null; // what was drawn last: { key, layer }

  function stop() {
    turn++;
    drawn = null;
  }

  // Draws the tiles of a frame; `finish` is called after every few of them.
  function draw(context, frame, fromCanvas, z, finish) {
    const base = movedTo(z, [0, 0], frame.plane); // the same for all codes of one plane
    const key = [frame.size, ...frame.plane.map(({ name }) => name), ...base.map((v) => Math.round(v * 1000))].join();
    if (drawn?.key === key) {
      context.drawImage(drawn.layer, 0, 0);
      return;
    }
    const layer = element("canvas", { width: frame.size, height: frame.size });
    const target = layer.getContext("2d");
    target.imageSmoothingQuality = "high";
    if (drawn?.layer.width === frame.size) target.drawImage(drawn.layer, 0, 0); // until the new ones are there
    drawn = { key, layer };
    context.drawImage(layer, 0, 0);
    const cells = inwards();
    const mine = ++turn;

    function some() {
      if (mine !== turn) return;
      for (const begin = performance.now(); cells.length && performance.now() - begin < 12;) {
        const [column, row] = cells.pop();
        const side = frame.size / TILES;
        const [left, top] = [Math.round(column * side), Math.round(row * side)];
        const place = fromCanvas([(column + 0.5) * side, (row + 0.5) * side]);
        const tile = images.paint(images.newCanvas(), model.decode(movedTo(z, place, frame.plane)));
        target.drawImage(tile, left, top, Math.round((column + 1) * side) - left, Math.round((row + 1) * side) - top);
      }
      context.drawImage(layer, 0, 0);
      finish();
      if (cells.length) setTimeout(some);
    }
    setTimeout(some);
  }

  return { draw, stop };
}

// The places of all tiles, that in the middle last.
function inwards() {
  const middle = (TILES - 1) / 2;
  const far = ([column, row]) => Math.hypot(column - middle, row - middle);
  const cells = Array.from({ length: TILES * TILES }, (_, i) => [i % TILES, Math.floor(i / TILES)]);
  return cells.sort((a, b) => far(b) - far(a));
}
