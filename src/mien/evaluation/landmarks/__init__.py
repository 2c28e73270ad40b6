"""How good a representation of landmarks is: classifiers, satisfied triplets, intervals over people."""
