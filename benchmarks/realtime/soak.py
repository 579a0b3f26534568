"""2,000 sockets for so many minutes, 20 of which never read what they are sent: the gateway's memory, each minute.

Who never reads is cut off or told to come again; each minute 20 new ones take their place. The operating system is made
to keep little for them, so that what they do not read would pile up in the gateway. Every other socket has to get every
update, once.
"""

import argparse
import threading
import time
from collections import Counter

from realtime.stage import Stage, database, stage, token

LONG = " ".join(f"{letter}: cursor" for letter in "abcdefghijklmnopqrstuvwxyz")
QUERY = f"subscription {{ stockUpdates(conflate: false) {{ cursor sku onHand level {{ onHand }} {LONG} }} }}"
MIB = 2**20


def tell(on: Stage, *, rate: float, seconds: float, told: list[float]) -> None:
    """Tell so many updates a second."""
    begun = time.monotonic()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        told.append(on.tell())


def minute(on: Stage, *, rate: float, seconds: float) -> int:
    """Let updates flow; return how many, once each socket that reads has had them all."""
    told: list[float] = []
    telling = threading.Thread(target=tell, args=(on,), kwargs={"rate": rate, "seconds": seconds, "told": told})
    telling.start()
    on.clients.do("run", seconds=seconds)
    telling.join()
    heard = on.clients.do("expect", count=len(told))
    assert heard["least"] == heard["most"] == len(told), heard
    return len(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--sockets", type=int, default=2_000)
    parser.add_argument("--silent", type=int, default=20)
    parser.add_argument("--rate", type=float, default=5, help="updates a second, each to every socket")
    parser.add_argument("--seconds", type=float, default=60, help="of a minute")
    chosen = parser.parse_args()
    with database(1) as dsn, stage(dsn) as on:
        asked = {"address": on.address, "path": "/graphql", "query": QUERY, "variables": [{}], "token": token()}
        on.clients.do("open", count=chosen.sockets - chosen.silent, **asked)
        on.clients.do("run", seconds=2)
        sizes = [on.usage()["rss"] / MIB]
        print(f"{chosen.sockets - chosen.silent:,} sockets that read: {sizes[0]:.1f} MiB", flush=True)
        for number in range(1, chosen.minutes + 1):
            on.clients.do("open", count=chosen.silent, silent=chosen.silent, **asked)
            updates = minute(on, rate=chosen.rate, seconds=chosen.seconds)
            sizes.append(on.usage()["rss"] / MIB)
            closed = Counter(str(code) for code, _ in on.clients.do("hear")["closed"])
            ends = ", ".join(f"{count} by {code}" for code, count in sorted(closed.items()))
            print(f"minute {number}: {sizes[-1]:.1f} MiB, {updates:,} updates; silent ones ended: {ends}", flush=True)
        print(f"from the first minute to the last: {sizes[-1] - sizes[1]:+.1f} MiB")


if __name__ == "__main__":
    main()
