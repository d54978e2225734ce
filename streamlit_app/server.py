"""What `neopulse app` serves: the app's script, who vouches for people, and what surrounds every answer."""

from __future__ import annotations

import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from pipeline import settings
from pipeline.settings import Settings
from streamlit_app.around import Around

SCRIPT = Path(__file__).with_name("app.py")


def secrets(in_force: Settings) -> dict[str, Any]:
    """What Streamlit has to know to let people sign in; it stays in this process and is in no file."""
    if not in_force.signs_in:
        return {}
    return {
        "auth": {
            "redirect_uri": in_force.redirect_uri,
            "cookie_secret": in_force.oidc_cookie_secret.get_secret_value(),
            "client_id": in_force.oidc_client_id,
            "client_secret": in_force.oidc_client_secret.get_secret_value(),
            "server_metadata_url": in_force.oidc_metadata_url,
            "client_kwargs": {"scope": in_force.oidc_scopes},
        }
    }


def _get_ready() -> None:
    """Import what the pages are made of while nobody waits for it; the first visitor would, for two seconds."""
    import_module("streamlit_app.navigation")


_in_force = settings.load()
threading.Thread(target=_get_ready, name="getting ready", daemon=True).start()
app = st.App(
    SCRIPT,
    secrets=secrets(_in_force),
    middleware=[Middleware(Around, public_url=_in_force.oidc_public_url)],
)
