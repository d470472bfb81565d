"""From text to tokens and back: a tokenizer trained here, or one of Hugging Face's, in one file (``tokenizer.json``).

BPE (Sennrich et al. 2016) works on bytes, so that no text is unknown; unigram (Kudo 2018) on characters, those that the
texts hold. Both are trained by the ``tokenizers`` library, on the machine, in seconds.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError, ModelError
from vitrail.files import written_beside

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
"""The special tokens of a tokenizer trained here; a text is begun with ``END``, as the course's is."""
MASKS = ("<mask>", "[MASK]")
"""What the token is called that stands for a hidden one; a tokenizer trained here has the first, where it is wanted."""

SMALLEST = 256 + 3
"""Tokens of a byte-level vocabulary without a single merge."""


class Tokens:
    """A tokenizer with the special tokens that an encoder-decoder needs.

    Args:
        tokenizer: of the ``tokenizers`` library.
        pad: the token that fills up short texts.
        start: the token that a summary is begun with.
        end: the token that ends a text.
    """

    def __init__(self, tokenizer: "Tokenizer", pad: int, start: int, end: int) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.pad, self.start, self.end = pad, start, end

    def __len__(self) -> int:
        """Tokens that there are."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def mask(self) -> int | None:
        """The token that stands for a hidden one; None where there is none."""
        return self.called(*MASKS)

    @property
    def fingerprint(self) -> str:
        """The same for the same tokenizer, another for any other."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=8).hexdigest()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without special ones."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text that these tokens stand for, without special ones."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text.strip()

    def texts(self, tokens: Sequence[int]) -> list[str]:
        """What each token is called."""
        return [self._tokenizer.id_to_token(token) or "" for token in tokens]

    def called(self, *names: str) -> int | None:
        """The first token that there is of these names; None where there is none."""
        found = (self._tokenizer.token_to_id(name) for name in names)
        return next((token for token in found if token is not None), None)

    def to_json(self) -> str:
        """The whole tokenizer, as ``tokenizer.json`` holds it."""
        text: str = self._tokenizer.to_str(pretty=False)
        return text

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` into a folder.

        Raises:
            OutputError: it can't be written.
        """
        with written_beside(folder / FILE) as file:
            file.write(self.to_json().encode())

    def settings(self) -> dict[str, object]:
        """tokenizer_config.json, so that transformers' ``AutoTokenizer`` reads the folder."""
        names = dict(zip(("pad_token", "eos_token"), self.texts([self.pad, self.end]), strict=True))
        if self.mask is not None:
            names["mask_token"] = self.texts([self.mask])[0]
        return {"tokenizer_class": "PreTrainedTokenizerFast", **names, "clean_up_tokenization_spaces": False}


def train_tokenizer(
    texts: Iterable[str], size: int, kind: Literal["bpe", "unigram"] = "bpe", *, mask: bool = False
) -> Tokens:
    """A tokenizer made for these texts.

    Args:
        texts: all that it shall know.
        size: tokens at most, special ones included.
        kind: pairs of bytes merged by how often they come, or pieces kept by how much they explain.
        mask: have a token that stands for a hidden one.

    Raises:
        ConfigError: fewer tokens than bytes.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if size < SMALLEST + mask:
        raise ConfigError(
            f"a vocabulary of {size} tokens is too small: {SMALLEST + mask} are needed for the bytes and the special "
            "tokens alone."
        )
    special: list[Any] = [PAD, END, UNKNOWN]
    if mask:  # it stands for a word and the space before it, as RoBERTa's does
        special.append(AddedToken(MASKS[0], lstrip=True, special=True))
    trainer: Any
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=special, unk_token=UNKNOWN, show_progress=False
        )
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.train_from_iterator(texts, trainer)
    # As a file will hold it: writing rounds a unigram's numbers, once.
    return Tokens(Tokenizer.from_str(tokenizer.to_str()), pad=0, start=1, end=1)


def load_tokens(folder: Path, *, pad: int, start: int, end: int) -> Tokens:
    """The tokenizer of a folder, with a model's special tokens.

    Raises:
        ModelError: there is none, or it can't be read.
    """
    from tokenizers import Tokenizer

    path = folder / FILE
    if not path.is_file():
        raise ModelError(f"{folder} has no {FILE}, and without it nobody knows what its tokens mean: copy it there.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        raise ModelError(f"{path} is damaged or no tokenizer ({error}): copy it anew from where it came.") from error
    return Tokens(tokenizer, pad, start, end)
