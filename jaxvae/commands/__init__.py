"""Commands: what is done with trained models from a shell, `python -m jaxvae VERB`; one module for each verb."""
