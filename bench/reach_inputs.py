"""Inputs that a model of any kind takes: candidates made from its forward's arguments and its config's sizes.

Pictures, sounds and texts that go together must agree on how many tokens a picture is worth; where a model says in its
error how many it found, the text is filled up and asked again.
"""

import re
from collections.abc import Iterator
from typing import Any

import torch
from reach_models import IMAGE, VOCABULARY, WIDTH, accepts
from torch import Tensor, nn

TEXT, TARGET = 11, 7
IMAGE_TOKENS = ("image_token_id", "image_token_index", "video_token_id", "audio_token_id", "audio_token_index")


def nested(config: Any) -> Iterator[Any]:
    """A config and all configs in it."""
    yield config
    for value in vars(config).values():
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield from nested(value)


def size(config: Any, *names: str, default: Any) -> Any:
    """The first of these settings that a config or one inside it has."""
    for name in names:
        for one in nested(config):
            value = getattr(one, name, None)
            if value is not None and not isinstance(value, bool):
                return value
    return default


def first(value: Any) -> int:
    """A number, or the first of several."""
    return int(value[0] if isinstance(value, list | tuple) else value)


def candidates(model: nn.Module) -> Iterator[dict[str, Any]]:
    """Sets of arguments to try, the fullest first."""
    taken, config = accepts(model), model.config
    torch.manual_seed(1)
    text, others = _texts(model, taken, config), {}
    for maker in (_pictures, _sounds, _rest):
        others |= maker(taken, config)
    required = {name for name, x in taken.items() if x.default is x.empty and x.kind is x.POSITIONAL_OR_KEYWORD}
    if "image_sizes" in others:
        yield {**text, **{name: x for name, x in others.items() if name != "image_sizes"}}
    yield {**text, **others}
    if "input_features" in others:
        yield {**text, **others, "input_features": others["input_features"].transpose(1, 2)}
    if "pixel_values" in others and others["pixel_values"].ndim == 4:  # several pictures, or a film
        frames = first(size(config, "num_frames", default=1))
        yield {**text, **others, "pixel_values": others["pixel_values"][:, None].repeat(1, frames, 1, 1, 1)}
    if "query_embeds" in others or "qformer_input_ids" in taken:
        read = torch.randint(5, 90, (1, TEXT))
        fitting = {"encoder_hidden_states": torch.randn(1, TEXT, WIDTH), "qformer_input_ids": read}
        yield {**text, **others, **{name: x for name, x in fitting.items() if name in taken}}
    if others:
        yield others
        main = getattr(model, "main_input_name", None)
        if isinstance(main, str) and main in others:
            yield {name: x for name, x in others.items() if name == main or name in required}
        for name in others:
            yield {**text, name: others[name]}
    if text:
        yield text
        yield {name: x for name, x in text.items() if name in ("input_ids", "decoder_input_ids")}
        yield {name: x for name, x in text.items() if name == "input_ids"}
    yield {"inputs_embeds": torch.randn(1, TEXT, 32)}


def _texts(model: nn.Module, taken: dict[str, Any], config: Any) -> dict[str, Tensor]:
    given: dict[str, Tensor] = {}
    ids = torch.randint(5, 90, (1, TEXT))
    if "input_ids" in taken:
        given["input_ids"] = ids
        if "attention_mask" in taken:
            given["attention_mask"] = torch.ones_like(ids)
    if "decoder_input_ids" in taken and getattr(config, "is_encoder_decoder", True):
        given["decoder_input_ids"] = torch.randint(5, 90, (1, TARGET))
    if "mm_token_type_ids" in taken:
        given["mm_token_type_ids"] = torch.zeros_like(ids)
    if "bbox" in taken:
        given["bbox"] = torch.randint(0, 30, (1, TEXT, 2)).repeat(1, 1, 2).sort(-1).values
    return given


