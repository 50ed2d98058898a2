"""The tables of the page on speed, from the newest timings."""

from benchmarks.pages.fields import table
from benchmarks.records import Record

Timings = dict[str, Record]

LOOPS = {
    "eager": "eager",
    "compile": "compiled",
    "compile_step": "compiled with the optimizer's step",
    "channels_last": "channels last",
}


def training(timings: Timings) -> str:
    """Training steps against PyTorch and against other forms of the same step."""
    rows = [
        _against(timings, "MLP VAE 784-400-20", "mlp scan", "mlp scan / torch"),
        _against(timings, "the same with ten planar flows", "planar scan", "planar scan / torch"),
        _against(timings, "convolutional VAE of 4x4 kernels", "conv scan", "conv scan / torch"),
        _against(timings, "the same", "conv scan", "conv scan / conv_lax step"),
        _against(timings, "VQ-VAE, 512 codes by moving averages", "vq_vae scan", "vq_vae scan / torch"),
        _against(timings, "gated PixelCNN over 7x7 codes", "gated_pixelcnn scan", "gated_pixelcnn scan / torch"),
    ]
    return table(["model", "images/s", "against", "its images/s", "ratio"], rows)


def checkpoints(timings: Timings) -> str:
    """What `fit` costs beside its steps."""
    rows = []
    for name, case in (
        ("MLP, a checkpoint every 468 steps", "mlp fit, 468 steps a checkpoint"),
        ("MLP, a checkpoint every 78 steps", "mlp fit, 78 steps a checkpoint"),
        ("convolutional, a checkpoint every 78 steps", "conv fit, 78 steps a checkpoint"),
    ):
        one = timings[f"train_step: {case}"]
        low, high = one["overhead_quartiles"]
        rows.append([name, _rate(one), f"{one['overhead']:.0%} ({low:.0%} to {high:.0%})"])
    return table(["VAE", "images/s", "overhead"], rows)


def layouts(timings: Timings) -> str:
    """Two devices that share the cores against one."""
    rows = []
    for name, case in (("MLP", "mlp"), ("convolutional", "conv")):
        of = {
            layout: timings[f"layouts: {case} {layout}"]
            for layout in ("scan 1", "pmap 2", "sharded 2", "sharded parameters 2")
        }
        rows.append([name, *(f"{one['images_per_second']:,.0f}{_ratio_in_brackets(one)}" for one in of.values())])
    return table(["VAE", "one device", "`pmap`", "`sharded`", "`sharded`, parameters divided"], rows)


def compiling(timings: Timings) -> str:
    """From a step to a program."""
    names = {"MLP": "mlp", "convolutional": "conv", "residual": "resnet", "gated PixelCNN": "gated_pixelcnn"}
    rows = []
    for name, case in names.items():
        one = timings[f"compile: {case} step"]
        rows.append([name, f"{one['lowering_seconds']:.1f}", f"{one['compile_seconds']:.1f}"])
    return table(["model", "lowering, s", "compilation, s"], rows)


def sampling(timings: Timings) -> str:
    """Images drawn in a second."""
    rows = []
    for name, case in (
        ("1,000 images, MLP VAE", "mlp"),
        ("1,000 images, convolutional VAE", "conv"),
        ("1,000 images, residual VAE", "resnet"),
        ("64 grids of 7x7 codes, gated PixelCNN", "gated_pixelcnn, 64 at a time"),
        ("64 binary 28x28 images, PixelCNN of 16 channels", "binary_pixelcnn, 64 at a time"),
        ("64 images by way of codes, gated PixelCNN and VQ-VAE", "two_stages, 64 at a time"),
    ):
        one, uncached = (timings.get(f"sampling: {case}{end}") for end in ("", " / without a cache"))
        assert one is not None
        gain = f"{uncached['speedup']:.1f} times ({uncached['uncached_seconds']:.3g} s)" if uncached else ""
        rows.append([name, _rate(one), f"{one['seconds']:.2g}", gain])
    return table(["drawn", "images/s", "seconds", "faster than without a cache"], rows)


def whole_commands(timings: Timings) -> str:
    """Draws of the labels as one program against one command after another."""
    rows = []
    for name, case in (
        ("M2", "m2, 10 draws of 100 labels"),
        ("classifier", "scratch, 10 draws of 100 labels"),
    ):
        one = timings[f"draws: {case}"]
        rows.append([name, f"{one['seconds']:.0f} s", f"{one['separate_seconds']:.0f} s", f"{one['speedup']:.2f}"])
    return table(["ten draws of 100 labels", "one command", "ten commands", "ratio"], rows)


def _against(timings: Timings, name: str, case: str, ratio: str) -> list[str]:
    one, compared = timings[f"train_step: {case}"], timings[f"train_step: {ratio}"]
    other = timings[f"train_step: {compared['against']}"]
    return [name, _rate(one), _other(compared["against"]), f"{other['images_per_second']:,.0f}", _ratio(compared)]


def _other(case: str) -> str:
    """What ours is compared with, from the name of its case, as "torch conv eager channels_last"."""
    peer, _, *how = case.split()
    if peer != "torch":
        return "`nn.Conv` and `nn.ConvTranspose`, a jitted step"
    return f"PyTorch, the best of its loops ({', '.join(LOOPS[word] for word in how)})"


def _rate(one: Record) -> str:
    low, high = one["images_per_second_quartiles"]
    return f"{one['images_per_second']:,.0f} ({low:,.0f} to {high:,.0f})"


def _ratio(one: Record) -> str:
    low, high = one["speedup_quartiles"]
    return f"{one['speedup']:.2f} ({low:.2f} to {high:.2f})"


def _ratio_in_brackets(one: Record) -> str:
    return f" ({one['speedup']:.2f})" if "speedup" in one else ""


SPEED_TABLES = {made.__name__: made for made in (training, checkpoints, layouts, compiling, sampling, whole_commands)}
