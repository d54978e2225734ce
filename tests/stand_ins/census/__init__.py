"""A stand-in for Census (Fivetran Activations): API v1 and v2 over one state machine on a clock that is handed in."""
