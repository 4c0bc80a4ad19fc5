"""get.py URI: fetches one representation and prints it."""

import sys

import copal

if len(sys.argv) != 2:
    sys.exit("usage: get.py URI")
try:
    res = copal.get(sys.argv[1]).check()  # a 4.xx or 5.xx becomes an error here
except copal.Error as e:
    sys.exit(str(e))
sys.stdout.buffer.write(res.payload)
