"""Names of guests: two words and a number, which nobody has to think of."""

import secrets

from services.auth.accounts import reserved_names
from services.auth.accounts.usernames import Username


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Words that are friendly in each other's company, and about nobody.
FIRST = _words("""
    Agile Amber Azure Blithe Bold Brave Breezy Bright Brisk Bronze Calm Cheery Clever Cobalt Copper Coral Cosmic Cozy
    Crimson Curious Daring Dashing Dapper Eager Early Easy Emerald Fabled Fair Fancy Fearless Fleet Fluffy Gentle Gilded
    Glad Golden Grand Happy Hardy Hasty Honest Humble Indigo Ivory Jade Jaunty Jolly Keen Kind Lively Loyal Lucky Lunar
    Merry Mighty Mint Misty Modest Neat Nimble Noble Olive Opal Patient Perky Plucky Polite Proud Quick Quiet Rapid Ready
    Rosy Royal Ruby Rustic Scarlet Silent Silver Sleepy Snappy Snowy Solar Speedy Spry Steady Stellar Sturdy Sunny Swift
    Tidy Topaz Trusty Velvet Vivid Warm Wandering Wise Witty Zesty
""")
SECOND = _words("""
    Acorn Alpaca Antelope Badger Bison Bobcat Buffalo Camel Canary Caribou Cheetah Cicada Comet Condor Coyote Crane Cricket
    Dolphin Dragon Eagle Egret Falcon Ferret Finch Firefly Flamingo Fox Gazelle Gecko Gibbon Giraffe Griffin Hamster Hare
    Hawk Hedgehog Heron Ibex Iguana Jaguar Kestrel Kiwi Koala Lark Lemur Leopard Lion Llama Lobster Lynx Magpie Manatee
    Marmot Marten Meerkat Mongoose Moose Narwhal Newt Ocelot Orca Oriole Osprey Otter Owl Panda Panther Parrot Pelican
    Penguin Phoenix Platypus Puffin Puma Quail Rabbit Raccoon Raven Robin Salmon Sparrow Squirrel Starling Stork Swan Tapir
    Tiger Toucan Turtle Walrus Wolf Wombat Woodpecker Wren Yak Zebra
""")
# As many numbers for each pair of words as it takes that a name is seldom taken, then more.
_NUMBERS = (10_000, 10_000, 1_000_000, 100_000_000)
ATTEMPTS = len(_NUMBERS)


def make(attempt: int) -> Username:
    """A name that may be taken. ``attempt``: how many were, of at most ATTEMPTS."""
    while True:
        number = secrets.randbelow(_NUMBERS[attempt])
        name = Username.parse(f"{secrets.choice(FIRST)}{secrets.choice(SECOND)}{number}")
        if not reserved_names.is_reserved(name):
            return name
