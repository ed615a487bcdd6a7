"""Names that players give themselves. All of them are ones the auth service would take, and no two are the same to it."""

from collections.abc import Container, Iterator
from random import Random

LONGEST = 32


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words("""
    Ace Aqua Arcane Ashen Atomic Azure Bitter Blaze Blind Bold Brave Broken Candy Chaos Chill Chrome Cobalt Cosmic Cozy
    Crimson Crypto Cyber Daft Dark Dead Dire Dizzy Dread Dusty Elder Electric Ember Epic Fatal Feral Final Flash Fluffy
    Frost Funky Fuzzy Ghost Giga Glitch Gloomy Golden Grand Grim Gritty Happy Haunted Hazy Hollow Hyper Icy Idle Infra
    Iron Ivory Jade Jolly Just Karma Kinetic Lazy Legit Lone Lucky Lunar Mad Magic Major Mega Mellow Merry Micro Midnight
    Mighty Mint Misty Moody Mystic Neon Night Nimble Noble Not Null Odd Omega Only Pale Petty Phantom Pixel Plasma Polar
    Primal Proper Quantum Quick Quiet Rabid Radical Rapid Raw Real Rebel Retro Rogue Royal Rusty Salty Savage Scarlet
    Secret Shadow Sharp Silent Silver Sleepy Sly Smol Sneaky Solar Sonic Spicy Static Steady Steel Storm Stray Sudden
    Super Swift Tactical Tiny Toxic Turbo Twisted Ultra Umbra Uncle Velvet Vicious Violet Viral Void Wandering Wicked Wild
    Winter Wired Wonky Zealous Zen Zero
""")
_SECOND = _words("""
    Archer Arrow Assassin Badger Bandit Banshee Bard Basilisk Bat Bear Beetle Biscuit Bishop Blade Bolt Bot Brawler Bunny
    Byte Cactus Captain Cat Cobra Comet Corsair Cowboy Coyote Crab Crow Crusher Cyclops Dagger Demon Diver Dragon Drifter
    Druid Duck Duelist Eagle Echo Falcon Fang Ferret Fox Fury Gamer Gecko Giant Gnome Goblin Golem Goose Griffin Gunner
    Hammer Hawk Hedgehog Hero Hunter Hydra Imp Jackal Jester Joker Juggernaut Kestrel King Knight Koala Kraken Lancer
    Lemur Leviathan Lion Llama Lobster Lynx Mage Mantis Marauder Mongoose Monk Moose Moth Muffin Ninja Noodle Ogre Onion
    Orc Otter Owl Paladin Panda Pancake Panther Parrot Penguin Phoenix Pickle Pilot Pirate Potato Prophet Puma Python
    Queen Racer Raccoon Ranger Raptor Raven Reaper Rider Rocket Samurai Sentinel Shark Shogun Skull Slayer Sloth Sniper
    Sorcerer Spartan Specter Spider Squid Stalker Striker Tank Taco Tiger Titan Toad Toaster Trickster Turtle Unicorn
    Viking Viper Vulture Walrus Warden Warlock Wasp Whale Witch Wizard Wolf Wombat Wraith Wyvern Yak Yeti Zombie
""")
_SHAPES = (
    "{First}{Second}",
    "{First}_{Second}{number}",
    "xX_{First}{Second}_Xx",
    "{first}.{second}{number}",
    "{Second}{number}",
    "The{First}{Second}{number}",
    "{first}-{second}-{number}",
    "{SECOND}_{number}",
    "{f1rs7}{Second}{number}",
    # Most people's.
    "{First}{Second}{number}",
    "{First}{Second}{number}",
    "{First}{Second}{number}",
)
_LEET = str.maketrans("aeiot", "43107")


def canonical(name: str) -> str:
    """What the auth service holds for unique. These names are ASCII, whose mapped form is lower case."""
    return name.lower()


def gamer_names(random: Random, taken: Container[str] = frozenset()) -> Iterator[str]:
    """Endless different names, none of whose canonical forms is in ``taken``."""
    given: set[str] = set()
    while True:
        name = _name(random)
        mapped = canonical(name)
        if len(name) <= LONGEST and mapped not in given and mapped not in taken:
            given.add(mapped)
            yield name


def _name(random: Random) -> str:
    first, second = random.choice(_FIRST), random.choice(_SECOND)
    return random.choice(_SHAPES).format(
        First=first,
        first=first.lower(),
        f1rs7=first.translate(_LEET),
        Second=second,
        second=second.lower(),
        SECOND=second.upper(),
        number=_number(random),
    )


def _number(random: Random) -> str:
    """What people put behind a name that was taken: a little number, a year, or whatever was left."""
    kind = random.random()
    if kind < 0.35:
        return str(random.randrange(1, 100))
    if kind < 0.6:
        return str(random.randrange(1975, 2016))
    return str(random.randrange(100, 10_000))
