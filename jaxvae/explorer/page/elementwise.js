// Functions of single numbers. Values are float32, arithmetic between them is in double precision.

const UNARY = {
  neg: (x) => -x,
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  log: Math.log,
  log1p: Math.log1p,
  expm1: Math.expm1,
  tanh: Math.tanh,
  logistic: (x) => 1 / (1 + Math.exp(-x)),
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  cbrt: Math.cbrt,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round_even: (x) => {
    const down = Math.floor(x);
    const rest = x - down;
    return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
  },
  round_away: (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5),
  sin: Math.sin,
  cos: Math.cos,
  erf: (x) => 1 - complementaryError(x),
  is_finite: (x) => (Number.isFinite(x) ? 1 : 0),
  not: (x) => 1 - x,
};

const BINARY = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
  max: Math.max,
  min: Math.min,
  pow: (a, b) => a ** b,
  atan2: Math.atan2,
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  ge: (a, b) => (a >= b ? 1 : 0),
};

// The loops that networks spend time in, written out: a loop over a function that is passed is several times slower.
const LOOPS = {
  add: (out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
  },
  mul: (out, a, b) => {
    for (let i = 0; i < out.length; i++) out[i] = a[i] * b[i];
  },
  logistic: (out, a) => {
    for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-a[i]));
  },
};

function rectify(out, a, least) {
  for (let i = 0; i < out.length; i++) {
    const x = a[i];
    out[i] = x < least ? least : x; // NaN stays
  }
}

// Applies a function to every number; an argument of one number counts for all.
function elementwise(op, out, args) {
  const [a, b] = args;
  if (op === "select") return select(out, args);
  if (op === "max" && b.length === 1 && a.length === out.length) return rectify(out, a, b[0]);
  if (op in LOOPS && args.every((arg) => arg.length === out.length)) return LOOPS[op](out, a, b);
  if (op in UNARY) {
    const f = UNARY[op];
    for (let i = 0; i < out.length; i++) out[i] = f(a[i]);
    return undefined;
  }
  const f = BINARY[op];
  if (f === undefined) throw new Error(`The page has no operation ${op}.`);
  const [stepA, stepB] = [a, b].map((arg) => (arg.length === 1 ? 0 : 1));
  for (let i = 0; i < out.length; i++) out[i] = f(a[i * stepA], b[i * stepB]);
  return undefined;
}

function select(out, [which, no, yes]) {
  const [every, everyNo, everyYes] = [which, no, yes].map((arg) => (arg.length === 1 ? 0 : 1));
  for (let i = 0; i < out.length; i++) out[i] = which[i * every] ? yes[i * everyYes] : no[i * everyNo];
}
