"""The page of shipped models, from their cards."""

import re

from jaxvae.runs.pretrained import shipped

WARNING = "<!-- Written by `python -m benchmarks.pages` from the cards in jaxvae/pretrained: export a model again. -->"
INTRODUCTION = """\
# Shipped models

Small models of digits, and a classifier of Fashion-MNIST, travel with the library. They are loaded by their names,
wherever a run is asked for, without any training, any images or a network:

```python
import jaxvae as jv

digits = jv.load("digits-vae").sample(16)  # [16, 28, 28, 1], floats in [0, 1]
```

```sh
python -m jaxvae sample digits-vae --num 64 --out sheet.png
```

A run or an export in the working directory that has such a name is meant before the shipped model, and that is said.
`--init-from` and `jv.train(init_from=...)` take the names too, so that the training of a model of the same networks on
your own images begins there:

```sh
python -m experiments.binary_vae --data folder:photos --image-size 28 --init-from digits-vae
```

`verify` computes the numbers of a card again from the digits, for which it needs the extra `experiments`, and ends with
status 1 if one does not hold:

```sh
python -m jaxvae verify digits-vae
```

The classifiers draw nothing: reports of models of the digits and of Fashion-MNIST ask them how many of the samples they
recognise. The images that `digits-classifier` was trained on, MNIST's without those of `--data digits`, are written by

```sh
python -m benchmarks.other_digits MNIST other_digits.npz
```
"""


def shipped_page() -> str:
    """Return the page in Markdown: an introduction, and every card below it."""
    cards = [
        section((place / "card.md").read_text(), f"../../jaxvae/pretrained/{name}") for name, place in shipped().items()
    ]
    return "\n".join([f"{WARNING}\n", INTRODUCTION, *cards])


def section(card: str, place: str) -> str:
    """Return a card as a section of a page: headings a level lower, its picture where that is.

    Args:
      card: its text.
      place: of its folder, from the page.
    """
    lower = re.sub(r"^(#+ )", r"#\1", card.split("\n## Use it")[0], flags=re.M)
    return lower.replace("](samples.png)", f"]({place}/samples.png)").rstrip() + "\n"
