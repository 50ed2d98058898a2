// Images are flat arrays of numbers in [0, 1], as [height, width, channels]; canvases show them pixel for pixel.

function makeImages({ shape: [height, width, channels], levels }) {
  const size = height * width * channels;

  // Rounds pixels to the values that the model knows: black or white of one of binary images.
  function toLevels(x) {
    return Float32Array.from(x, (v) => Math.floor(Math.min(Math.max(v, 0), 1) * (levels - 1) + 0.5) / (levels - 1));
  }

  // The same image as the picture of a canvas. `ink` draws a grey image in one colour, as dense as it is bright.
  function toPixels(x, ink, inverted) {
    const pixels = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const level = x[i * channels];
      const colour = ink ?? [0, 1, 2].map((c) => 255 * (channels === 3 ? x[i * 3 + c] : level));
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = Math.round(colour[c]);
      pixels.data[4 * i + 3] = ink ? Math.round(255 * (inverted ? 1 - level : level)) : 255;
    }
    return pixels;
  }

  function paint(canvas, x, ink, inverted) {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").putImageData(toPixels(x, ink, inverted), 0, 0);
    return canvas;
  }

  // An image from the pixels of a canvas of its size.
  function fromPixels({ data }) {
    const x = new Float32Array(size);
    for (let i = 0; i < height * width; i++) {
      const [red, green, blue] = [data[4 * i] / 255, data[4 * i + 1] / 255, data[4 * i + 2] / 255];
      if (channels === 3) x.set([red, green, blue], 3 * i);
      else x[i] = 0.299 * red + 0.587 * green + 0.114 * blue;
    }
    return x;
  }

  function newCanvas() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    return canvas;
  }

  // The pictures of a sheet, which has several in a row.
  async function fromSheet(url, columns, number) {
    const sheet = new Image();
    sheet.src = url;
    await sheet.decode();
    const context = newCanvas().getContext("2d", { willReadFrequently: true });
    return Array.from({ length: number }, (_, i) => {
      const [left, top] = [(i % columns) * width, Math.floor(i / columns) * height];
      context.drawImage(sheet, left, top, width, height, 0, 0, width, height);
      return fromPixels(context.getImageData(0, 0, width, height));
    });
  }

  // Fits any picture into the size of the images, on a background.
  function fromPicture(picture, background) {
    const context = newCanvas().getContext("2d", { willReadFrequently: true });
    context.fillStyle = `rgb(${[0, 1, 2].map((c) => Math.round(255 * background[c % channels])).join()})`;
    context.fillRect(0, 0, width, height);
    const scale = Math.min(width / picture.width, height / picture.height);
    const [wide, high] = [picture.width * scale, picture.height * scale];
    context.imageSmoothingQuality = "high";
    context.drawImage(shrunk(picture, scale), (width - wide) / 2, (height - high) / 2, wide, high);
    return fromPixels(context.getImageData(0, 0, width, height));
  }

  return { height, width, channels, size, levels, toLevels, paint, newCanvas, fromSheet, fromPicture };
}

// Halves a large picture until it is less than twice as large as wanted: each step is then an average of all pixels.
function shrunk(picture, scale) {
  let small = picture;
  for (let left = scale; left < 0.5; left *= 2) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(small.width / 2));
    canvas.height = Math.max(1, Math.round(small.height / 2));
    canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
    small = canvas;
  }
  return small;
}
