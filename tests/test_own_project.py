"""A person's own project outside the repository: her experiment and her net train, resume, sweep and load like ours."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

OWN_NET = """
    import flax.linen as nn
    import jax.numpy as jnp


    class Halves(nn.Module):
        \"\"\"Features of the upper and the lower half of images.\"\"\"

        width: int = 8

        @nn.compact
        def __call__(self, x):
            top, bottom = jnp.split(x, 2, axis=-3)
            parts = [nn.relu(nn.Dense(self.width)(half.reshape(*half.shape[:-3], -1))) for half in (top, bottom)]
            return jnp.concatenate(parts, axis=-1)
"""
OWN_EXPERIMENT = """
    \"\"\"A VAE whose encoder looks at the halves of images apart.\"\"\"

    from dataclasses import dataclass, replace

    import jaxvae as jv
    from jaxvae.runs.config import VAEConfig
    from jaxvae.studies.cli import main
    from jaxvae.systems.pixels import binary_pixels
    from nets import Halves


    @dataclass(frozen=True)
    class Config(VAEConfig):
        \"\"\"Configuration of a VAE of halves.\"\"\"

        width: int = 8
        \"\"\"units for each half\"\"\"

        def quick(self):
            return replace(self, steps=4, eval_every=2, log_every=2, batch_size=8, nll_samples=2)


    def build(config, spec):
        likelihood = jv.bernoulli()
        decoder = jv.ImageDecoder(jv.MLP((8,)), likelihood.param_shapes(spec.shape))
        vae = jv.VAE(Halves(config.width), jv.GaussianPosterior(2), decoder, likelihood)
        return jv.systems.vae_system(
            name="halves", spec=spec, vae=vae, prepare=binary_pixels(spec), bound=jv.systems.sampled_bound(vae),
            optimizer=jv.training.cosine_adam(config.learning_rate, config.steps),
            hparams={"beta": 1.0, "warmup_steps": 0},
        )


    if __name__ == "__main__":
        main(Config, build, __doc__)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the person's net, experiment and images, outside of the repository."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(textwrap.dedent(OWN_NET))
    (folder / "halves.py").write_text(textwrap.dedent(OWN_EXPERIMENT))
    np.savez(folder / "images.npz", images=(np.random.default_rng(0).random((30, 6, 6)) < 0.3).astype(np.uint8) * 255)
    return folder


def python(folder, *arguments, code=None):
    """Run Python in a folder where the repository cannot be imported but for the installed jaxvae."""
    line = [sys.executable, *(("-c", textwrap.dedent(code)) if code else ()), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def trained(project, *flags):
    return python(project, "-m", "halves", "--quick", "--data", "npz:images.npz", "--name", "a", *flags)


@pytest.mark.slow
def test_an_own_experiment_trains_resumes_sweeps_and_loads(project):
    code, out, err = trained(project)
    assert code == 0, err
    assert "halves: trained on 24 images of 6x6x1" in out
    folder = project / "runs" / "halves" / "a"
    record = json.loads((folder / "config.json").read_text())
    assert record["experiment"] == "halves"  # not __main__
    assert '"nets.Halves"' in (folder / "config.json").read_text()

    code, _, err = trained(project, "--resume", "--steps", "8")
    assert code == 0, err
    assert json.loads((folder / "summary.json").read_text())["steps"] == 8

    start = ("--init-from", "runs/halves/a", "--name", "b")
    code, _, err = trained(project, *start)
    assert code == 0, err  # its own module has imported the net
    code, out, err = trained(project, "--sweep", "width=4,8", "seed=0,1", "--out", "studies")
    assert code == 0, err
    assert "Best run by its" in out

    # Where her module is named, or imported before, the run loads; else nothing of hers is imported.
    code, out, err = python(
        project,
        code="""
        import sys
        import jaxvae as jv
        try:
            jv.load("runs/halves/a")
        except jv.UserError as error:
            print("refused:", error)
        assert "nets" not in sys.modules and "halves" not in sys.modules
        print(jv.load("runs/halves/a", imports=["nets"]).sample(3).shape)
        print(jv.load("studies/halves/a").encode(__import__("numpy").zeros((2, 6, 6), "uint8")).shape)
        """,
    )
    assert code == 0, err
    assert "refused:" in out
    assert "nets.Halves" in out
    assert "imports=['nets']" in out
    assert "(3, 6, 6, 1)" in out
    assert "(2, 2)" in out


@pytest.mark.slow
def test_a_run_of_ours_loads_where_experiments_cannot_be_imported(project, request):
    line = ("-m", "experiments.vqvae", "--quick", "--data", f"npz:{project}/images.npz", "--out", str(project / "ours"))
    small = ("--likelihood", "bernoulli", "--num-codes", "4", "--code-dim", "2", "--channels", "2", "--steps", "2")
    code, _, err = python(request.config.rootpath, *line, *small, "--name", "a", "--eval-every", "1")
    assert code == 0, err
    code, out, err = python(
        project,
        code="""
        import importlib.util
        import numpy as np
        import jaxvae as jv
        assert importlib.util.find_spec("experiments") is None
        model = jv.load("ours/vqvae/a")
        codes = model.encode(np.zeros((2, 6, 6), "uint8"))
        print(codes.shape, model.decode(codes).shape)
        """,
    )
    assert code == 0, err
    assert "(2, 3, 3) (2, 6, 6, 1)" in out


def test_a_file_that_names_a_foreign_module_imports_nothing(project, tmp_path):
    (tmp_path / "evil.py").write_text('open("touched", "w").close()\n')
    parts = {"class": "jaxvae.systems.vae_parts.VAEParts", "vae": {"class": "evil.Net"}}
    record = {"format": 2, "experiment": "evil", "config": {}, "system": {"name": "a", "hparams": {}, "parts": parts}}
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    code = 'import jaxvae as jv\ntry:\n    jv.load("run")\nexcept jv.UserError as error:\n    print("refused:", error)'
    status, out, err = python(tmp_path, code=code)
    assert status == 0, err
    assert "refused:" in out
    assert "evil" in out
    assert not (tmp_path / "touched").exists()
