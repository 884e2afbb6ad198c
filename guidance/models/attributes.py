"""What the built-in landscapes can show, in the order of their judge's columns, and the words that name it."""

import re

from guidance.models.words import split

TIMES = ("dawn", "noon", "sunset", "night")
LANDS = ("mountains", "hills", "desert", "sea", "forest")
FEATURES = ("snow", "sun", "moon", "stars", "clouds", "lake", "boat", "aurora", "mist")
TONES = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
ATTRIBUTES: tuple[str, ...] = TIMES + LANDS + FEATURES + TONES

# Every word or phrase that means an attribute; each reads well in a list after "with".
SYNONYMS: dict[str, tuple[str, ...]] = {
    "dawn": ("dawn", "sunrise", "daybreak", "the early morning"),
    "noon": ("noon", "midday", "daylight", "the middle of the day"),
    "sunset": ("sunset", "dusk", "the evening", "sundown"),
    "night": ("night", "midnight", "nighttime", "the dark of night"),
    "mountains": ("mountains", "mountain peaks", "a mountain range", "tall peaks"),
    "hills": ("hills", "rolling hills", "gentle hills", "a hillside"),
    "desert": ("a desert", "sand dunes", "desert dunes", "a sandy desert"),
    "sea": ("the sea", "the ocean", "open water", "a seascape"),
    "forest": ("a forest", "woods", "pine trees", "a pine forest"),
    "snow": ("snow", "fresh snow", "white snow", "a snowy ground"),
    "sun": ("the sun", "a bright sun", "a glowing sun", "sunshine"),
    "moon": ("the moon", "a bright moon", "a pale moon", "moonlight"),
    "stars": ("stars", "a starry sky", "twinkling stars", "many stars"),
    "clouds": ("clouds", "a cloudy sky", "drifting clouds", "some clouds"),
    "lake": ("a lake", "a still lake", "a lake that mirrors the land", "a calm lake with reflections"),
    "boat": ("a boat", "a sailboat", "a small sailing boat", "a ship with sails"),
    "aurora": ("an aurora", "northern lights", "the aurora borealis", "polar lights"),
    "mist": ("mist", "fog", "misty layers", "a foggy haze"), "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "amber", "tangerine"), "yellow": ("yellow", "golden", "lemon yellow"),
    "green": ("green", "emerald", "leafy green"), "teal": ("teal", "turquoise", "cyan"),
    "blue": ("blue", "cobalt", "deep blue"), "purple": ("purple", "violet", "lilac"),
    "pink": ("pink", "rose", "magenta pink"),
}  # fmt: skip
# More words for fragments.
WORDS: dict[str, tuple[str, ...]] = {
    "dawn": ("morning", "early"), "noon": ("day", "daytime", "noonday"), "sunset": ("evening", "twilight"),
    "night": ("nocturnal", "dark", "nightfall"), "mountains": ("mountain", "peak", "peaks", "alps", "mountainous"),
    "hills": ("hill", "hilly", "meadows", "grassland"), "desert": ("sand", "dunes", "sandy", "dune"),
    "sea": ("ocean", "sea", "waves", "water", "coast"), "forest": ("trees", "tree", "wood", "pines", "woodland"),
    "snow": ("snowy", "snow covered", "winter", "wintry"), "sun": ("sunny", "sunlight", "sunlit"),
    "moon": ("moonlit", "full moon", "moonlight", "crescent moon"), "stars": ("starry", "star", "starlit", "starlight"),
    "clouds": ("cloudy", "cloud", "overcast"), "lake": ("lakeside", "reflection", "reflections", "pond", "mirror"),
    "boat": ("boats", "ship", "sail", "sailing", "sails", "yacht"), "aurora": ("northern lights", "polar light"),
    "mist": ("misty", "foggy", "haze", "hazy"), "red": ("reddish",), "orange": ("orange tones",),
    "yellow": ("yellowish", "gold"), "green": ("greenish",), "teal": ("aqua",), "blue": ("bluish", "azure"),
    "purple": ("mauve", "lavender"), "pink": ("pinkish", "magenta"),
}  # fmt: skip


NAMES = {re.sub("^(an?|the) ", "", phrase): name for name in ATTRIBUTES for phrase in SYNONYMS[name] + WORDS[name]}
NAMED = re.compile(rf"\b(?:(no|without) (?:(?:an?|any|the) )?)?({'|'.join(sorted(NAMES, key=len, reverse=True))})\b")


def named(text: str) -> dict[str, bool]:
    """The attributes that a text names, longer phrases first: True, or False where it says "no" or "without"."""
    return {NAMES[phrase]: not without for without, phrase in NAMED.findall(" ".join(split(text)))}
