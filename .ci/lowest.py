"""Prints a constraints file with the lowest version of each requirement of a setup.cfg."""

import configparser
import re
import sys

config = configparser.ConfigParser(interpolation=None)
config.read(sys.argv[1])
blocks = [
    config["options"]["install_requires"],
    config["options.extras_require"]["cli"],
    config["options.extras_require"]["plot"],
    config["options.extras_require"]["test"],
]
for line in "\n".join(blocks).splitlines():
    match = re.match(r"\s*([\w-]+)>=([\w.]+)", line)
    if match:
        print(f"{match[1]}=={match[2]}.*" if match[2].count(".") < 2 else f"{match[1]}=={match[2]}")
