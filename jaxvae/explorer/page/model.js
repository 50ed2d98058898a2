// The variational autoencoder: what the page asks of its programs.

const LOG_VAR_LIMIT = 40; // as jaxvae.distributions limits log-variances

function makeModel(data) {
  const weights = decodedWeights(data.weights);
  const run = {};
  for (const [name, program] of Object.entries(data.programs)) run[name] = prepared(program, weights);
  const dim = data.latents.mean.length;

  // q(z | x) of an image: mean and log-variance of every latent.
  function encode(x) {
    const [mean, logVar] = run.encode(x);
    return { mean: mean.slice(), logVar: logVar.map((v) => Math.min(Math.max(v, -LOG_VAR_LIMIT), LOG_VAR_LIMIT)) };
  }

  // E[x | z], numbers in [0, 1].
  function decode(z) {
    return run.mean(...run.decode(z))[0].map((v) => Math.min(Math.max(v, 0), 1));
  }

  // One estimate of log p(x | z) + log p(z) - log q(z | x), for z = mean + noise * standard deviation. Under N(0, I)
  // its last two terms are replaced by their expectation, which has less noise.
  function bound(x, q, noise) {
    const z = q.mean.map((mean, d) => mean + Math.exp(q.logVar[d] / 2) * noise[d]);
    const likelihood = run.log_px(...run.decode(z), x)[0][0];
    if (!run.log_pz) return { likelihood, divergence: divergence(q).reduce((sum, kl) => sum + kl, 0) };
    const logQ = q.logVar.reduce((sum, v, d) => sum - 0.5 * (Math.log(2 * Math.PI) + v + noise[d] ** 2), 0);
    return { likelihood, divergence: logQ - run.log_pz(z)[0][0] };
  }

  return { dim, encode, decode, bound };
}

// KL(q || N(0, I)) of every latent, nats.
function divergence(q) {
  return Array.from(q.mean, (mean, d) => 0.5 * (Math.exp(q.logVar[d]) + mean * mean - 1 - q.logVar[d]));
}

// A point on the arc between two codes, as jaxvae.sampling.spherical: t 0 is a, 1 is b.
function onArc(a, b, t) {
  const [lengthA, lengthB] = [Math.hypot(...a), Math.hypot(...b)];
  const [unitA, unitB] = [a.map((v) => v / lengthA), b.map((v) => v / lengthB)];
  const distance = Math.hypot(...unitA.map((v, d) => v - unitB[d]));
  const angle = 2 * Math.atan2(distance, Math.hypot(...unitA.map((v, d) => v + unitB[d])));
  if (!(Math.sin(angle) >= 1e-3)) return onLine(a, b, t); // parallel, opposite, or one of them zero
  const [left, right] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
  return a.map((v, d) => left * v + right * b[d]);
}

function onLine(a, b, t) {
  return a.map((v, d) => (1 - t) * v + t * b[d]);
}
