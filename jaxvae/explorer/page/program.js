// Programs, as jaxvae.explorer.builder describes them, made ready to run.

const OPERATIONS = { copy, matmul, conv: convolve, reduce, gather };

function operate(step, out, args) {
  const operation = OPERATIONS[step.op];
  if (operation) operation(out, args, step);
  else elementwise(step.op, out, args);
}

// Returns a function (...inputs) -> outputs, both arrays of Float32Array. The outputs are overwritten by its next call.
function prepared(program, weights) {
  const values = [];
  const fixed = new Set();
  const keep = (value, array) => {
    values[value] = array;
    fixed.add(value);
  };
  for (const [value, number] of program.scalars) keep(value, Float32Array.of(Number(number)));
  for (const [value, index] of program.weights) keep(value, weights[index]);
  const steps = [];
  for (const step of program.steps) {
    values[step.out] = new Float32Array(step.size);
    if (step.in.every((value) => fixed.has(value))) {
      // What depends on weights alone is computed once.
      operate(
        step,
        values[step.out],
        step.in.map((value) => values[value]),
      );
      fixed.add(step.out);
    } else steps.push(step);
  }
  return (...inputs) => {
    program.inputs.forEach((value, i) => {
      values[value] = inputs[i];
    });
    for (const step of steps)
      operate(
        step,
        values[step.out],
        step.in.map((value) => values[value]),
      );
    return program.outputs.map((value) => values[value]);
  };
}

// The value of each of the 65,536 float16 numbers.
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

// The bytes that a text in base64 stands for.
function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// Numbers from the bytes of float16 ones.
function halves(bytes) {
  const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const numbers = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) numbers[i] = HALVES[bits[i]];
  return numbers;
}

// The arrays of the page one after the other, each of a size, of numbers of 2 or 4 bytes.
function decodedWeights({ data, sizes }) {
  const bytes = bytesOf(data);
  let at = 0;
  return sizes.map(([size, width]) => {
    const part = bytes.slice(at, at + size * width); // a copy, which begins at a multiple of any width
    at += part.length;
    return width === 4 ? new Float32Array(part.buffer) : halves(part);
  });
}
