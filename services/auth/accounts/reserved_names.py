"""Names that nobody has, since others would take their owner for somebody who runs the game.

They are compared by skeletons, as UTS #39 (section 4) compares what looks alike: without case, width, marks and separators,
with each letter or digit that looks like a Latin letter as that letter. Accounts that have such a name already keep it.
"""

import unicodedata

from services.auth.accounts.usernames import Username

REFUSAL = "this username is reserved; choose another name"

# RFC 2142 has some of these as mailboxes. An operator adds those of the game: its name, its studio's.
_TITLES = (
    "abuse admin admins administrator administration anonymous developer developers gamemaster gamemasters helpdesk hostmaster "
    "leaderboard mod moderator moderators moderation mods official operator operators owner postmaster root security staff "
    "superadmin superuser support sysadmin sysop system webmaster "
    "administrador administrateur moderador moderateur админ администратор администрация модератор 管理员 管理員 管理者 "
    "운영자 관리자"
)
RESERVED = frozenset(_TITLES.split())

# What looks like a Latin letter in some font, of what a username may have: from Unicode's confusables.txt (17.0), and digits
# that are read as letters. Canonical names are lower case, so a letter is here also for what its capital looks like. i, l and 1
# look alike, and so are one letter here.
_LOOKALIKES = {
    "a": "4αɑа",
    "b": "8βƅвьᑲᖯꞵ",
    "c": "ϲсᴄⲥ",
    "d": "đɖɗԁᑯꓒ",
    "e": "3εеҽɛəꬲⴹ",
    "f": "ƒϝքꞙꬵ",
    "g": "9ƍɡցᶃԍ",
    "h": "ħһнհⲏ",
    "i": "1lıɨɩɪιіӏłƚǀւꙇⲓᛁⵏ",
    "j": "ȷʝϳј",
    "k": "κкқⲕ",
    "m": "μϻмⲙ",
    "n": "ηνոռпⲛ",
    "o": "0øοσоօоჿᴏᴑⲟⵔ٥۵०੦૦௦౦೦൦๐໐ဝ၀০ଠ୦",
    "p": "ρрⲣ",
    "q": "ԛգզ",
    "r": "ʀɍгᴦⲅꭇꭈ",
    "s": "5ƽѕտꜱ",
    "t": "7ŧτтⲧ",
    "u": "ʉʋυսᴜ",
    "v": "νѵᴠ۷",
    "w": "ɯѡԝաᴡ",
    "x": "χхⲭ",
    "y": "ɣʏγуүყⲩ",
    "z": "2ƶζᴢ",
}
_LATIN = str.maketrans({look: letter for letter, looks in _LOOKALIKES.items() for look in looks})
# Two letters that are read as one.
_JOINED = (("rn", "m"), ("vv", "w"))
_SEPARATORS = frozenset("_-. ")


def is_reserved(username: Username) -> bool:
    """Whether nobody may take the name."""
    return _skeleton(username.canonical) in _RESERVED


def _skeleton(name: str) -> str:
    letters = (
        character
        for character in unicodedata.normalize("NFKD", name.casefold())
        if character not in _SEPARATORS and not unicodedata.category(character).startswith("M")
    )
    skeleton = "".join(letters).translate(_LATIN)
    for two, one in _JOINED:
        skeleton = skeleton.replace(two, one)
    return skeleton


_RESERVED = frozenset(map(_skeleton, RESERVED))
