// The standard normal distribution, and random numbers that a seed decides.

// Inverse of the distribution function, to about 1e-9: Acklam's rational approximations.
function quantile(p) {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  if (p > 0.5) return -quantile(1 - p);
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
  ];
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(c, q) / polynomial(d, q);
  }
  const q = p - 0.5;
  return (polynomial(a, q * q) * q) / polynomial(b, q * q);
}

// Distribution function: the probability of a smaller number.
function probability(x) {
  return 0.5 * complementaryError(-x / Math.SQRT2);
}

// 1 - erf(x), to a relative error of 1.2e-7 (Numerical Recipes, erfcc).
function complementaryError(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const terms = [
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
    -1.26551223,
  ];
  const tail = t * Math.exp(-x * x + polynomial(terms, t));
  return x >= 0 ? tail : 2 - tail;
}

function polynomial(coefficients, x) {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}

// Uniform numbers in (0, 1): mulberry32.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
}

// Standard normal numbers of a source of uniform ones.
function normals(random, length) {
  return Float32Array.from({ length }, () => quantile(random()));
}
