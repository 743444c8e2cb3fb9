"""Public data sets as Driftune's daily files, each with a params.yaml that fits them."""
