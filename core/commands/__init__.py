"""What the commands of `tandem` do, once their arguments are read."""
