"""Captions for the painted landscapes, from a small grammar that names true attributes only."""

import random

from torch import Tensor

from guidance.models.attributes import ATTRIBUTES, FEATURES, LANDS, SYNONYMS, TIMES, TONES, WORDS

LEADS = ("", "", "a picture of ", "a poster of ", "a landscape of ", "a view of ")
TONE_PHRASES = ("in {} tones", "all in {}", "printed in {}", "in shades of {}")


def named(row: Tensor, generator: random.Random) -> list[str]:
    """All or, half the time, some of the true attributes of row (len(ATTRIBUTES),) bool."""
    true = [name for name, truth in zip(ATTRIBUTES, row.tolist(), strict=True) if truth]
    if generator.random() < 0.5:
        return true
    return [name for name in true if generator.random() < 0.6] or [generator.choice(true)]


def broken(names: list[str], row: Tensor, generator: random.Random) -> list[str]:
    """Attributes of row (len(ATTRIBUTES),) bool, one of them replaced by a false one of its kind."""
    wrong = generator.choice(names)
    kind = next(group for group in (LANDS, TIMES, TONES, FEATURES) if wrong in group)
    false = [name for name, truth in zip(ATTRIBUTES, row.tolist(), strict=True) if name in kind and not truth]
    return [generator.choice(false) if name == wrong else name for name in names]


def fragment(names: list[str], generator: random.Random) -> str:
    """Attributes as people type them: words or adjectives beside one another, in any order."""
    names = generator.sample(names, len(names))
    words = [generator.choice(SYNONYMS[name] + WORDS.get(name, ())) for name in names]
    if generator.random() < 0.7:
        words = [word.removeprefix("the ").removeprefix("a ").removeprefix("an ") for word in words]
    joint = generator.choice((" ", " ", ", ", " and ", " with ", " in ", " at ", " over ", " under "))
    text = generator.choice(LEADS) + joint.join(words) if generator.random() < 0.4 else joint.join(words)
    if generator.random() < 0.15:
        text = " ".join(generator.sample(text.split(), len(text.split())))
    return text


def sentence(names: list[str], generator: random.Random) -> str:
    """A sentence that names these attributes, at most one land, one time of day and one tone among them."""
    words = {name: generator.choice(SYNONYMS[name]) for name in names}
    land, time, tone = (next((words[name] for name in names if name in group), "") for group in (LANDS, TIMES, TONES))
    features = [words[name] for name in names if name in FEATURES]
    generator.shuffle(features)
    subject = land or "a scene"
    # Snow may be an adjective of a bare plural land, as in "snowy hills".
    if land and "snow" in words and land.split()[0] not in ("a", "the") and generator.random() < 0.5:
        subject = generator.choice(("snowy ", "snow-covered ")) + land
        features.remove(words["snow"])
    parts = []
    if features:
        listed = features[0] if len(features) == 1 else ", ".join(features[:-1]) + " and " + features[-1]
        parts.append(" with " + listed)
    preposition = " in " if time.startswith("the ") or time == "daylight" else " at "
    # The tone may be an adjective of the hour, as in "at a red sunset".
    if time and tone and " of " not in time and generator.random() < 0.4:
        hour = time.removeprefix("the ")
        parts.append(f"{preposition}{'an' if tone[0] in 'aeiou' else 'a'} {tone} {hour}")
    else:
        if time:
            parts.append(preposition + time)
        if tone:
            parts.append(", " + generator.choice(TONE_PHRASES).format(tone))
    generator.shuffle(parts)
    lead = generator.choice(LEADS) if land else ""
    return lead + subject + "".join(parts)
