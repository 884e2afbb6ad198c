"""Which models are taken, told by their configurations alone, so that nothing is loaded for those that are not."""

from diffusers import DDIMScheduler

from guidance.models.device import ModelError

# Schedulers of the discrete family: they differ in the solver, which is ours, and agree in the noise schedule.
SCHEDULERS = ("DDPM", "DDIM", "PNDM", "DPMSolver", "UniPC", "Euler", "LMS", "Heun", "DEIS", "KDPM")
# What stands in the index of a pipeline that is told a text or works in a latent space.
LATENT = {"vae", "vqvae", "text_encoder", "transformer", "prior"}


def pixel(unet: dict, source: str) -> None:
    """ModelError unless a network's configuration is that of an unconditional pixel model."""
    if unet.get("_class_name", "UNet2DModel") != "UNet2DModel" or "down_block_types" not in unet:
        raise ModelError(f"{source} is no diffusers model of unconditional pictures.")
    channels, size = unet.get("in_channels", 3), unet.get("sample_size")
    if channels not in (1, 3) or unet.get("out_channels", 3) not in (channels, 2 * channels):
        raise ModelError(f"{source} does not make pictures of 1 or 3 channels.")
    if unet.get("num_class_embeds") or unet.get("class_embed_type"):
        raise ModelError(f"{source} wants a class, which an unconditional model does not.")
    multiple = 2 ** (len(unet["down_block_types"]) - 1)
    sides = [size] * 2 if isinstance(size, int) else size
    if not sides or any(side % multiple for side in sides):
        raise ModelError(f"The pictures of {source} must be a multiple of {multiple} px wide and high.")


def latent(index: dict, unet: dict, vae: dict, text: dict, source: str) -> None:
    """ModelError unless a pipeline's configurations are those of one like Stable Diffusion 1 and 2."""
    if "text_encoder_2" in index:
        raise ModelError(f"{source} is a Stable Diffusion XL model: those like versions 1 and 2 are taken.")
    kinds = (unet.get("_class_name"), vae.get("_class_name"), *text.get("architectures", ()))
    if kinds != ("UNet2DConditionModel", "AutoencoderKL", "CLIPTextModel"):
        raise ModelError(f"{source} is a text-to-image model of another kind than Stable Diffusion 1 and 2.")
    channels = {unet.get("in_channels", 4), unet.get("out_channels", 4), vae.get("latent_channels", 4)}
    if len(channels) > 1 or unet.get("class_embed_type") or unet.get("addition_embed_type"):
        raise ModelError(f"{source} wants more than a text, such as a picture to change, which is not given here.")
    if unet.get("cross_attention_dim") != text.get("hidden_size"):
        raise ModelError(f"The parts of {source} do not fit each other.")


def scheduled(schedule: dict, source: str, latent: bool = False) -> dict:
    """The configuration of a noise schedule, as that of a DDIMScheduler; ModelError if it is of another kind."""
    if not schedule.get("_class_name", "DDPMScheduler").startswith(SCHEDULERS):
        raise ModelError(f"{source} has a noise schedule of another kind than DDPM's.")
    if schedule.get("rescale_betas_zero_snr"):
        raise ModelError(f"{source} starts from noise that holds nothing of the picture, where guidance has no hold.")
    config = dict(DDIMScheduler.from_config(schedule).config)
    if str(config.get("variance_type", "")).startswith("learned"):
        config["variance_type"] = "fixed_small"  # the learned variance is left out
    # A latent is not confined to [-1, 1], and these models count their timesteps from 1, whatever their files say.
    return config | ({"clip_sample": False, "steps_offset": 1} if latent else {})
