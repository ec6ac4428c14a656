"""What the daemon keeps for itself, and where.

Rule: the clients' tree is the store's tree, from the root, so that `rrdstore get /local/domain/1/name`
works; what is not theirs lies below "/.xsadapter". No client can spell that (a path may not hold a
dot), DIRECTORY leaves it out, and nothing there makes events. It lies in the tree so that it changes
in the same commits as everything else and can be looked up in the past:

    boot                 the id of the boot whose tree this is
    domain/N             the unique id of the domain that had the number N when it was named or introduced: so a
                         daemon that is started again knows whose nodes and entries it finds (XSA-322)
    index/NAME/VALUE     the domid that has a value, and below it others that do (`engine.index`)
    indexed              which indexes the tree has: they are right since then, as every commit sees to that
    @introduceDomain     a special name; its metadata is the permission list
    @releaseDomain       likewise
"""

from __future__ import annotations

from typing import Final

NAME: Final = ".xsadapter"
ROOT: Final = f"/{NAME}"
BOOT: Final = f"{ROOT}/boot"
DOMAINS: Final = f"{ROOT}/domain"
INDEX: Final = f"{ROOT}/index"
INDEXED: Final = f"{ROOT}/indexed"
SPECIAL_LISTS: Final = {"@introduceDomain": b"n0\0", "@releaseDomain": b"n0\0r32757\0"}
"""The special names, and who may watch them at first: everybody may know that some domain is gone."""
SPECIAL_NAMES: Final = tuple(SPECIAL_LISTS)


def special_place(name: str) -> str:
    """Where the permission list of a special name is kept."""
    return f"{ROOT}/{name}"


def domain_place(domid: int) -> str:
    """Where it is kept which domain has a number."""
    return f"{DOMAINS}/{domid}"
