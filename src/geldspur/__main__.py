"""`python -m geldspur`: the program where its script isn't on the path."""

from geldspur.cli import main

main()
