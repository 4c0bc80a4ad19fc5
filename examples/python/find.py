"""find.py [INTERFACE [GROUP]]: who is there, and what each device offers."""

import sys

import copal

interface, group = (sys.argv[1:] + [None, None])[:2]
found = 0
for device in copal.find(wait=3, interface=interface, group=group):
    found += 1
    print(device)
    for link in device.links():
        print("  " + link.uri, link.get("rt", ""))
sys.exit(found == 0)
