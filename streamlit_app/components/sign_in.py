"""Coming in and going out: the page before the sign-in, the one for whom there is no entry, and who is signed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from streamlit_app import actions, auth, formats
from streamlit_app.auth import AdmissionError, SignInError, User
from streamlit_app.components import filters
from streamlit_app.messages import t

WIDTH = 620  # pixels


@contextmanager
def asked(addresses: Sequence[str]) -> Iterator[None]:
    """Who has not signed in, or has no role, gets a page that says so and what to do, at whichever of the addresses."""
    try:
        yield
    except AdmissionError as refused:
        if not auth.signs_in():
            raise
        _before(refused, addresses)


def _before(refused: AdmissionError, addresses: Sequence[str]) -> None:
    # Each address is one that can be opened: the browser stays on it, and comes back to it from the provider.
    empty = [st.Page(lambda: None, title="neopulse", url_path=address) for address in addresses]
    st.navigation(empty, position="hidden")
    with st.container(horizontal_alignment="center"), st.container(border=True, width=WIDTH):
        filters.language()
        if isinstance(refused, SignInError):
            _sign_in(refused)
        else:
            _no_entry(refused)


def _sign_in(refused: SignInError) -> None:
    st.header(t("sign_in.title"))
    st.markdown(t(f"sign_in.refused.{refused.reason}"))
    st.button(t("sign_in.sign_in"), icon=":material/login:", type="primary", on_click=st.login)


def _no_entry(refused: AdmissionError) -> None:
    actions.note_refusal(refused)
    st.header(t("sign_in.no_entry"))
    st.markdown(t(f"sign_in.refused.{refused.reason}", who=formats.literal(refused.place)))
    st.button(t("sign_in.another"), icon=":material/logout:", on_click=st.logout)


def who(user: User) -> None:
    """Who is signed in, with which role and for which countries, and the way out; nothing where nobody needs to sign in."""
    if not user.session:
        return
    with st.popover(formats.literal(user.name), type="tertiary", icon=":material/account_circle:"):
        st.markdown(t("sign_in.role", role=t(f"sign_in.roles.{user.role.name.lower()}")))
        if user.countries is not None:
            st.caption(t("sign_in.countries", countries=", ".join(sorted(user.countries))))
        st.button(t("sign_in.sign_out"), icon=":material/logout:", on_click=_leave, key="sign_out")


def _leave() -> None:
    actions.sign_out()
