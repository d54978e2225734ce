import pytest

from pipeline.masking import shown_address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://n8n.bank.example/webhook/ended", "https://n8n.bank.example/webhook/ended"),
        ("https://ada:lovelace@n8n.bank.example:5678/webhook", "https://***@n8n.bank.example:5678/webhook"),
        ("https://n8n.bank.example/webhook?token=abc&to=x=y", "https://n8n.bank.example/webhook?token=***&to=***"),
        ("https://n8n.bank.example/webhook?abc", "https://n8n.bank.example/webhook?***"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret_in_it(address: str, shown: str) -> None:
    assert shown_address(address) == shown
