#!/usr/bin/env python3
"""Makes the reference of `tests/all/bleu.rs`: corpora and their BLEU by sacrebleu, with its default settings.

    pip install sacrebleu==2.6.0
    python3 oracle/bleu.py > oracle/bleu.json
"""

import json
import random
import sys

from sacrebleu.metrics import BLEU

WRITTEN = {
    "the same": [("The cat sat on the mat.", "The cat sat on the mat.")],
    "an empty hypothesis": [("", "The cat sat on the mat.")],
    "an empty hypothesis among others": [
        ("", "A dog."),
        ("The cat sat on the mat today.", "The cat sat on a mat today."),
    ],
    "an empty reference": [("The cat sat on the mat.", "")],
    "nothing at all": [("", "")],
    "shorter than four words": [("The cat", "The cat")],
    "shorter than four words, two sentences": [("The cat sat", "The cat sat"), ("A dog", "The dog")],
    "no four in common": [("The cat is on a mat", "The cat sat on the mat")],
    "no two in common": [("mat the on sat cat the", "the cat sat on the mat")],
    "nothing in common": [("Nothing of this is there", "The cat sat on the mat")],
    "too long": [("The cat sat on the mat and then on the other mat.", "The cat sat on the mat.")],
    "too short": [("The cat sat on", "The cat sat on the mat, and then on the other mat.")],
    "words that come too often": [("the the the the the the", "the cat sat on the mat")],
    "case": [("the Cat Sat on the mat.", "The cat sat on the mat.")],
    "numbers": [
        ("It costs 1,234.50 euros, or 12.5% more, in 2019-2020.", "It costs 1,234.50 euros, or 12,5 % more, in 2019."),
        ("Version 7.4.7-1, pages 3-4.", "Version 7.4.7, pages 3 - 4 ."),
    ],
    "marks": [
        ("Click \"OK\" (or [Cancel]); a/b, a&b, it's, x-y...", "Click \"OK\" (or {Cancel}); a / b, a & b, its x-y ..."),
        ("!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "! # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \\ ] ^ _ ` { | } ~"),
    ],
    "entities": [("a &lt; b &amp;amp; c &quot;d&quot; &gt; e <skipped>", "a < b &amp; c \"d\" > e")],
    "quotes of Unicode": [("„Hallo“, sagte er – so ist’s.", "“Hallo”, sagte er - so ist's.")],
    "umlauts": [
        ("Öffnen Sie die Größe für Übergänge.", "Öffnen Sie die Größe der Übergänge."),
        ("Die Straße ist süß und schön.", "Die Strasse ist süss und schön."),
    ],
    "spaces": [("  The\u00a0cat \u2003 sat\ton\nthe mat- \n", "The cat sat on the mat-")],
    "a line broken after a hyphen": [("The hand-\nbook of the cat", "The handbook of the cat")],
    "control characters": [("The\u001ccat\u001fsat on\u0085the mat", "The cat sat on the mat")],
}
PARTS = list("ab 12.,-'\"&;()/<üß„“–… ") + [" the", " a", " cat.", " 3,5", " &lt;"]


def random_corpora():
    """Of strings with many marks, and copies of them with a part changed here and there."""
    draw = random.Random(1)
    for index in range(40):
        texts = []
        for _ in range(draw.choice([1, 1, 2, 5])):
            reference = [draw.choice(PARTS) for _ in range(draw.randrange(40))]
            hypothesis = [draw.choice(PARTS) if draw.random() < 0.15 else part for part in reference]
            texts.append(("".join(hypothesis), "".join(reference)))
        yield f"random {index}", texts


def main():
    corpora = []
    for name, texts in [*WRITTEN.items(), *random_corpora()]:
        hypotheses, references = map(list, zip(*texts))
        bleu = BLEU().corpus_score(hypotheses, [references]).score
        corpora.append({"name": name, "bleu": bleu, "texts": texts})
    lines = ",\n".join(json.dumps(corpus, ensure_ascii=False) for corpus in corpora)
    sys.stdout.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
