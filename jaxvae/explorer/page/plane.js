// Planes through the space of codes, in which the map is drawn: two directions, each with the point that is its zero.

// The directions that a map may have: those in which the codes vary most, and the latents themselves.
function directions({ latents, images }) {
  const dim = latents.mean.length;
  const unit = (d) => Float32Array.from({ length: dim }, (_, i) => (i === d ? 1 : 0));
  const order = Array.from({ length: dim }, (_, d) => d);
  if (latents.activity.length) order.sort((a, b) => latents.activity[b] - latents.activity[a]);
  const axes = (images?.axes ?? []).map((axis, i) => ({ name: `Principal axis ${i + 1}`, axis, zero: images.mean }));
  const singles = order.map((d) => ({ name: `z${d}`, axis: unit(d), zero: new Float32Array(dim) }));
  return dim === 1 ? singles : [...axes, ...singles];
}

function dot(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

// The coordinates of a code.
function coordinates(z, plane) {
  return plane.map(({ axis, zero }) => dot(z, axis) - dot(zero, axis));
}

// The code next to z that has the given coordinates: only the part of z in the plane changes.
function movedTo(z, target, [first, second]) {
  const here = coordinates(z, [first, second]);
  const [right, up] = [target[0] - here[0], target[1] - here[1]];
  const between = dot(first.axis, second.axis);
  const rest = 1 - between * between; // axes have length 1
  const [a, b] = rest < 1e-6 ? [right, 0] : [(right - between * up) / rest, (up - between * right) / rest];
  return Float32Array.from(z, (v, d) => v + a * first.axis[d] + b * second.axis[d]);
}

// The range of a coordinate: that of the codes with some space around, or the inner 99 % of the prior without any.
function rangeOf(values) {
  if (values.length === 0) return [-2.6, 2.6];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = 0.06 * (high - low) + 0.05;
  return [low - space, high + space];
}
