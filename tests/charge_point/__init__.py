"""A charge point that is not ours: PyPI `ocpp` speaks the protocol, this gives it connectors, a meter and a driver's car."""
