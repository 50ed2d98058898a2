// What the page shows: a code, and the image that was encoded last. Whoever shows something listens to changes.

function makeStore(model, images) {
  const state = { z: new Float32Array(model.dim), x: null, q: null };
  const listeners = [];
  let changed = new Set();

  function change(name, value) {
    state[name] = value;
    if (changed.size === 0) requestAnimationFrame(tell);
    changed.add(name);
  }

  // Several changes between two frames are told once.
  function tell() {
    const names = changed;
    changed = new Set();
    for (const listener of listeners) listener(names);
  }

  return {
    state,
    listen: (listener) => listeners.push(listener),
    setCode: (z) => change("z", Float32Array.from(z)),
    // An image, as it is given to the model: its code becomes the one that is shown.
    setImage: (x) => {
      change("x", images.toLevels(x));
      change("q", model.encode(state.x));
      change("z", state.q.mean.slice());
    },
  };
}

const byId = (id) => document.getElementById(id);

// A new element with properties, attributes where their names have a dash, and children.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

// Numbers as people read them: a true minus, and a sign where both are usual.
function shown(number, digits, signed = false) {
  const text = Math.abs(number).toFixed(digits);
  const sign = number < 0 && Number(text) !== 0 ? "−" : signed ? "+" : "";
  const [whole, rest] = text.split(".");
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (rest ? `.${rest}` : "");
}
