// Products of arrays, which are flat and in C order. Networks spend nearly all of their time in these loops.

// [batch, m, k] times [batch, k, n].
function matmul(out, [a, b], { batch, m, k, n }) {
  for (let i = 0; i < batch; i++) {
    const [left, right, result] = [i * m * k, i * k * n, i * m * n];
    let row = 0;
    for (; row + 4 <= m; row += 4) fourRows(out, result + row * n, a, left + row * k, b, right, k, n);
    for (; row < m; row++) oneRow(out, result + row * n, a, left + row * k, b, right, k, n);
  }
}

// Tiles of 4x4 sums stay in registers.
function fourRows(out, result, a, left, b, right, k, n) {
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
    let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
    for (let p = 0, q = right + j; p < k; p++, q += n) {
      const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
      const a0 = a[left + p], a1 = a[left + k + p], a2 = a[left + 2 * k + p], a3 = a[left + 3 * k + p];
      s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2; s03 += a0 * b3;
      s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2; s13 += a1 * b3;
      s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2; s23 += a2 * b3;
      s30 += a3 * b0; s31 += a3 * b1; s32 += a3 * b2; s33 += a3 * b3;
    }
    let o = result + j;
    out[o] = s00; out[o + 1] = s01; out[o + 2] = s02; out[o + 3] = s03;
    o += n;
    out[o] = s10; out[o + 1] = s11; out[o + 2] = s12; out[o + 3] = s13;
    o += n;
    out[o] = s20; out[o + 1] = s21; out[o + 2] = s22; out[o + 3] = s23;
    o += n;
    out[o] = s30; out[o + 1] = s31; out[o + 2] = s32; out[o + 3] = s33;
  }
  for (; j < n; j++) {
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let p = 0, q = right + j; p < k; p++, q += n) {
      s0 += a[left + p] * b[q];
      s1 += a[left + k + p] * b[q];
      s2 += a[left + 2 * k + p] * b[q];
      s3 += a[left + 3 * k + p] * b[q];
    }
    out[result + j] = s0;
    out[result + n + j] = s1;
    out[result + 2 * n + j] = s2;
    out[result + 3 * n + j] = s3;
  }
}

// Four rows of b at a time: out is read and written a quarter as often.
function oneRow(out, result, a, left, b, right, k, n) {
  out.fill(0, result, result + n);
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    const x0 = a[left + p], x1 = a[left + p + 1], x2 = a[left + p + 2], x3 = a[left + p + 3];
    let q = right + p * n;
    for (let o = result; o < result + n; o++, q++) {
      out[o] += x0 * b[q] + x1 * b[q + n] + x2 * b[q + 2 * n] + x3 * b[q + 3 * n];
    }
  }
  for (; p < k; p++) {
    const x = a[left + p];
    let q = right + p * n;
    for (let o = result; o < result + n; o++, q++) out[o] += x * b[q];
  }
}

// Convolves images [n, h, w, cin] with kernels [kh, kw, cin / groups, cout]. The windows of a row of the result are
// copied next to each other, zeros outside, and multiplied by the kernel: of every group one matrix product a row.
function convolve(out, [x, kernel], step) {
  const [number, height, width, cin] = step.images;
  const [kh, kw, per, cout] = step.kernel;
  const [, rows, columns] = step.result;
  const { groups } = step;
  const each = cout / groups;
  const length = kh * kw * per;
  const windows = new Float32Array(columns * length);
  const matrix = new Float32Array(length * each);
  const product = new Float32Array(columns * each);
  const places = [height, width].map((size, axis) => tapsOf(size, axis, step));
  for (let g = 0; g < groups; g++) {
    for (let t = 0; t < length; t++) {
      for (let c = 0; c < each; c++) matrix[t * each + c] = kernel[t * cout + g * each + c];
    }
    for (let image = 0; image < number; image++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          for (let i = 0; i < kh; i++) {
            const y = places[0][row * kh + i];
            for (let j = 0; j < kw; j++) {
              const at = places[1][column * kw + j];
              const to = column * length + (i * kw + j) * per;
              const from = ((image * height + y) * width + at) * cin + g * per;
              for (let c = 0; c < per; c++) windows[to + c] = y < 0 || at < 0 ? 0 : x[from + c];
            }
          }
        }
        matmul(product, [windows, matrix], { batch: 1, m: columns, k: length, n: each });
        for (let column = 0; column < columns; column++) {
          const to = ((image * rows + row) * columns + column) * cout + g * each;
          for (let c = 0; c < each; c++) out[to + c] = product[column * each + c];
        }
      }
    }
  }
}

// For every window of an axis and every tap of the kernel the pixel that it meets, -1 where there is none.
function tapsOf(size, axis, { strides, low, dilation, spread, kernel, result }) {
  const taps = [];
  for (let window = 0; window < result[axis + 1]; window++) {
    for (let tap = 0; tap < kernel[axis]; tap++) {
      const place = window * strides[axis] - low[axis] + tap * spread[axis];
      const pixel = place / dilation[axis]; // between the pixels of a dilated image there are zeros
      taps.push(Number.isInteger(pixel) && pixel >= 0 && pixel < size ? pixel : -1);
    }
  }
  return taps;
}
