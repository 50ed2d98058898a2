// Operations on whole arrays, which are flat and in C order.

// Copies every part to its place: [shape, offset and strides of the source, offset and strides of the target].
function copy(out, args, step) {
  step.parts.forEach(([shape, from, fromStrides, to, toStrides], i) => {
    copyPart(out, args[i], shape, 0, from, fromStrides, to, toStrides);
  });
}

function copyPart(out, source, shape, axis, from, fromStrides, to, toStrides) {
  const length = shape[axis];
  const here = fromStrides[axis];
  const there = toStrides[axis];
  if (axis < shape.length - 1) {
    for (let i = 0; i < length; i++) {
      copyPart(out, source, shape, axis + 1, from + i * here, fromStrides, to + i * there, toStrides);
    }
  } else if (here === 1 && there === 1 && length > 24) {
    out.set(source.subarray(from, from + length), to);
  } else if (here === 0 && there === 1) {
    out.fill(source[from], to, to + length);
  } else {
    for (let i = 0; i < length; i++) out[to + i * there] = source[from + i * here];
  }
}

// Reduces the last numbers to one, as many as there are for each of the result.
function reduce(out, [a], { by }) {
  const length = a.length / out.length;
  for (let i = 0; i < out.length; i++) {
    let result = { sum: 0, prod: 1, max: -Infinity, min: Infinity }[by];
    for (let j = i * length; j < (i + 1) * length; j++) {
      if (by === "sum") result += a[j];
      else if (by === "prod") result *= a[j];
      else result = by === "max" ? Math.max(result, a[j]) : Math.min(result, a[j]);
    }
    out[i] = result;
  }
}

// Looks up a window of `a` for every row of indices; indices outside are moved inside, or give NaN.
function gather(out, [a, indices], { batch, steps, window, strides, along, last, fill }) {
  const size = volume(window);
  const compact = window.map((_, axis) => volume(window.slice(axis + 1)));
  const counter = batch.map(() => 0);
  for (let to = 0, row = 0; to < out.length; to += size, row++) {
    let from = counter.reduce((sum, index, axis) => sum + index * steps[axis], 0);
    let outside = false;
    along.forEach((stride, i) => {
      const index = indices[row * along.length + i];
      outside ||= index < 0 || index > last[i];
      from += Math.min(Math.max(index, 0), last[i]) * stride;
    });
    if (fill && outside) out.fill(NaN, to, to + size);
    else if (window.length === 0) out[to] = a[from];
    else copyPart(out, a, window, 0, from, strides, to, compact);
    for (let axis = batch.length - 1; axis >= 0 && ++counter[axis] === batch[axis]; axis--) counter[axis] = 0;
  }
}

function volume(shape) {
  return shape.reduce((product, length) => product * length, 1);
}
