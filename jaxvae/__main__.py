"""`python -m jaxvae VERB RUN ...`: all that is done with trained models from a shell."""

import ast
import difflib
import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxvae.commands.flags import called, parse
from jaxvae.commands.verb_flags import FLAGS
from jaxvae.exits import ending, ending_by_signal, leave_at_interrupts, raise_at_interrupts, say

# In the order in which they are listed; each is the module of that name in `jaxvae.commands`.
VERBS = (
    *("train", "list", "info", "report", "compare", "evaluate", "export", "explore", "verify"),
    *("sample", "reconstruct", "interpolate", "traverse", "attribute", "complete", "denoise"),
    *("encode", "decode", "compress", "decompress", "score", "classify", "augment", "anomaly"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; its module is imported when its flags are right, so that neither help nor `list` waits for JAX.

    Args:
      arguments: the verb and its flags, by default those of the command line.

    Raises:
      SystemExit: with status 1 and one sentence for a mistake, with 2 for a wrong verb or flag, with 0 after help.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        say(_introduction())
        return
    if given[0] == "--version":
        say(f"jaxvae {importlib.metadata.version('jaxvae')}")
        return
    verb = given[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(VERBS)}."
        print(f"error: there is no verb {verb!r}: {hint} {called()} --help lists them.", file=sys.stderr)
        sys.exit(2)
    if importlib.util.find_spec("tyro") is None:
        sys.exit('error: the command line needs tyro, which is not installed: pip install "jaxvae[experiments]".')
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of what is meant
    with ending("nothing half-written is left.", "the number of images"), ending_by_signal():
        flags = parse(FLAGS[verb], verb, _about(verb), given[1:])
        leave_at_interrupts()
        try:
            module = importlib.import_module(f"jaxvae.commands.{verb}")
        finally:
            raise_at_interrupts()
        module.run(flags)


def _introduction() -> str:
    """What `--help` says: every verb with the first sentence of its module."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {_about(verb).splitlines()[0]}" for verb in VERBS]
    return "\n".join([f"usage: {called()} VERB RUN ...", "", *lines, "", f"{called()} VERB --help shows its flags."])


def _about(verb: str) -> str:
    """What a verb does, by its module, which is not imported."""
    path = Path(__file__).parent / "commands" / f"{verb}.py"
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


if __name__ == "__main__":
    main()
