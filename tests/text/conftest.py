"""What the tests of texts share."""

from collections.abc import Callable

import pytest

from vitrail.text.tokens import Tokens


@pytest.fixture(scope="session")
def words() -> Callable[[int], Tokens]:
    """A tokenizer of so many words: "w7" is token 7; 0 fills up, 1 ends."""

    def made(count: int) -> Tokens:
        from tokenizers import Tokenizer, models, pre_tokenizers

        names = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {f"w{place}": place for place in range(3, count)}
        tokenizer = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
        return Tokens(tokenizer, pad=0, start=1, end=1)

    return made
