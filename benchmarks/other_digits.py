"""`python -m benchmarks.other_digits MNIST FILE.npz`: MNIST without the 5,000 digits of `--data digits`.

For a classifier that judges samples beside test images of those digits, none of which it may have seen.
"""

import argparse
from pathlib import Path

import numpy as np

from jaxvae.data import digits, idx


def main() -> None:
    """Write the images of MNIST's training files that are not among the embedded digits, and its test images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.other_digits", description=__doc__)
    parser.add_argument("mnist", help="folder of the four files of MNIST")
    parser.add_argument("out", type=Path, help="FILE.npz")
    chosen = parser.parse_args()
    parts = idx.load(chosen.mnist)
    embedded = {image.tobytes() for part in digits.load().values() for image in part.x}
    x, y = (np.concatenate([parts["train"][i], parts["valid"][i]]) for i in range(2))
    kept = np.array([image.tobytes() not in embedded for image in x])
    # The last of them validate, as MNIST's own last ones do.
    cut = int(kept.sum()) - 2_000
    arrays = {"train": (x[kept][:cut], y[kept][:cut]), "valid": (x[kept][cut:], y[kept][cut:]), "test": parts["test"]}
    np.savez_compressed(
        chosen.out, **{f"{axis}_{name}": part[i] for name, part in arrays.items() for i, axis in enumerate("xy")}
    )
    print(f"{chosen.out}: " + ", ".join(f"{len(part[0]):,} {name}" for name, part in arrays.items()) + " images.")


if __name__ == "__main__":
    main()