def _pictures(taken: dict[str, Any], config: Any) -> dict[str, Any]:
    channels = first(size(config, "num_channels", "in_channels", "in_chans", default=3))
    pixels = size(config, "image_size", "input_size", "img_size", default=IMAGE)
    height, width = (pixels, pixels) if isinstance(pixels, int) else (pixels[0], pixels[-1])
    if isinstance(pixels, dict):
        height, width = pixels.get("height", IMAGE), pixels.get("width", IMAGE)
    given: dict[str, Any] = {}
    patch = first(size(config, "patch_size", default=8))
    if "image_grid_thw" in taken or "grid_thw" in taken or "image_grid_hws" in taken:
        frames = first(size(config, "temporal_patch_size", default=1))
        patches = torch.randn(16, channels * frames * patch * patch)
        grid = torch.tensor([[1, 4, 4]])
        name = "grid_thw" if "grid_thw" in taken else "image_grid_thw"
        given[name] = grid
        given["hidden_states" if "hidden_states" in taken else "pixel_values"] = patches
        return given
    if "pixel_values" in taken:
        given["pixel_values"] = torch.randn(1, channels, height, width)
    if "pixel_values_videos" in taken and "pixel_values" not in taken:
        frames = first(size(config, "num_frames", "frames_per_clip", default=4))
        given["pixel_values_videos"] = torch.randn(1, frames, channels, height, width)
    if "image_sizes" in taken:
        given["image_sizes"] = torch.tensor([[height, width]])
    return given


def _sounds(taken: dict[str, Any], config: Any) -> dict[str, Any]:
    given: dict[str, Any] = {}
    mels = first(size(config, "num_mel_bins", "n_mels", "input_feat_per_channel", "feature_size", default=80))
    if "input_values" in taken:
        given["input_values"] = torch.randn(1, 4000)
    if "input_features" in taken:
        frames = 2 * first(size(config, "max_source_positions", default=20))
        given["input_features"] = torch.randn(1, mels, frames)
        for name in ("input_features_mask", "feature_attention_mask"):
            if name in taken:
                given[name] = torch.ones(1, frames, dtype=torch.long)
    return given


def _rest(taken: dict[str, Any], config: Any) -> dict[str, Any]:
    """Time series, states of games, and other inputs that few models take."""
    given: dict[str, Any] = {}
    if "past_values" in taken:
        length = first(size(config, "context_length", default=32))
        channels = first(size(config, "num_input_channels", default=1))
        given["past_values"] = torch.randn(1, length, channels)
    if (
        "encoder_hidden_states" in taken
        and taken["encoder_hidden_states"].default is taken["encoder_hidden_states"].empty
    ):
        given["encoder_hidden_states"] = torch.randn(1, TEXT, 32)
    if "hidden_states" in taken and not {"input_ids", "grid_thw"} & set(taken):
        given["hidden_states"] = torch.randn(1, TEXT, 32)
    if "query_embeds" in taken:
        given["query_embeds"] = torch.randn(1, TEXT, 32)
    return given


def run(model: nn.Module, given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Call the model; where the text has the wrong number of tokens for a picture or sound, fill it and call again."""
    for _ in range(3):
        torch.manual_seed(2)
        try:
            with torch.no_grad():
                return given, model(**given)
        except (ValueError, RuntimeError, IndexError) as error:
            again = _filled(model.config, given, str(error))
            if again is None:
                raise
            given = again
    raise ValueError("the text never fitted to the picture")


def _filled(config: Any, given: dict[str, Any], message: str) -> dict[str, Any] | None:
    numbers = re.search(r"tokens:? *\D*(\d+)\D+features:? *\D*(\d+)", message)
    if numbers is None or "input_ids" not in given:
        return None
    wanted = int(numbers.group(2))
    if int(numbers.group(1)):  # filled once: what was counted were the numbers of all features, not the features
        wanted //= WIDTH
    if not 0 < wanted <= 600 or wanted == int(numbers.group(1)):
        return None
    kind = "audio" if "audio" in message.lower() else "video" if "video" in message.lower() else "image"
    names = sorted(IMAGE_TOKENS, key=lambda name: not name.startswith(kind))
    token = next((getattr(config, name) for name in names if getattr(config, name, None) is not None), None)
    if token is None or token >= VOCABULARY:
        return None
    ids = torch.cat([given["input_ids"][:, :2], torch.full((1, wanted), token), torch.randint(5, 90, (1, 5))], dim=1)
    again = {**given, "input_ids": ids}
    if "attention_mask" in given:
        again["attention_mask"] = torch.ones_like(ids)
    if "mm_token_type_ids" in given:
        again["mm_token_type_ids"] = (ids == token).int()
    return again
