"""The cascade: providers in order, each behind a circuit that all processes of the machine share."""
